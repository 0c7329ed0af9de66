"""Colours of a map file as classes: when a palette says more than the numbers, and when nothing. No torch in here."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from zoo.files.tally import code_of, color_codes, strips
from zoo.labels import IGNORE, Color, LabelSpace, voc_color

if TYPE_CHECKING:
    from zoo.files.mapfiles import MapFile


def palette_matches(file: MapFile, space: LabelSpace) -> bool:
    """True if a palette file shows the space's own colours at the space's own numbers."""
    if file.palette is None:
        return False
    found = by_palette(file, space)
    return found is not None and bool((found[file.tally.keys] == file.tally.keys).all())


def by_palette(file: MapFile, space: LabelSpace) -> np.ndarray | None:
    """The class of each number by its colour in the palette, uint8 [256] (0 for those that do not occur), or None if one is no
    class's; 255 has no colour of its own and stays where the space knows "unlabeled"."""
    assert file.palette is not None
    shown = file.tally.keys
    if space.ignore:
        shown = shown[shown != IGNORE]
    found = by_color(file.palette[None, shown], space)
    if found is None:
        return None
    table = np.zeros(256, np.uint8)
    table[shown] = found[0]
    if space.ignore:
        table[IGNORE] = IGNORE
    return table


@cache
def _color_table(space: LabelSpace) -> tuple[np.ndarray, np.ndarray]:
    """The codes of a space's colours, int32, ascending, and the class of each; of classes that share one the first."""
    table = {code_of(c): v for v, cls in reversed(list(enumerate(space.classes))) for c in (*cls.colors, cls.color)}
    known = sorted(table)
    return np.asarray(known, np.int32), np.asarray([table[code] for code in known], np.uint8)


def color_keys(space: LabelSpace) -> np.ndarray:
    """The codes of all colours of a space, int32, ascending."""
    return _color_table(space)[0]


def by_color(colors: np.ndarray, space: LabelSpace) -> np.ndarray | None:
    """Class values uint8 [H, W] of colours uint8 [H, W, 3], or None if one is no class's."""
    keys, classes = _color_table(space)
    found = np.empty(colors.shape[:2], np.uint8)
    for rows in strips(found.shape):
        codes = color_codes(colors[rows])
        places = np.searchsorted(keys, codes).clip(max=len(keys) - 1)
        if (keys[places] != codes).any():
            return None
        found[rows] = classes[places]
    return found


def used_colors(file: MapFile) -> dict[int, Color]:
    """The palette's colour at each number that occurs, but for 255."""
    assert file.palette is not None
    rows = file.palette.tolist()
    return {v: (rows[v][0], rows[v][1], rows[v][2]) for v in file.tally.keys.tolist() if v != IGNORE}


def voc_palette(file: MapFile) -> bool:
    """True of a palette that is Pascal VOC's where it is used: tools give it to maps of any label space."""
    if file.palette is None:
        return False
    used = used_colors(file)
    return max(used, default=0) > 0 and all(color == voc_color(value) for value, color in used.items())


def one_to_one(file: MapFile) -> bool:
    """True if no two numbers share a colour, so that the colours say as much as the numbers."""
    used = used_colors(file)
    return len(set(used.values())) == len(used)


def renumbered(file: MapFile, space: LabelSpace, found: np.ndarray) -> bool:
    """True if numbers that would be legal cannot be meant: the palette shows a colour of the space at each of them, each
    another, and at another number than the class's. found: the classes by colour (`by_palette`).

    It says nothing where the colours are nobody's own: Pascal VOC's, or a space's that shares one among classes.
    """
    distinct = len({c for cls in space.classes for c in (cls.color, *cls.colors)}) >= len(space)
    return (
        distinct
        and not space.voc_colored
        and not voc_palette(file)
        and one_to_one(file)
        and bool((found[file.tally.keys] != file.tally.keys).any())
    )


def palette_doubt(file: MapFile, space: LabelSpace, labels: np.ndarray) -> str | None:
    """What is to be said where numbers and palette disagree, as the end of a sentence that begins with the file; None: nothing.

    labels: the classes as `to_values` read them.
    """
    if file.values is None or file.palette is None:
        return None
    if (labels != file.values).any():
        shown = file.tally.keys
        legal = shown[-1] < len(space) or (space.ignore and _legal(shown, space))
        return f"is read by the colours of its palette, which are those of {space.name}: " + (
            "they stand at other numbers, as a picture tool leaves them" if legal else "its numbers are no classes"
        )
    found = by_palette(file, space)
    if found is None or (found[file.tally.keys] == file.tally.keys).all():  # the labels are the numbers here
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
