"""`grid.png` of a translation: a row for each photo, the photo and then what became of it. No torch at import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from zoo.composition.folder.overview import COLUMNS, SAMPLES
from zoo.composition.folder.records import GRID, file_of, image_ending
from zoo.files.decoding import open_image
from zoo.files.images import RLE, photo_pixels, save_image
from zoo.files.runfiles import own_file

Cell = tuple[str, tuple[int, int] | None]
"""A file of the folder, and (width, height) to which a photo is brought, as the model was given it."""


def write_sheet(folder: Path, manifest: dict[str, Any], records: Sequence[dict[str, Any]]) -> None:
    """Write the sheet of the first `SAMPLES` records. Photos and the photos of styles are shown where their copies lie in the folder; the
    styles' stand above their columns, where each column has one."""
    rows = _rows(folder, manifest, records[:SAMPLES])
    height, width = manifest["size"]
    sheet = Image.new("RGB", (max(map(len, rows)) * width, len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, (name, size) in enumerate(row):
            if name:
                sheet.paste(
                    _picture(folder / name, size or (width, height), shown=size is None), (x * width, y * height)
                )
    save_image(sheet, folder / GRID, compress_type=RLE)


def _rows(folder: Path, manifest: dict[str, Any], records: Sequence[dict[str, Any]]) -> list[list[Cell]]:
    request, ending = manifest["request"], image_ending(manifest["request"])
    copies = [name if own_file(folder, name) else "" for name in request["photos"]]
    items: dict[int, list[str]] = {}
    for record in records:
        items.setdefault(record["index"] // request["n"], []).append(file_of("image", record["index"], ending))
    rows: list[list[Cell]] = []
    styles = [s["path"] if s["kind"] == "photo" and own_file(folder, s["path"]) else "" for s in request["styles"]]
    if any(styles) and request["n"] == len(styles) <= COLUMNS:
        height, width = manifest["size"]
        rows.append([*([("", None)] if any(copies) else []), *((name, (width, height)) for name in styles)])
    for item, names in items.items():
        size = open_image(folder / names[0]).size
        for first in range(0, len(names), COLUMNS):
            head: list[Cell] = [("" if first else copies[item], size)] if any(copies) else []
            rows.append([*head, *((name, None) for name in names[first : first + COLUMNS])])
    return rows


def _picture(path: Path, size: tuple[int, int], *, shown: bool) -> Image.Image:
    """A picture as it is (shown), or a photo upright, its middle cut to the shape of (width, height) `size`."""
    picture = open_image(path)
    if shown:
        return picture.convert("RGB")
    return ImageOps.fit(Image.fromarray(photo_pixels(picture, path)), size, Image.Resampling.BICUBIC)
