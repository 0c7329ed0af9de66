"""Label-map files: what a PNG holds, and how its values or colours become classes. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError, LabelError
from zoo.files.decoding import one_line, open_image
from zoo.files.depths import refuse_fractions
from zoo.files.mapfaults import color_fault, value_fault
from zoo.files.palettes import by_color, by_palette, color_keys, one_to_one, renumbered
from zoo.files.tally import Tally, color_of, look_up, tally_colors, tally_numbers
from zoo.labels import IGNORE, Color, LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True, eq=False)
class MapFile:
    """A decoded map file: numbers or colours.

    values: uint8 or int32 [H, W], or None if it holds colours. colors: uint8 [H, W, 3], or None if it holds numbers. palette:
    uint8 [256, 3], the colours of the numbers, or None if it has none or one that leaves some of them out.
    """

    path: Path
    mode: str
    values: np.ndarray | None
    colors: np.ndarray | None = None
    palette: np.ndarray | None = None
    grey_as_rgb: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        array = self.values if self.values is not None else self.colors
        assert array is not None
        return int(array.shape[0]), int(array.shape[1])

    @cached_property
    def tally(self) -> Tally:
        """How often each number, or each colour's code, occurs."""
        if self.values is not None:
            return tally_numbers(self.values)
        assert self.colors is not None
        return tally_colors(self.colors)

    def counts(self, most: int) -> dict[int, int] | dict[Color, int]:
        """Pixels of the `most` lowest numbers, or of the `most` most frequent colours, in that order."""
        if self.values is not None:
            return dict(self.tally.first(most))
        return {color_of(code): count for code, count in self.tally.top(most)}


def read_map_file(path: Path | str) -> MapFile:
    """Decode a map file without converting values: palette and grey files give numbers, RGB files colours.

    A grey map saved as RGB (all channels equal) gives numbers. Raises DataError for unreadable files and for
    transparency, which says nothing about classes.
    """
    return map_file(Path(path), open_image(path, exact=True))


def map_file(path: Path, image: Image) -> MapFile:
    """`read_map_file` of a picture that is decoded already. path: for the messages."""
    with one_line(path):
        return _map_file(path, image)


def _map_file(path: Path, image: Image) -> MapFile:
    refuse_fractions(path, image)
    mode, form = image.mode, image.format
    if mode in ("RGBA", "LA", "PA"):
        alpha = np.asarray(image.getchannel("A"))
        if alpha.min() < 255:
            raise DataError(
                f"{path}: {int((alpha < 255).sum())} pixels are transparent; a label map needs a class in every pixel: flatten the layers first."
            )
        image = image.convert({"RGBA": "RGB", "LA": "L", "PA": "P"}[mode])
    if image.mode == "P":
        values = np.array(image)
        palette = _palette(image, values)
        return _gif(path, mode, values, palette) if form == "GIF" else MapFile(path, mode, values, palette=palette)
    if image.mode in ("1", "L", "I", "I;16", "I;16B", "F"):
        return MapFile(path, mode, np.asarray(image).astype(np.uint8 if image.mode in ("1", "L") else np.int32))
    colors = np.asarray(image.convert("RGB"))
    if (colors[..., 0] == colors[..., 1]).all() and (colors[..., 0] == colors[..., 2]).all():
        return MapFile(path, mode, colors[..., 0].copy(), grey_as_rgb=True)
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


def _gif(path: Path, mode: str, values: np.ndarray, palette: np.ndarray | None) -> MapFile:
    """A GIF by its colours: its numbers mean nothing, as Pillow and others leave unused ones out and count again when they write.

    A palette of greys is a grey map's, whose numbers the greys are.
    """
    if palette is None:
        raise DataError(f"{path}: some numbers have no colour in its palette: save the map as PNG.")
    shown = palette[np.unique(values)]
    if (shown == shown[:, :1]).all():
        return MapFile(path, mode, look_up(palette[:, 0], values))
    return MapFile(path, mode, None, palette[values])


def _palette(image: Image, values: np.ndarray) -> np.ndarray | None:
    """The palette, black where it has no entry; None where a value (other than 255, "unlabeled") has none."""
    palette = np.zeros((256, 3), np.uint8)
    entries = np.asarray(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)
    palette[: len(entries)] = entries
    if ((values >= len(entries)) & (values != IGNORE)).any():
        return None
    return palette


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
    table = class_table(file, space)
    if table is None:
        raise LabelError(value_fault(file, space))
    return look_up(table, file.values)


def class_table(file: MapFile, space: LabelSpace) -> np.ndarray | None:
    """The class that `to_values` reads each number as, uint8 [256] (0 for those that do not occur); None if it refuses the file."""
    if file.values is None:
        return None
    shown = file.tally.keys
    legal = (shown >= 0) & (shown < len(space))
    if space.ignore:
        legal |= shown == IGNORE
    fits = bool(legal.all()) and file.mode != "1"
    if file.palette is not None:
        found = by_palette(file, space)
        if found is not None and (renumbered(file, space, found) if fits else one_to_one(file)):
            return found
    if not fits:
        return None
    table = np.zeros(256, np.uint8)
    table[shown] = shown
    return table


def read_by_colors(file: MapFile, space: LabelSpace) -> bool:
    """True of a file of numbers that `to_values` reads as other numbers."""
    table = class_table(file, space)
    return table is not None and bool((table[file.tally.keys] != file.tally.keys).any())


def fitting_spaces(file: MapFile, spaces: Sequence[LabelSpace]) -> list[str]:
    """Names of the label spaces in which the file is legal as it stands."""
    if file.values is None:
        return [space.name for space in spaces if file.tally.within(color_keys(space))]
    return [space.name for space in spaces if class_table(file, space) is not None]
