"""The kinds of a request's fields: how a value is read from what a caller wrote, and how it stands in a manifest. No torch in here."""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.composition.request.framing import framing_from_json, read_framing
from zoo.composition.request.labelsets import read_sets, sets_from_json
from zoo.composition.request.likeness import FORMS, MAX_SETS, read_likeness
from zoo.composition.request.scenegraphs import graphs_from_json, read_graphs
from zoo.composition.request.shares import read_shares, shares_from_json
from zoo.composition.request.written import (
    Add,
    EditSpec,
    File,
    StyleSource,
    StyleSpec,
    is_label,
    names_from_json,
    parse_edit,
    parse_options,
    parse_source,
    parse_style,
    shown,
    split_names,
)
from zoo.errors import UsageError
from zoo.files import runfiles
from zoo.labels import LabelSpace, parse_space
from zoo.registry import space_or_file

AGAIN_MOST = 10
"""How often a sample is drawn anew at most where nobody says."""


@dataclass(frozen=True)
class Kind:
    """what: for messages. read: a text, several, or what is in its written form already, as the field's value; raises TypeError.
    to_json, from_json: to and from a manifest; from_json raises TypeError, KeyError."""

    what: str
    read: Callable[[Any], Any]
    to_json: Callable[[Any, Add], Any]
    from_json: Callable[[Any, File], Any]


@dataclass(frozen=True)
class Asked:
    """A field of the request. argument: its name in a Python call; flag: on the command line; later: younger than the first
    manifests, which lack it, so that it stands in a manifest only where it is not the default."""

    name: str
    argument: str
    flag: str
    kind: Kind
    default: Any
    later: bool = False

    def read(self, value: Any) -> Any:
        """The field's value of what a caller wrote. Raises UsageError, LabelError."""
        try:
            return self.kind.read(value)
        except TypeError as error:
            raise UsageError(f"<<{self.argument}>> takes {self.kind.what}, got {value!r}.") from error

    def to_json(self, value: Any, add: Add) -> Any:
        """The value in a manifest."""
        return None if value is None else self.kind.to_json(value, add)

    def from_json(self, value: Any, file: File) -> Any:
        """The value of a manifest. Raises TypeError, KeyError, LabelError."""
        if value is None and self.default is None:
            return None
        return self.kind.from_json(value, file)


def asked(kind: Kind, *, argument: str = "", flag: str = "", later: bool = False) -> dict[str, Any]:
    """What a field of the request says of itself (its metadata); argument and flag where they are not the field's own name,
    later as `Asked` has it."""
    return {"kind": kind, "argument": argument, "flag": flag, "later": later}


def asked_fields(request: type) -> tuple[Asked, ...]:
    """The fields of a dataclass that say what `asked` gives them, in their order."""
    fields = []
    for f in dataclasses.fields(request):
        if f.metadata:
            argument = f.metadata["argument"] or f.name
            flag = f.metadata["flag"] or f"--{argument.replace('_', '-')}"
            fields.append(Asked(f.name, argument, flag, f.metadata["kind"], f.default, f.metadata["later"]))
    return tuple(fields)


def several(value: Any, *single: type) -> tuple[Any, ...]:
    """One thing (a text, a path, one of these classes) or several, as a tuple. Raises TypeError."""
    return (value,) if isinstance(value, (str, Path, *single)) else tuple(value)


def _parsed(parse: Callable[[str], Any], written: type) -> Callable[[Any], Any]:
    """Reads a text, and leaves a written form as it is."""

    def read(value: Any) -> Any:
        if isinstance(value, written):
            return value
        if not isinstance(value, str | Path):
            raise TypeError
        return parse(str(value))

    return read


def _listed(one: Callable[[Any, File], Any]) -> Callable[[Any, File], Any]:
    def from_json(values: Any, file: File) -> tuple[Any, ...]:
        if not isinstance(values, list):
            raise TypeError(f"{shown(values)} is no list")
        return tuple(one(v, file) for v in values)

    return from_json


def _exactly(kind: type) -> Callable[[Any, File], Any]:
    def from_json(value: Any, _: File) -> Any:
        if type(value) is not kind or (isinstance(value, str) and len(value) > runfiles.TEXT):
            raise TypeError(f"{shown(value)} is no {kind.__name__}")
        return value

    return from_json


def _same(value: Any, _: Any = None) -> Any:
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _names(value: Any) -> tuple[str, ...]:
    return split_names(value) if isinstance(value, str) else tuple(_text(v) for v in value)


