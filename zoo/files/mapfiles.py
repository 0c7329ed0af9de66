"""Label-map files: what a PNG holds, and how its values or colours become classes. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError, LabelError
from zoo.files.depths import refuse_fractions
from zoo.files.images import open_image
from zoo.labels import IGNORE, Color, LabelSpace

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN = 24


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
    return map_file(Path(path), open_image(path))


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

    Plain numbers are class values. Colours are looked up in the space's colours. A palette file whose colours all
    belong to the space, but not at the numbers they stand at, is read by its colours (a picture tool renumbered them).
    Raises LabelError with the histogram, the valid range and the likely fix.
    """
    if file.values is not None and file.colors is not None:  # palette
        by_color = _by_palette(file, space)
        if by_color is not None and not _palette_agrees(file, space, by_color):
            return by_color
    if file.values is not None:
        legal = (file.values >= 0) & (file.values < len(space))
        if space.ignore:
            legal |= file.values == IGNORE
        if legal.all() and file.mode != "1":
            return file.values.astype(np.uint8)
        raise LabelError(value_fault(file, space))
    assert file.colors is not None
    by_color = _by_color(file.colors, space)
    if by_color is None:
        raise LabelError(color_fault(file, space))
    return by_color


def _palette_agrees(file: MapFile, space: LabelSpace, by_color: np.ndarray) -> bool:
    """True if the palette's numbers can be taken as they stand: equal to the colours' classes, or the colours are ambiguous."""
    assert file.values is not None
    if len({c for cls in space.classes for c in (cls.color, *cls.colors)}) < len(space):
        return True
    return bool((file.values == by_color).all())


def palette_matches(file: MapFile, space: LabelSpace) -> bool:
    """True if a palette file shows the space's own colours at the space's own numbers."""
    if file.values is None or file.colors is None:
        return False
    by_color = _by_palette(file, space)
    return by_color is not None and bool((file.values == by_color).all())


def _by_palette(file: MapFile, space: LabelSpace) -> np.ndarray | None:
    """Class values by the palette's colours; 255 has no colour of its own and stays where the space knows "unlabeled"."""
    assert file.values is not None and file.colors is not None
    if not space.ignore:
        return _by_color(file.colors, space)
    unlabeled = file.values == IGNORE
    by_color = _by_color(np.where(unlabeled[..., None], np.asarray(space.palette[0], np.uint8), file.colors), space)
    return None if by_color is None else np.where(unlabeled, np.uint8(IGNORE), by_color)


def _by_color(colors: np.ndarray, space: LabelSpace) -> np.ndarray | None:
    """Class values by exact colour, or None if a colour is no class's."""
    table = {_code(c): v for v, cls in reversed(list(enumerate(space.classes))) for c in (*cls.colors, cls.color)}
    codes = (
        colors[..., 0].astype(np.int32) << 16 | colors[..., 1].astype(np.int32) << 8 | colors[..., 2].astype(np.int32)
    )
    known = sorted(table)
    keys = np.asarray(known, np.int32)
    places = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
    if (keys[places] != codes).any():
        return None
    return np.asarray([table[code] for code in known], np.uint8)[places]


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def value_fault(file: MapFile, space: LabelSpace) -> str:
    """The message for a file whose values do not fit the space."""
    counts = file.value_counts()
    valid = f"0..{len(space) - 1}" + (" and 255 (unlabeled)" if space.ignore else "")
    return (
        f"{file.path}: not a label map of {space.name!r}. Values found (pixels): {_histogram(counts)}."
        f" Valid values: {valid}. {likely_fix(file, space)}"
    )


def likely_fix(file: MapFile, space: LabelSpace) -> str:
    """One sentence on what to do with a file of numbers that does not fit the space."""
    values = list(file.value_counts())
    classes = len(space)
    if file.mode == "1" or (len(values) <= 2 and set(values) <= {0, 255}):
        return (
            "This is a binary mask of one part (0/255), not a map of classes:"
            " paint the parts into one map in which each pixel holds its class number."
        )
    if values[-1] == IGNORE and all(v < classes for v in values[:-1]):
        return f"255 usually means 'unlabeled', which {space.name!r} does not have: repaint those pixels with a class."
    if values[0] >= 1 and values[-1] == classes:
        return "All values are one too high (1 is the first class here): subtract 1."
    if len(values) > max(40, 2 * classes) or file.path.suffix.lower() in (".jpg", ".jpeg"):
        return (
            f"{len(values)} different values look like a photo, or like a map resized with interpolation or saved as JPEG:"
            " use the original map, resize with nearest neighbour, save as PNG."
        )
    return f'If the map belongs to another label space, name it (<<mask_space="NAME">>; known: zoo labels); the classes are listed by: zoo labels {space.name}.'


def color_fault(file: MapFile, space: LabelSpace) -> str:
    """The message for a colour-coded file with colours that are no class's."""
    counts = file.color_counts()
    known = {c for cls in space.classes for c in (cls.color, *cls.colors)}
    strange = [c for c in counts if c not in known]
    nearest = [f"{c} (nearest: {_nearest(c, space)})" for c in strange[:3]]
    lossy = len(counts) > 4 * len(space)
    fix = (
        "So many colours come from a photo, from JPEG or from smoothing: save the map as PNG, resized with nearest neighbour."
        if lossy
        else f"Use the colours of this space (zoo labels {space.name}) or class numbers."
    )
    return (
        f"{file.path}: colours that are no class of {space.name!r}: {', '.join(nearest)}"
        f"{', …' if len(strange) > 3 else ''}. Colours found (pixels): {_histogram(counts)}. {fix}"
    )


def _nearest(color: Color, space: LabelSpace) -> str:
    best = min(space.classes, key=lambda cls: sum((a - b) ** 2 for a, b in zip(cls.color, color, strict=True)))
    return f"{best.name} {best.color}"


def _histogram(counts: dict[int, int] | dict[Color, int]) -> str:
    shown = list(counts.items())[:SHOWN]
    text = ", ".join(f"{key}: {count}" for key, count in shown)
    return text + (f", … {len(counts)} in all" if len(counts) > SHOWN else "")


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
