"""`grid.png`: the first samples of a run on one sheet. No torch at import.

Where a map has several pictures (`-n` above 1 with maps that stay as they are), it is a row for each map: the map, then its
pictures side by side, so that what varies between them is seen at a glance. Else maps stand above their pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.folder.records import GRID, IMAGES, MAPS
from zoo.files.decoding import open_image
from zoo.files.images import save_image

if TYPE_CHECKING:
    from zoo.labels import LabelSpace

SAMPLES = 64
COLUMNS = 8


def write_grid(
    folder: Path,
    manifest: dict[str, Any],
    records: Sequence[dict[str, Any]],
    kinds: Sequence[str],
    space: LabelSpace | None = None,
) -> None:
    """Write the sheet of the first `SAMPLES` records. kinds: the folders of what a sample has, maps before images.

    space: of the maps, whose colours show grey maps too.
    """
    from PIL import Image

    colors = [] if space is None else [c for color in space.palette for c in color]

    shown = records[:SAMPLES]
    rows = _by_map(shown, manifest["request"]["n"]) if list(kinds) == [MAPS, IMAGES] else None
    rows = rows or _by_sample(shown, kinds)
    height, width = manifest["size"]
    sheet = Image.new("RGB", (max(map(len, rows)) * width, len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            if name:
                picture = open_image(folder / name)
                if picture.mode == "L" and colors:
                    picture.putpalette(colors + [0] * (768 - len(colors)))
                sheet.paste(picture.convert("RGB"), (x * width, y * height))
    save_image(sheet, folder / GRID)


def _by_map(records: Sequence[dict[str, Any]], n: int) -> list[list[str]] | None:
    """A map and its n pictures per row (further rows where they are more than `COLUMNS`); None if some maps of an item differ."""
    items: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        items.setdefault(record["index"] // n, []).append(record)
    for found in items.values():
        if len({r["sha256"]["map"] for r in found}) > 1:
            return None
    if n == 1:
        return None
    rows = []
    for found in items.values():
        for first in range(0, len(found), COLUMNS):
            head = "" if first else _name(MAPS, found[0])
            rows.append([head, *(_name(IMAGES, r) for r in found[first : first + COLUMNS])])
    return rows


def _by_sample(records: Sequence[dict[str, Any]], kinds: Sequence[str]) -> list[list[str]]:
    """Lines of up to `COLUMNS` samples, one row of each kind per line."""
    lines = [records[first : first + COLUMNS] for first in range(0, len(records), COLUMNS)]
    return [[_name(kind, r) for r in line] for line in lines for kind in kinds]


def _name(kind: str, record: dict[str, Any]) -> str:
    return f"{kind}/{record['index']:06d}.png"
