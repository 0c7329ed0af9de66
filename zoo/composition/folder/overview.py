"""`grid.png`: the first samples of a run on one sheet. No torch at import.

Where a map has several pictures (`-n` above 1 with maps that stay as they are), it is a row for each map: the map, then its
pictures side by side, so that what varies between them is seen at a glance. Else maps stand above their pictures. What starts from
photos shows the photo beside: before the map of its row, or above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.folder.records import FOLDERS, GRID, IMAGES, INPUTS, MAPS, file_of, image_ending
from zoo.files.decoding import open_image
from zoo.files.frames import cut
from zoo.files.images import RLE, photo_pixels, save_image
from zoo.files.squares import Frame, read_frame

if TYPE_CHECKING:
    from PIL.Image import Image

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
    names = _Names(folder, manifest)
    rows = _by_map(shown, names) if list(kinds) == [MAPS, IMAGES] else None
    rows = rows or _by_sample(shown, ([INPUTS] if names.photos else []) + list(kinds), names)
    height, width = manifest["size"]
    sheet = Image.new("RGB", (max(map(len, rows)) * width, len(rows) * height), "white")
    for y, row in enumerate(rows):
        for x, name in enumerate(row):
            if name in names.photos:
                sheet.paste(_photo(folder / name, (width, height), names.frames.get(name)), (x * width, y * height))
            elif name:
                picture = open_image(folder / name)
                if picture.mode == "L" and colors and name.startswith(f"{MAPS}/"):
                    picture.putpalette(colors + [0] * (768 - len(colors)))
                sheet.paste(picture.convert("RGB"), (x * width, y * height))
    save_image(sheet, folder / GRID, compress_type=RLE)


class _Names:
    """Where the pictures of samples lie. photos: the copies of the photos that a run starts from, "" for one that is not there; frames: by
    their names what of them was worked on."""

    def __init__(self, folder: Path, manifest: dict[str, Any]) -> None:
        request = manifest["request"]
        self.n, self._ending = request["n"], image_ending(request)
        self.photos = [name if _is_copy(folder, name) else "" for name in request.get("photos") or ()]
        self.photos = self.photos if any(self.photos) else []
        frames = (request.get("frame") or {}).get("frames", ())
        self.frames = {name: read_frame(frame) for name, frame in zip(self.photos, frames, strict=False)}

    def of(self, kind: str, record: dict[str, Any]) -> str:
        """The file of a sample in the folder `kind`; of `INPUTS` the photo that it starts from."""
        if kind == INPUTS:
            return self.photos[record["index"] // self.n] if self.photos else ""
        return file_of(next(k for k, name in FOLDERS.items() if name == kind), record["index"], self._ending)


def _is_copy(folder: Path, name: str) -> bool:
    """True for a file of the run itself: a link is nothing that a run writes."""
    place, _, file = name.partition("/")
    return place == INPUTS and "/" not in file and not (folder / name).is_symlink() and (folder / name).is_file()


def _photo(path: Path, size: tuple[int, int], frame: Frame | None = None) -> Image:
    """A photo upright (of it what lies in the frame), its middle cut to the shape of (width, height) `size`, as the models were given it."""
    from PIL import Image, ImageOps

    pixels = photo_pixels(open_image(path), path)
    pixels = pixels if frame is None else cut(pixels, frame)
    return ImageOps.fit(Image.fromarray(pixels), size, Image.Resampling.BICUBIC)


def _by_map(records: Sequence[dict[str, Any]], names: _Names) -> list[list[str]] | None:
    """A map and its n pictures per row (further rows where they are more than `COLUMNS`); None if some maps of an item differ."""
    items: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        items.setdefault(record["index"] // names.n, []).append(record)
    for samples in items.values():
        if len({r["sha256"]["map"] for r in samples}) > 1:
            return None
    if names.n == 1:
        return None
    heads = [INPUTS, MAPS] if names.photos else [MAPS]
    rows = []
    for samples in items.values():
        for first in range(0, len(samples), COLUMNS):
            head = ["" if first else names.of(kind, samples[0]) for kind in heads]
            rows.append([*head, *(names.of(IMAGES, r) for r in samples[first : first + COLUMNS])])
    return rows


def _by_sample(records: Sequence[dict[str, Any]], kinds: Sequence[str], names: _Names) -> list[list[str]]:
    """Lines of up to `COLUMNS` samples, one row of each kind per line."""
    lines = [records[first : first + COLUMNS] for first in range(0, len(records), COLUMNS)]
    return [[names.of(kind, r) for r in line] for line in lines for kind in kinds]
