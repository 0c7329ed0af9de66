"""Plans: what a generator derives from the map alone, as nested tuples and dataclasses of tensors [B, ...]."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar, cast

from torch import Tensor

T = TypeVar("T")


def map_plan(function: Callable[..., Tensor], first: T, *others: T) -> T:
    """A plan like `first` with function(tensor, *the same of the others) at every tensor; anything else stays as it is."""
    if isinstance(first, Tensor):
        return cast(T, function(first, *others))
    if isinstance(first, tuple):
        parts = [map_plan(function, *p) for p in zip(first, *cast("tuple[tuple, ...]", others), strict=True)]
        return cast(T, type(first)(*parts) if hasattr(first, "_fields") else tuple(parts))
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        values: dict[str, Any] = {
            f.name: map_plan(function, getattr(first, f.name), *(getattr(o, f.name) for o in others))
            for f in dataclasses.fields(first)
        }
        return cast(T, dataclasses.replace(first, **values))
    return first


def splice(old: T, new: T, rows: list[int]) -> T:
    """`old` with these rows replaced by those of `new`, in order."""

    def replaced(before: Tensor, after: Tensor) -> Tensor:
        out = before.clone()
        out[rows] = after.to(out.dtype)
        return out

    return map_plan(replaced, old, new)
