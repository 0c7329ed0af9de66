"""What is wrong with a map file that does not fit a label space, and the likely fix. No torch in here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.files.mapkinds import BINARY, binary, factor_of, factor_text, smoothed, smoothed_text, swapped_space
from zoo.files.palettes import color_keys
from zoo.files.tally import color_of
from zoo.labels import IGNORE, Color, LabelSpace

if TYPE_CHECKING:
    from zoo.files.mapfiles import MapFile

SHOWN = 24


def value_fault(file: MapFile, space: LabelSpace) -> str:
    """The message for a file whose values do not fit the space."""
    valid = f"0..{len(space) - 1}" + (" and 255 (unlabeled)" if space.ignore else "")
    return (
        f"{file.path}: not a label map of {space.name!r}. Values found (pixels): {_histogram(file)}."
        f" Valid values: {valid}. {likely_fix(file, space)}"
    )


def likely_fix(file: MapFile, space: LabelSpace) -> str:
    """One sentence on what to do with a file of numbers that does not fit the space."""
    assert file.values is not None
    values = file.tally.keys
    classes = len(space)
    general = general_fix(file)
    if general is not None:
        return general
    if values[-1] == IGNORE and (values[:-1] < classes).all():
        return f"255 usually means 'unlabeled', which {space.name!r} does not have: repaint those pixels with a class."
    if values[0] >= 1 and values[-1] == classes:
        return "All values are one too high (1 is the first class here): subtract 1."
    if len(values) > max(40, 2 * classes):
        return many_values(len(values))
    return f'If the map belongs to another label space, name it (<<mask_space="NAME">>; known: zoo labels); the classes are listed by: zoo labels {space.name}.'


def general_fix(file: MapFile) -> str | None:
    """What to do with a file of numbers that is a map of no label space as it stands; None where that depends on the space."""
    if binary(file):
        return BINARY
    assert file.values is not None
    factor = factor_of(file.tally.keys)
    return factor_text(factor) if factor is not None else None


def many_values(count: int) -> str:
    """What to do with more values than classes."""
    return (
        f"{count} different values look like a photo, or like a map resized with interpolation or saved as JPEG:"
        " use the original map, resize with nearest neighbour, save as PNG."
    )


def color_fault(file: MapFile, space: LabelSpace) -> str:
    """The message for a colour-coded file with colours that are no class's."""
    known = file.tally.places(color_keys(space))
    strange = [color_of(code) for code, _ in file.tally.top(4, known.tolist())]
    nearest = [f"{c} (nearest: {_nearest(c, space)})" for c in strange[:3]]
    around = smoothed(file, [space])
    if swapped_space(file, [space]) is not None:
        fix = "They are its colours with red and blue swapped (OpenCV writes BGR): swap them back."
    elif around is not None and around[1] > 3:
        fix = smoothed_text(*around)
    elif len(file.tally) > 4 * len(space):
        fix = "So many colours come from a photo, from JPEG or from smoothing: save the map as PNG, resized with nearest neighbour."
    else:
        fix = f"Use the colours of this space (zoo labels {space.name}) or class numbers."
    return (
        f"{file.path}: colours that are no class of {space.name!r}: {', '.join(nearest)}"
        f"{', …' if len(strange) > 3 else ''}. Colours found (pixels): {_histogram(file)}. {fix}"
    )


def _nearest(color: Color, space: LabelSpace) -> str:
    best = min(space.classes, key=lambda cls: sum((a - b) ** 2 for a, b in zip(cls.color, color, strict=True)))
    return f"{best.name} {best.color}"


def _histogram(file: MapFile) -> str:
    text = ", ".join(f"{key}: {count}" for key, count in file.counts(SHOWN).items())
    return text + (f", … {len(file.tally)} in all" if len(file.tally) > SHOWN else "")
