"""Classes that a tool knows by name: a label space of the names, and the number of a name in it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.errors import LabelError
from zoo.files import jsonfiles
from zoo.files.classfiles import BACKGROUNDS, LEFT_OUT
from zoo.labels import IGNORE, Color, LabelClass, LabelSpace, voc_color


def space_of(
    names: Iterable[str], title: str, colors: dict[str, Color] | None = None, *, ignore: bool = False
) -> LabelSpace:
    """The names in their order, a background first (one is put there if none is among them, unless `ignore`).

    ignore: what nobody labelled is 255 where no class is a background. Raises LabelError.
    """
    listed = [n for n in dict.fromkeys(names) if n.casefold() != "__ignore__"]
    background = next((n for n in listed if n.casefold() in BACKGROUNDS), None)
    if background is None and not ignore:
        background = "background"
    ordered = ([background] if background is not None else []) + [n for n in listed if n != background]
    colors = colors or {}
    classes = []
    for value, name in enumerate(ordered):
        aliases = ("background",) if name == background and "background" not in ordered else ()
        classes.append(LabelClass(name, colors.get(name, voc_color(value)), aliases))
    return LabelSpace(title, tuple(classes), background, ignore)


def value_of(name: str, space: LabelSpace, path: Path) -> int:
    """The number of a class by its name. Raises LabelError naming the file."""
    if space.ignore and space.find(name) is None and name.casefold() in LEFT_OUT:
        return IGNORE
    try:
        return space.index(name)
    except LabelError as error:
        raise LabelError(f"{path}: {error}") from error


def empty_value(space: LabelSpace) -> int:
    """What a pixel is that nobody labelled: the background, else 255 where it is legal, else the first class."""
    if space.background_index is not None:
        return space.background_index
    return IGNORE if space.ignore else 0


LARGEST = 1 << 30
"""Bytes of a JSON file with the annotations of a whole data set."""


def read_json(path: Path) -> Any:
    """Raises DataError for a file that is no JSON."""
    return jsonfiles.read_json(path, object, limit=LARGEST)
