"""Are two answers of a model the same, and was all of its randomness asked of the source that it was given?"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zoo.rng import Key, RngLike

Answer = dict[str, Tensor]
"""What a call gave, by name; names that begin with `drawn.` are random numbers that no network has touched."""


@dataclass
class Counted:
    """A source of randomness that counts what is drawn of it."""

    source: RngLike
    draws: list[tuple[Key, ...]]

    @property
    def samples(self) -> tuple[int, ...]:
        """Those of the source."""
        return self.source.samples

    def normal(self, *key: Key, shape: tuple[int, ...]) -> Tensor:
        """As of the source."""
        self.draws.append(key)
        return self.source.normal(*key, shape=shape)

    def uniform(self, *key: Key, shape: tuple[int, ...]) -> Tensor:
        """As of the source."""
        self.draws.append(key)
        return self.source.uniform(*key, shape=shape)

    def within(self, *key: Key) -> Counted:
        """As of the source; counted together."""
        return Counted(self.source.within(*key), self.draws)


def apart(actual: Answer, expected: Answer, *, tolerance: float = 0.0, share: float = 0.0) -> list[str]:
    """Where two answers differ, in words. tolerance: of floats, times the largest expected value above 1; share: of integers
    that may differ. What was drawn has to be equal bit for bit."""
    if actual.keys() != expected.keys():
        return [f"one has {sorted(actual)}, the other {sorted(expected)}"]
    return [
        f"{name}: {text}" for name in actual if (text := _apart(name, actual[name], expected[name], tolerance, share))
    ]


def _apart(name: str, actual: Tensor, expected: Tensor, tolerance: float, share: float) -> str:
    if actual.shape != expected.shape or actual.dtype != expected.dtype:
        return f"{actual.dtype} {tuple(actual.shape)} and {expected.dtype} {tuple(expected.shape)}"
    if name.startswith("drawn.") or not actual.is_floating_point():
        differing = float((actual != expected).double().mean()) if actual.numel() else 0.0
        allowed = 0.0 if name.startswith("drawn.") else share
        return f"{differing:.2%} of the values differ" if differing > allowed else ""
    if not (torch.isfinite(actual).all() and torch.isfinite(expected).all()):
        return "not finite"
    largest = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    off = float((actual - expected).abs().max()) if actual.numel() else 0.0
    return f"differs by {off:.2e}, allowed are {tolerance * largest:.0e}" if off > tolerance * largest else ""


def rows(answer: Answer, chosen: list[int]) -> Answer:
    """These samples of an answer."""
    return {name: value[chosen] for name, value in answer.items()}


@contextmanager
def global_randomness_untouched() -> Iterator[None]:
    """Fails if torch's, numpy's or Python's own generator is another afterwards."""
    before = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002 (the global one is meant)
    yield
    after = torch.get_rng_state(), str(np.random.get_state()), random.getstate()  # noqa: NPY002
    assert torch.equal(before[0], after[0]), "torch's own generator was drawn from, not the rng that was given"
    assert before[1:] == after[1:], "numpy's or Python's own generator was drawn from, not the rng that was given"


def state_of(model: nn.Module) -> dict[str, Any]:
    """A copy of all that a model keeps: tensors, and what lies in the attributes of its parts."""
    kept: dict[str, Any] = {f"state {k}": v.clone() for k, v in model.state_dict().items()}
    for name, module in model.named_modules():
        own = {k: v for k, v in vars(module).items() if k not in ("_parameters", "_modules", "_buffers")}
        kept |= {f"{name}.{k}": v.clone() if isinstance(v, Tensor) else _copied(v) for k, v in own.items()}
        kept |= {f"{name}.{k}": v.clone() for k, v in module._buffers.items() if v is not None}
    return kept


def _copied(value: Any) -> Any:
    """Plain containers copied, so that a change in them is seen; other objects as they are."""
    return copy.copy(value) if isinstance(value, dict | list | set) else value


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What is new, gone or other."""
    names = sorted(before.keys() ^ after.keys())
    return names + [k for k in before if k in after and not _same(before[k], after[k])]


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return isinstance(a, Tensor) and isinstance(b, Tensor) and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return a is b or bool(a == b)


def as_mapping(values: Mapping[str, Any], prefix: str) -> Answer:
    """The tensors of latents or of a style, under `prefix.NAME`."""
    return {f"{prefix}.{k}": v for k, v in values.items() if isinstance(v, Tensor)}
