"""The run folder as Pascal VOC too, which datumaro and CVAT import: `labelmap.txt` with our colours, and the files under the
names of VOC. No torch at import."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.composition.folder.records import FOLDERS, LABELMAP, LABELMAP_MARK, VOC_FOLDERS, VOC_NAMES, file_of
from zoo.errors import DataError
from zoo.files.labelmaps import check_colors, labelmap_text
from zoo.files.writing import told, write_atomic, write_text

if TYPE_CHECKING:
    from zoo.labels import LabelSpace


def check_labelmap(space: LabelSpace, map_format: str) -> None:
    """Raise LabelError where colours do not tell the classes of `space` apart: VOC readers go by colour for palette maps."""
    if map_format == "palette":
        check_colors(space, way_out=': <<map_format="grey">>')


def write_labelmap(folder: Path, space: LabelSpace, samples: int, ending: str = ".png") -> None:
    """Write `labelmap.txt`, the list of samples, and what is in `maps` and `images` once more under VOC's names (hard links,
    copies where the disk knows none). ending: of the pictures. Raises DataError."""
    with told(folder):
        (folder / VOC_NAMES).parent.mkdir(parents=True, exist_ok=True)
        for kind, name in VOC_FOLDERS.items():
            if (folder / FOLDERS[kind]).is_dir():
                (folder / name).mkdir(exist_ok=True)
                for index in range(samples):
                    source = folder / file_of(kind, index, ending)
                    _link(source, folder / name / source.name)
    write_text(folder / VOC_NAMES, "".join(f"{index:06d}\n" for index in range(samples)))
    write_text(folder / LABELMAP, labelmap_text(space, LABELMAP_MARK))


def _link(source: Path, target: Path) -> None:
    try:
        write_atomic(target, lambda part: os.link(source, part))
    except DataError:
        write_atomic(target, lambda part: shutil.copyfile(source, part))
