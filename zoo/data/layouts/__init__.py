"""How people and tools lay out photos and maps in a folder: one small module per family, tried in this order."""

from __future__ import annotations

from pathlib import Path

from zoo.data.layouts import cvat, labelme, labelstudio, panoptic, plain, voc
from zoo.data.layouts.base import Layout

FINDERS = (
    voc.VOC,
    panoptic.PANOPTIC,
    plain.MMSEGMENTATION,
    plain.TWO_FOLDERS,
    voc.CAMVID,
    cvat.CVAT,
    labelme.EXPORTED,
    labelstudio.LABEL_STUDIO,
    plain.SIDE_BY_SIDE,
    labelme.JSON,
)


def find_layout(root: Path) -> Layout | None:
    """The first layout that has pairs in this folder, else the first that has anything of it (photos without maps), else None.

    Raises DataError for lists that are not what their names say.
    """
    partial: Layout | None = None
    for finder in FINDERS:
        layout = finder.find(root)
        if layout is not None and layout.found:
            return layout
        if partial is None:
            partial = layout
    return partial


def looked_for() -> str:
    """All layouts in words, for messages."""
    return "; ".join(f.looks_for for f in FINDERS)
