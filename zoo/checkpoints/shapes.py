"""Detection of official checkpoints: reading configs off keys and shapes, and comparing a file with the network they describe."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from zoo.errors import ZooError
from zoo.registry import Match

Shapes = Mapping[str, tuple[int, ...]]
Names = Callable[[Collection[str]], Mapping[str, str]]
"""Our keys of a network -> the official name of each."""
Place = tuple[str, int, int]
"""Where a number can be read: keys that match a pattern whole, the axis of their shape, and the multiple that stands there."""

LARGEST = 1 << 16
"""Larger sizes are no widths, numbers of classes or latents of any network."""
MOST = 16
"""More numbered layers of one kind than this are not counted."""


def vote(shapes: Shapes, *places: Place) -> int:
    """What most places say, so that single keys that lack or misfit do no harm; 0 where none says anything."""
    votes: Counter[int] = Counter()
    for pattern, axis, multiple in places:
        compiled = re.compile(pattern)
        for key, shape in shapes.items():
            if len(shape) <= axis or not compiled.fullmatch(key):
                continue
            if 0 < shape[axis] <= LARGEST and shape[axis] % multiple == 0:
                votes[shape[axis] // multiple] += 1
    return votes.most_common(1)[0][0] if votes else 0


def has(shapes: Shapes, pattern: str) -> bool:
    """Whether some key matches the pattern whole."""
    compiled = re.compile(pattern)
    return any(compiled.fullmatch(key) for key in shapes)


def numbers(shapes: Shapes, pattern: str) -> list[int]:
    """The different numbers that the pattern's first group finds in the keys, ascending, at most `MOST`."""
    compiled = re.compile(pattern, re.ASCII)
    values = {int(m[1]) for key in shapes if (m := compiled.fullmatch(key)) and len(m[1]) <= 4}
    return sorted(values)[:MOST]


def numbered(count: int) -> dict[str, Any]:
    """Config fields of classes whose names the file does not tell."""
    return {"label_space": "numbered", "channels": tuple(f"label_{i}" for i in range(count))}


class _Unfilled(TorchFunctionMode):
    """Draws no weights: on the meta device there is nothing to draw, and the first `normal_` there takes seconds."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("normal_", "uniform_"):
            return (*args, *kwargs.values())[0]
        if name == "randn":
            return torch.empty(*args, **kwargs)
        return func(*args, **kwargs)


def compare(
    role: str,
    shapes: Shapes,
    build: Callable[[], nn.Module],
    names: Names,
    config: Mapping[str, Any],
    defaults: type,
    ambiguous: tuple[str, ...] = (),
    constants: Shapes | None = None,
) -> Match | None:
    """A file against the network that `build` makes (on the meta device: no memory); None if not one key fits.

    names: official names of our keys. config: the fields that were read; those that equal the class `defaults` are left out.
    constants: keys of the file that are no part of our network.
    """
    try:
        with torch.device("meta"), _Unfilled():
            ours = build().state_dict()
    except (ZooError, ValueError, RuntimeError, ArithmeticError):  # sizes that no such network has
        return None
    theirs = names(ours)
    expected = {theirs[key]: tuple(value.shape) for key, value in ours.items()} | dict(constants or {})
    misfit = sorted(k for k, shape in shapes.items() if k in expected and tuple(shape) != expected[k])
    unknown = sorted(k for k in shapes if k not in expected)
    matched = len(shapes) - len(misfit) - len(unknown)
    if not matched:
        return None
    return Match(
        role=role,
        config={k: v for k, v in config.items() if v != getattr(defaults, k)},
        ambiguous=ambiguous,
        missing=tuple(sorted(k for k in expected if k not in shapes)),
        unknown=tuple(unknown),
        misfit=tuple(misfit),
        matched=matched,
    )
