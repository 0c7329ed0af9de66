"""Configs are frozen dataclasses of plain values. This turns them into JSON and back, and applies overrides.

A config may come from a stranger's folder, and a network is built from it: so every value has a bound, held here before the class is
made. A field that needs another one than `SIZE` says so: `side: int = at_most(4096, 128)`.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from zoo.errors import ConfigError, did_you_mean, shown

C = TypeVar("C")
SIZE = 1 << 16
"""Largest whole number in a network's config: a width, a count, a side."""
NUMBER = 1 << 63
"""Largest whole number in other configs (a seed)."""
TEXT = 10_000
"""Characters of the longest text."""
ENTRIES = 1024
"""Most entries of a list or mapping."""
SIDE = 4096
"""Largest side of pictures and of planes inside a network."""


def at_most(most: float, default: Any) -> Any:
    """A field of a config whose numbers (each of them, in a list) lie in -most..most."""
    return dataclasses.field(default=default, metadata={"most": most})


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a config as JSON-able values (tuples become lists)."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def from_dict(
    cls: type[C], values: Mapping[str, Any], *, complete: bool = False, network: bool = False, where: str = ""
) -> C:
    """Build a config. `complete` demands every field (model folders); otherwise absent fields take their default. `network`: a
    network will be built from it, so whole numbers are bounded by `SIZE` and not by `NUMBER`.

    Raises ConfigError that lists all faults together: unknown fields with near misses, missing, ill-typed and far too large ones.
    """
    hints = typing.get_type_hints(cls)
    fields = dataclasses.fields(cls)  # pyright: ignore[reportArgumentType]
    names = [f.name for f in fields]
    odd = [str(k) for k in values if k not in names]
    faults = [f"unknown field {shown(repr(k), 200)}{did_you_mean(k, names)}" for k in odd[:10]]
    needed = {f.name for f in fields if complete or (f.default is f.default_factory is dataclasses.MISSING)}
    faults += [f"missing field {n!r}" for n in names if n in needed and n not in values]
    built: dict[str, Any] = {}
    for f in fields:
        if f.name in values:
            try:
                built[f.name] = coerce(values[f.name], hints[f.name])
                _check_bounds(built[f.name], f.metadata.get("most", SIZE if network else NUMBER))
            except ValueError as error:
                faults.append(f"field {f.name!r}: {error}")
    if faults:
        raise ConfigError(f"{where or cls.__name__}: " + "; ".join(faults) + ".")
    try:
        return cls(**built)
    except (ValueError, TypeError, ArithmeticError) as error:  # sizes that a class did not think of
        raise ConfigError(f"{where or cls.__name__}: {error}") from error


def override(config: C, changes: Mapping[str, Any], *, network: bool = False, where: str = "") -> C:
    """A copy with these fields changed; text values are read by the field's type. Raises ConfigError."""
    return from_dict(type(config), {**to_dict(config), **changes}, network=network, where=where)


def _check_bounds(value: Any, most: float, depth: int = 8) -> None:
    """Raises ValueError for numbers that are not finite or beyond `most`, and for texts, lists and mappings without end."""
    if isinstance(value, str):
        if len(value) > TEXT:
            raise ValueError(f"a text of {len(value)} characters; at most {TEXT}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"expected a finite number, got {value}")
    elif isinstance(value, int) and not isinstance(value, bool) and abs(value) > most:
        raise ValueError(f"{shown(value)} is too large; at most {most:g}")
    elif isinstance(value, tuple | list | Mapping):
        if len(value) > ENTRIES or not depth:
            raise ValueError(f"{len(value)} entries; at most {ENTRIES}" if depth else "nested too deeply")
        for entry in (*value.keys(), *value.values()) if isinstance(value, Mapping) else value:
            _check_bounds(entry, most, depth - 1)


def coerce(value: Any, kind: Any) -> Any:
    """`value` (JSON or text of the command line) as `kind`. Raises ValueError saying what was expected."""
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _coerce_union(value, args)
    if origin is typing.Literal:
        for choice in args:
            if value == choice or (isinstance(value, str) and value == str(choice)):
                return choice
        raise ValueError(f"expected one of {', '.join(map(repr, args))}, got {shown(repr(value))}")
    if origin is tuple:
        return _coerce_tuple(value, args)
    if kind is Any:
        return value
    if origin is dict or kind is dict:
        if isinstance(value, Mapping):
            return dict(value)
    elif kind is bool:
        return _coerce_bool(value)
    elif kind is str:
        if isinstance(value, str):
            return value
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            number = kind(value) if isinstance(value, str | kind) or kind is float else None
        except (TypeError, ValueError, OverflowError):
            number = None
        if number is not None:
            return number
    raise ValueError(f"expected {getattr(kind, '__name__', kind)}, got {shown(repr(value))}")


def _coerce_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return value.lower() in ("true", "yes", "on", "1")
    raise ValueError(f"expected true or false, got {shown(repr(value))}")


def _coerce_union(value: Any, args: tuple[Any, ...]) -> Any:
    if type(None) in args and (value is None or (isinstance(value, str) and value.lower() in ("none", "null"))):
        return None
    expected = [a for a in args if a is not type(None)]
    for kind in sorted(expected, key=lambda k: k is str):  # text fits everything, so it comes last
        try:
            return coerce(value, kind)
        except ValueError:
            continue
    raise ValueError(f"expected {' or '.join(getattr(a, '__name__', str(a)) for a in args)}, got {shown(repr(value))}")


def _coerce_tuple(value: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    if isinstance(value, str):
        value = [v.strip() for v in value.strip("()[] ").split(",") if v.strip()]
    if not isinstance(value, tuple | list):
        raise ValueError(f"expected a list, got {shown(repr(value))}")
    if len(value) > ENTRIES:
        raise ValueError(f"{len(value)} entries; at most {ENTRIES}")
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(coerce(v, args[0]) for v in value)
    if len(value) != len(args):
        raise ValueError(f"expected {len(args)} values, got {len(value)}")
    return tuple(coerce(v, a) for v, a in zip(value, args, strict=True))
