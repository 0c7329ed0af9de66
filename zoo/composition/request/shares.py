"""Wanted shares of classes over a run: `eye_g=.3,hat=.2`, a dict, or what a manifest has. No torch in here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from zoo.composition.request.written import is_label, shown, split_names
from zoo.errors import UsageError
from zoo.files.runfiles import NAMES

Shares: TypeAlias = tuple[tuple[str, float], ...]
"""Each class with the share of samples, from 0 to 1, that shall be asked for it."""


def read_shares(value: Any) -> Shares:
    """The shares of a caller: a text, several texts, a dict or pairs. Raises TypeError for another form, UsageError for shares that are
    none, and for a class that is named twice."""
    if isinstance(value, Mapping):
        pairs = list(value.items())
    elif isinstance(value, str):
        pairs = _of_text(value)
    elif isinstance(value, Iterable):
        pairs = [pair for item in value for pair in (_of_text(item) if isinstance(item, str) else [tuple(item)])]
    else:
        raise TypeError
    if not pairs:
        raise UsageError('<<balance>> names no class: give <<balance={"hat": .2}>>, or leave it out.')
    if len(pairs) > NAMES:
        raise UsageError(f"<<balance>> takes at most {NAMES} classes, got {len(pairs)}.")
    shares: dict[str, float] = {}
    for pair in pairs:
        if len(pair) != 2 or not isinstance(pair[0], str) or not is_label(pair[0]):
            raise TypeError
        if pair[0] in shares:
            raise UsageError(f"<<balance>> names {pair[0]} twice: give one share for it.")
        shares[pair[0]] = _share(*pair)
    return tuple(shares.items())


def _of_text(text: str) -> list[tuple[str, Any]]:
    pairs = []
    for part in split_names(text):
        name, equals, share = (piece.strip() for piece in part.partition("="))
        if not name or not equals:
            raise UsageError(f"<<balance>> takes CLASS=SHARE, for example hat=.2, got {shown(part)}.")
        try:
            pairs.append((name, float(share)))
        except ValueError:
            raise UsageError(f"<<balance>>: the share of {name} is a number from 0 to 1, got {shown(share)}.") from None
    return pairs


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if not 0 <= value <= 1:
        hint = f" ({value:g} of 100 is {value / 100:g})" if 1 < value <= 100 else ""
        raise UsageError(f"<<balance>>: the share of {name} goes from 0 to 1, got {shown(value)}{hint}.")
    return float(value)


def shares_from_json(values: Any) -> Shares:
    """The shares of a manifest. Raises TypeError, UsageError."""
    if not isinstance(values, dict):
        raise TypeError(f"{shown(values)} is no dict of shares")
    try:
        return read_shares(values)
    except TypeError:
        raise TypeError(f"{shown(values)} is no dict of shares") from None
