"""Label-map files: what a PNG holds, and how its values or colours become classes. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError, LabelError
from zoo.files.depths import refuse_fractions
from zoo.files.decoding import open_image
from zoo.files.mapfaults import color_fault, value_fault
from zoo.files.palettes import by_color, by_palette, one_to_one, renumbered
from zoo.labels import IGNORE, Color, LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class MapFile:
    """A decoded map file. `values`: int32 [H, W], or None if it holds colours; `colors`: uint8 [H, W, 3] or None."""

    path: Path
    mode: str
    values: np.ndarray | None
    colors: np.ndarray | None
    grey_as_rgb: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        array = self.values if self.values is not None else self.colors
        assert array is not None
        return int(array.shape[0]), int(array.shape[1])

    def value_counts(self) -> dict[int, int]:
        """Pixels per value, in order of the values; empty for a colour-coded file."""
        if self.values is None:
            return {}
        values, counts = np.unique(self.values, return_counts=True)
        return {int(v): int(c) for v, c in zip(values, counts, strict=True)}

    def color_counts(self) -> dict[Color, int]:
        """Pixels per colour, most frequent first; empty for a file of plain values."""
        if self.colors is None:
            return {}
        colors, counts = np.unique(self.colors.reshape(-1, 3), axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {(int(colors[i][0]), int(colors[i][1]), int(colors[i][2])): int(counts[i]) for i in order}


def read_map_file(path: Path | str) -> MapFile:
    """Decode a map file without converting values: palette and grey files give numbers, RGB files colours.

    A grey map saved as RGB (all channels equal) gives numbers. Raises DataError for unreadable files and for
    transparency, which says nothing about classes.
    """
    return map_file(Path(path), open_image(path, exact=True))


def map_file(path: Path, image: Image) -> MapFile:
    """`read_map_file` of a picture that is decoded already. path: for the messages."""
    refuse_fractions(path, image)
    mode = image.mode
    if mode in ("RGBA", "LA", "PA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < 255:
            raise DataError(
                f"{path}: {int((alpha < 255).sum())} pixels are transparent; a label map needs a class in every pixel: flatten the layers first."
            )
        image = image.convert({"RGBA": "RGB", "LA": "L", "PA": "P"}[mode])
    if image.mode == "P":
        values = np.asarray(image).astype(np.int32)
        return MapFile(path, mode, values, _palette_colors(image, values))
    if image.mode in ("1", "L", "I", "I;16", "I;16B", "F"):
        return MapFile(path, mode, np.asarray(image).astype(np.int32), None)
    colors = np.asarray(image.convert("RGB"))
    if (colors[..., 0] == colors[..., 1]).all() and (colors[..., 0] == colors[..., 2]).all():
        return MapFile(path, mode, colors[..., 0].astype(np.int32), None, grey_as_rgb=True)
    return MapFile(path, mode, None, colors)


def check_instances(path: Path, mode: str, numbers: bool, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    """Raise DataError for a file that is no instance map of a label map. size, wanted: its own and the map's (height, width).

    numbers: whether it holds numbers (`MapFile.values`), not colours alone.
    """
    if not numbers or size != wanted:
        raise DataError(
            f"{path}: an instance map holds numbers and has the label map's size"
            f" {wanted[1]} x {wanted[0]}, got mode {mode}, {size[1]} x {size[0]}."
        )


def _palette_colors(image, values: np.ndarray) -> np.ndarray | None:
    """The colours of a palette file; None where a value (other than 255, "unlabeled") has no palette entry."""
    palette = np.zeros((256, 3), np.uint8)
    entries = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(entries)] = entries
    if ((values >= len(entries)) & (values != IGNORE)).any():
        return None
    return palette[values]


def to_values(file: MapFile, space: LabelSpace) -> np.ndarray:
    """Class values uint8 [H, W] of a decoded file in `space`.

    Numbers are class values unless they cannot be. A palette is read by its colours if the numbers are no classes of the
    space and the colours are, or if it shows the space's own colours, each once, at other numbers (a picture tool renumbered
    them: `zoo.files.palettes.renumbered`); `palette_doubt` says so. Colours without numbers are looked up in the space's.
    Raises LabelError with the histogram, the valid range and the likely fix.
    """
    if file.values is None:
        assert file.colors is not None
        found = by_color(file.colors, space)
        if found is None:
            raise LabelError(color_fault(file, space))
        return found
    legal = (file.values >= 0) & (file.values < len(space))
    if space.ignore:
        legal |= file.values == IGNORE
    fits = bool(legal.all()) and file.mode != "1"
    if file.colors is not None:
        found = by_palette(file, space)
        if found is not None and (renumbered(file, space, found) if fits else one_to_one(file)):
            return found
    if not fits:
        raise LabelError(value_fault(file, space))
    return file.values.astype(np.uint8)


def fitting_spaces(file: MapFile, spaces: Sequence[LabelSpace]) -> list[str]:
    """Names of the label spaces in which the file is legal as it stands."""
    fitting = []
    for space in spaces:
        try:
            to_values(file, space)
        except LabelError:
            continue
        fitting.append(space.name)
    return fitting
