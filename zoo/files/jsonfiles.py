"""The one reader of JSON that somebody else may have written: bounded in size and depth, and of the type that its reader expects."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import DataError, ZooError

BYTES = 64 * 2**20
"""The most that a JSON file may hold."""
DEPTH = 64
"""How deep objects and lists may lie in each other."""
MISSING: Any = object()

_WORDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
_WORDS[type(None)] = "null"


def read_json(
    path: Path,
    kind: type = dict,
    *,
    error: type[ZooError] = DataError,
    what: str = "",
    limit: int = BYTES,
    by_hand: bool = False,
) -> Any:
    """The value in a JSON file (UTF-8, with or without a byte order mark), of type `kind` at its top.

    error: what is raised, with `path`, for a file that is missing, no regular file, larger than `limit` bytes, no JSON, nested deeper than
    `DEPTH`, with numbers that are not finite, or of another type. what: what it is, for the message ("a manifest"). by_hand: people write
    such files, so a name that stands twice in an object is refused, of which JSON's readers silently take the last.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise error(f"{path} is no ordinary file.")
            if facts.st_size > limit:
                raise error(f"{path} has {facts.st_size} bytes, more than {what or 'such a file'} may have ({limit}).")
            content = file.read(limit + 1)
    except OSError as fault:
        raise error(f"Cannot read {path}: {fault.strerror or fault}.") from fault
    except ValueError as fault:  # a path with a NUL
        raise error(f"Cannot read {path!r}: {fault}.") from fault
    return parse_json(content, kind, where=str(path), error=error, what=what, limit=limit, by_hand=by_hand)


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe that nobody writes to does not wait."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_json(
    content: bytes | str,
    kind: type = dict,
    *,
    where: str,
    error: type[ZooError] = DataError,
    what: str = "",
    limit: int = BYTES,
    by_hand: bool = False,
) -> Any:
    """As `read_json`, of JSON that has been read already; `where` names it in the message."""
    if len(content) > limit:
        raise error(f"{where} has {len(content)} bytes, more than {what or 'such a file'} may have ({limit}).")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content.removeprefix("\ufeff")
        hook = _once if by_hand else None
        value = json.loads(text, parse_constant=_not_finite, parse_float=_finite, object_pairs_hook=hook)
    except RecursionError:
        raise error(f"{where} is no {what.split(' ', 1)[-1] or 'such file'}: its JSON is nested too deep.") from None
    except ValueError as fault:
        raise error(f"{where} is not readable JSON: {fault}.") from fault
    if _deeper(value, DEPTH):
        raise error(f"{where}: its JSON is nested deeper than {DEPTH} levels.")
    if not _is(value, kind):
        raise error(f"{where}: expected {_WORDS.get(kind, kind.__name__)}, got {named(value)}.")
    return value


def field(
    values: Mapping[str, Any],
    name: str,
    *kinds: type | None,
    where: str,
    default: Any = MISSING,
    error: type[ZooError] = DataError,
) -> Any:
    """`values[name]`, of one of `kinds` (None: null); `default` where it is absent. Raises `error` that names the field and what it holds.

    A whole number is a `float`, too; true and false are no numbers.
    """
    if name not in values:
        if default is MISSING:
            raise error(f"{where}: the field {name!r} is missing.")
        return default
    value = values[name]
    types = tuple(type(None) if kind is None else kind for kind in kinds)
    if not any(_is(value, kind) for kind in types):
        expected = " or ".join(_WORDS.get(kind, kind.__name__) for kind in types)
        raise error(f"{where}: the field {name!r} should be {expected}, got {named(value)}.")
    return value


def named(value: Any) -> str:
    """A value of JSON in a message: short, and on one line."""
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _is(value: Any, kind: type) -> bool:
    if kind in (int, float):
        return isinstance(value, (int, float) if kind is float else int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects lie deeper in each other than `levels`."""
    layer: list[Any] = [value]
    for _ in range(levels + 1):
        inner: list[Any] = []
        for item in layer:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return False
        layer = inner
    return any(isinstance(item, dict | list) for item in layer)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{named(twice)} stands twice in one object")
    return values


def _not_finite(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