def _again(value: Any) -> int:
    """True: as often as is usual."""
    return AGAIN_MOST if value is True else operator.index(value)


def _path(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _options(value: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(value.items()) if isinstance(value, Mapping) else parse_options(several(value))


def _size(value: Any) -> tuple[int, int]:
    """`N`, `W,H`, or the same as numbers."""
    if isinstance(value, str):
        value = [int(part) if part.strip().isdecimal() else None for part in value.split(",")]
    sides = (value, value) if isinstance(value, int) else tuple(value)
    if len(sides) == 1:
        sides *= 2
    if len(sides) != 2 or any(isinstance(side, bool) for side in sides):
        raise TypeError
    return operator.index(sides[0]), operator.index(sides[1])


def _size_from_json(value: Any, _: File) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or any(type(side) is not int for side in value):
        raise TypeError(f"{value!r} is no width and height")
    return value[0], value[1]


def _space(value: Any) -> LabelSpace:
    return value if isinstance(value, LabelSpace) else space_or_file(_text(_path(value)))


def _options_from_json(values: Any, _: File) -> tuple[tuple[str, Any], ...]:
    if not isinstance(values, dict) or len(values) > runfiles.NAMES or not all(is_label(key) for key in values):
        raise TypeError(f"{shown(values)} is no dict of options")
    for value in values.values():
        for item in value if isinstance(value, list) else [value]:
            if not (item is None or type(item) in (bool, int, float, str)) or len(str(item)) > runfiles.TEXT:
                raise TypeError(f"{shown(values)} holds no plain values")
    return tuple(values.items())


WHOLE = Kind("a whole number", operator.index, _same, _exactly(int))
FLAG = Kind("True or False", bool, _same, _exactly(bool))
TEXT = Kind("a text", _text, _same, _exactly(str))
NAMES = Kind("class names", _names, lambda v, _: list(v), lambda v, _: names_from_json(v))
SETS = Kind(
    "label sets (a JSON file, or a list of lists of class names)",
    read_sets,
    lambda v, _: [wanted.to_json() for wanted in v],
    lambda v, _: sets_from_json(v),
)
LIKENESS = Kind(
    f"label sets as they occur in something ({FORMS})",
    read_likeness,
    SETS.to_json,
    lambda v, _: sets_from_json(v, MAX_SETS),
)
SHARES = Kind(
    "shares of classes (a text such as hat=.2,eye_g=.3, or a dict)",
    read_shares,
    lambda v, _: dict(v),
    lambda v, _: shares_from_json(v),
)
AGAIN = Kind("how often a sample is drawn anew, or True", _again, _same, _exactly(int))
GRAPHS = Kind(
    "scene graphs (a JSON file, or dicts of objects and relationships)",
    read_graphs,
    lambda v, _: [graph.to_json() for graph in v],
    lambda v, _: graphs_from_json(v),
)
SIZE = Kind("a number of pixels, or a width and a height", _size, lambda v, _: list(v), _size_from_json)
FILE = Kind("a path", lambda v: _text(_path(v)), lambda v, add: add(v), lambda v, file: file(v))
FILES = Kind(
    "paths",
    lambda v: tuple(_path(item) for item in several(v)),
    lambda v, add: [add(item) for item in v],
    _listed(lambda v, file: file(v)),
)
PHOTOS = dataclasses.replace(FILES, to_json=lambda v, add: [add(item, True) for item in v])
"""Paths whose copies lose their metadata."""
EDITS = Kind(
    "edits",
    lambda v: tuple(_parsed(parse_edit, EditSpec)(item) for item in several(v, EditSpec)),
    lambda v, add: [item.to_json(add) for item in v],
    _listed(EditSpec.from_json),
)
STYLES = Kind(
    "styles",
    lambda v: tuple(_parsed(parse_style, StyleSpec)(item) for item in several(v, StyleSpec)),
    lambda v, add: [item.to_json(add) for item in v],
    _listed(StyleSpec.from_json),
)
SOURCE = Kind(
    "a source of a style", _parsed(parse_source, StyleSource), lambda v, add: v.to_json(add), StyleSource.from_json
)
OPTIONS = Kind("sampling options by name", _options, lambda v, _: dict(v), _options_from_json)
FRAMES = Kind(
    'a frame ("auto", "X,Y,SIDE" or "X,Y,SIDE,ANGLE"), or one for each photo',
    read_framing,
    lambda v, _: v.to_json(),
    lambda v, _: framing_from_json(v),
)
SPACE = Kind("a label space", _space, lambda v, _: v.to_json(), lambda v, _: parse_space(v, "manifest"))
