"""Sampling options of the offered models, as `--opt` has them: told to the page, read from its jobs as text. No torch in here."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from zoo.composition.request.options import split_options
from zoo.errors import UsageError, ZooError
from zoo.files.jsonfiles import field, named
from zoo.web.offers import Offer

MOST = 64
"""Options in one job."""
TEXT = 256
"""Characters of a value."""
TRUTH = ("true", "false")

Pairs = tuple[tuple[str, str], ...]


def told_options(offer: Offer) -> list[dict[str, Any]]:
    """For the page: [{"name", "default" (text), "choices" (texts; [] where any text may stand)}]."""
    try:
        cls = offer.options
    except ZooError:  # its model says so, too, once it is asked for
        return []
    if cls is None:
        return []
    hints = typing.get_type_hints(cls)
    return [
        {"name": f.name, "default": _written(f.default), "choices": [_written(c) for c in _choices(hints[f.name])]}
        for f in dataclasses.fields(cls)
        if f.default is not dataclasses.MISSING
    ]


def _choices(hint: Any) -> tuple[Any, ...]:
    if hint is bool:
        return TRUTH
    return typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()


def _written(value: Any) -> str:
    """As it is typed after `--opt KEY=`."""
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def read_options(job: Mapping[str, Any], offer: Offer) -> Pairs:
    """The options of a job, {"NAME": "text"}, looked at by the model's own class. Raises UsageError."""
    entry = field(job, "options", dict, None, where="job", default=None, error=UsageError) or {}
    if len(entry) > MOST:
        raise UsageError(f"A job has at most {MOST} options, got {len(entry)}.")
    for name, value in entry.items():
        if not isinstance(value, str) or len(value) > TEXT:
            raise UsageError(f"options: {named(name)} is a text of at most {TEXT} characters, got {named(value)}.")
    pairs = tuple(entry.items())
    built_options(pairs, offer)
    return pairs


def built_options(pairs: Pairs, offer: Offer) -> dict[str, Any]:
    """What the model's calls take beside their arguments: `options=` where it has an option class. Raises UsageError."""
    built = split_options(pairs, {offer.id: offer.options})
    return {"options": built[offer.id]} if offer.id in built else {}
