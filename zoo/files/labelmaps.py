"""`labelmap.txt`: the classes and colours of a data set in Pascal VOC's form, as CVAT and datumaro read them. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.errors import LabelError
from zoo.labels import Color, LabelSpace

LABELMAP = "labelmap.txt"


def labelmap_text(space: LabelSpace, mark: str, more: Mapping[str, Color] | None = None) -> str:
    """The file. mark: its first line, a comment. more: further names with their colours, behind the classes."""
    colors = {**dict(zip(space.names, space.palette, strict=True)), **(more or {})}
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in colors.items()]
    return "\n".join([mark, "# label:color_rgb:parts:actions", *lines]) + "\n"


def check_colors(space: LabelSpace, others: Sequence[Color] = (), way_out: str = "") -> None:
    """Raise LabelError where colours do not tell the classes of `space` (and what is shown in `others`) apart. way_out: its end."""
    colors = [*space.palette, *others]
    shared = [n for n, c in zip(space.names, space.palette, strict=True) if colors.count(c) > 1]
    if shared:
        raise LabelError(
            f"{', '.join(shared)} of {space.name!r} share a colour, by which a labelmap would tell them apart{way_out}."
        )
