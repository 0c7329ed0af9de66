"""Colours of a map file as classes: when a palette says more than the numbers, and when nothing. No torch in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zoo.labels import IGNORE, Color, LabelSpace, voc_color

if TYPE_CHECKING:
    from zoo.files.mapfiles import MapFile


def palette_matches(file: MapFile, space: LabelSpace) -> bool:
    """True if a palette file shows the space's own colours at the space's own numbers."""
    if file.values is None or file.colors is None:
        return False
    found = by_palette(file, space)
    return found is not None and bool((file.values == found).all())


def by_palette(file: MapFile, space: LabelSpace) -> np.ndarray | None:
    """Class values by the palette's colours; 255 has no colour of its own and stays where the space knows "unlabeled"."""
    assert file.values is not None and file.colors is not None
    if not space.ignore:
        return by_color(file.colors, space)
    unlabeled = file.values == IGNORE
    found = by_color(np.where(unlabeled[..., None], np.asarray(space.palette[0], np.uint8), file.colors), space)
    return None if found is None else np.where(unlabeled, np.uint8(IGNORE), found)


def by_color(colors: np.ndarray, space: LabelSpace) -> np.ndarray | None:
    """Class values of colours uint8 [..., 3], or None if one is no class's."""
    table = {_code(c): v for v, cls in reversed(list(enumerate(space.classes))) for c in (*cls.colors, cls.color)}
    codes = color_codes(colors)
    known = sorted(table)
    keys = np.asarray(known, np.int32)
    places = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
    if (keys[places] != codes).any():
        return None
    return np.asarray([table[code] for code in known], np.uint8)[places]


def color_codes(colors: np.ndarray) -> np.ndarray:
    """Each colour of uint8 [..., 3] as one number, int32 [...]: red * 65536 + green * 256 + blue."""
    parts = colors.astype(np.int32)
    return parts[..., 0] << 16 | parts[..., 1] << 8 | parts[..., 2]


def _code(color: Color) -> int:
    return color[0] << 16 | color[1] << 8 | color[2]


def used_colors(file: MapFile) -> dict[int, Color]:
    """The palette's colour at each number that occurs, but for 255."""
    assert file.values is not None and file.colors is not None
    values, first = np.unique(file.values, return_index=True)
    flat = file.colors.reshape(-1, 3)[first].tolist()
    return {int(v): (c[0], c[1], c[2]) for v, c in zip(values, flat, strict=True) if v != IGNORE}


def voc_palette(file: MapFile) -> bool:
    """True of a palette that is Pascal VOC's where it is used: tools give it to maps of any label space."""
    if file.values is None or file.colors is None:
        return False
    used = used_colors(file)
    return max(used, default=0) > 0 and all(color == voc_color(value) for value, color in used.items())


def one_to_one(file: MapFile) -> bool:
    """True if no two numbers share a colour, so that the colours say as much as the numbers."""
    used = used_colors(file)
    return len(set(used.values())) == len(used)


def renumbered(file: MapFile, space: LabelSpace, found: np.ndarray) -> bool:
    """True if numbers that would be legal cannot be meant: the palette shows a colour of the space at each of them, each
    another, and at another number than the class's. found: the classes by colour.

    It says nothing where the colours are nobody's own: Pascal VOC's, or a space's that shares one among classes.
    """
    distinct = len({c for cls in space.classes for c in (cls.color, *cls.colors)}) >= len(space)
    return (
        distinct
        and not space.voc_colored
        and not voc_palette(file)
        and one_to_one(file)
        and bool((file.values != found).any())
    )


def palette_doubt(file: MapFile, space: LabelSpace, labels: np.ndarray) -> str | None:
    """What is to be said where numbers and palette disagree, as the end of a sentence that begins with the file; None: nothing.

    labels: the classes as `to_values` read them.
    """
    if file.values is None or file.colors is None:
        return None
    if (labels != file.values).any():
        legal = file.values.max() < len(space) or (space.ignore and _legal(file.values, space))
        return f"is read by the colours of its palette, which are those of {space.name}: " + (
            "they stand at other numbers, as a picture tool leaves them" if legal else "its numbers are no classes"
        )
    found = by_palette(file, space)
    if found is None or (found == labels).all():
        return None
    if voc_palette(file):
        why = "is Pascal VOC's, which tools give to any map"
    elif not one_to_one(file):
        why = "shows several numbers in one colour"
    else:
        why = f"shows colours that do not tell the classes of {space.name} apart"
    return f"is read by its numbers; its palette {why}"


def _legal(values: np.ndarray, space: LabelSpace) -> bool:
    return bool(((values < len(space)) | (values == IGNORE)).all())
