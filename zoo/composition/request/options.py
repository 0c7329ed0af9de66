"""Sampling options: which of a request's options go to which model, read by the fields of the models' option classes. No torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.configs import from_dict
from zoo.errors import ConfigError, UsageError, did_you_mean


def split_options(pairs: Sequence[tuple[str, Any]], classes: Mapping[str, type | None]) -> dict[str, Any]:
    """For each model (by role or name) with an option class: its options, defaults where nothing is said.

    A key that several models have goes to all of them. Raises UsageError for a key that none has, or a bad value.
    """
    known = {model: [f.name for f in dataclasses.fields(cls)] for model, cls in classes.items() if cls is not None}
    names = sorted({n for fields in known.values() for n in fields})
    for key, _ in pairs:
        if key not in names:
            options = (
                f"{did_you_mean(key, names)} (options: {', '.join(names)})"
                if names
                else ": these models have no options"
            )
            raise UsageError(f"No option {key!r}{options}.")
    built = {}
    for model, fields in known.items():
        cls = classes[model]
        assert cls is not None
        try:
            built[model] = from_dict(cls, {k: v for k, v in pairs if k in fields}, where="<<options>>")
        except ConfigError as error:
            raise UsageError(*error.args) from error
    return built
