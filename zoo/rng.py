"""Explicit, keyed randomness: a sample's numbers depend on the seed, the sample and a key, never on the batch.

docs/design.md ("Randomness") fixes the stream: SHAKE-256 of the JSON of [seed, sample, *key], read as little-endian uint32,
mapped to (0, 1) and through the normal quantile in float64. The numbers are prefix-stable (a longer row begins with
the shorter one) and the same on every machine and version.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zoo.errors import UsageError

if TYPE_CHECKING:
    import torch

Key = str | int


@runtime_checkable
class RngLike(Protocol):
    """What models ask of a source of randomness; replay of recorded draws implements it too."""

    @property
    def samples(self) -> tuple[int, ...]: ...

    def normal(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor: ...

    def uniform(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor: ...

    def within(self, *key: Key) -> RngLike: ...


@dataclass(frozen=True)
class Rng:
    """Streams of `seed` for the samples with these numbers; row i of every draw belongs to samples[i]."""

    seed: int
    samples: tuple[int, ...] = (0,)
    prefix: tuple[Key, ...] = ()

    def __init__(self, seed: int, samples: Sequence[int] = (0,), prefix: Sequence[Key] = ()) -> None:
        if seed < 0:
            raise UsageError(f"The seed must be 0 or more, got {seed}.")
        object.__setattr__(self, "seed", int(seed))
        object.__setattr__(self, "samples", tuple(int(s) for s in samples))
        object.__setattr__(self, "prefix", tuple(prefix))

    def _bits(self, key: tuple[Key, ...], shape: tuple[int, ...]) -> torch.Tensor:
        """Uniform float64 in (0, 1), [samples, *shape]."""
        import numpy as np
        import torch

        count = math.prod(shape)
        rows = np.empty((len(self.samples), count), dtype="<u4")
        for row, sample in enumerate(self.samples):
            text = json.dumps([self.seed, sample, *self.prefix, *key])
            rows[row] = np.frombuffer(hashlib.shake_256(text.encode()).digest(4 * count), dtype="<u4")
        uniform = (rows.astype(np.float64) + 0.5) * 2.0**-32
        return torch.from_numpy(uniform).reshape(len(self.samples), *shape)

    def normal(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normals, float32 on the CPU, [len(samples), *shape]."""
        import torch

        return torch.special.ndtri(self._bits(key, shape)).float()

    def uniform(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor:
        """Uniform numbers in (0, 1), float64 on the CPU (float32 would round some up to 1), [len(samples), *shape]."""
        return self._bits(key, shape)

    def within(self, *key: Key) -> Rng:
        """The same streams with `key` put in front of every further key."""
        return Rng(self.seed, self.samples, (*self.prefix, *key))

    def take(self, samples: Sequence[int]) -> Rng:
        """The same seed and prefix for other samples."""
        return Rng(self.seed, samples, self.prefix)


@dataclass(frozen=True)
class Rows:
    """Single streams of other sources: row i of every draw is row `rows[i][1]` of what `sources[rows[i][0]]` draws."""

    sources: tuple[RngLike, ...]
    rows: tuple[tuple[int, int], ...]

    @property
    def samples(self) -> tuple[int, ...]:
        """The samples that the streams belong to."""
        return tuple(self.sources[source].samples[row] for source, row in self.rows)

    def _pick(self, drawn: Sequence[torch.Tensor]) -> torch.Tensor:
        import torch

        return torch.stack([drawn[source][row] for source, row in self.rows])

    def normal(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor:
        """As `Rng.normal`."""
        return self._pick([s.normal(*key, shape=shape) for s in self.sources])

    def uniform(self, *key: Key, shape: tuple[int, ...]) -> torch.Tensor:
        """As `Rng.uniform`."""
        return self._pick([s.uniform(*key, shape=shape) for s in self.sources])

    def within(self, *key: Key) -> Rows:
        """The same streams with `key` put in front of every further key."""
        return Rows(tuple(s.within(*key) for s in self.sources), self.rows)


def take_rows(rng: RngLike, rows: Sequence[int]) -> RngLike:
    """The streams at these positions of a source (a position may repeat)."""
    if isinstance(rng, Rng):
        return rng.take([rng.samples[row] for row in rows])
    return Rows((rng,), tuple((0, row) for row in rows))


def join_rows(sources: Sequence[RngLike]) -> RngLike:
    """The streams of several sources one after the other."""
    first = sources[0]
    if isinstance(first, Rng) and all(
        isinstance(s, Rng) and (s.seed, s.prefix) == (first.seed, first.prefix) for s in sources
    ):
        return first.take([n for s in sources for n in s.samples])
    return Rows(tuple(sources), tuple((i, row) for i, s in enumerate(sources) for row in range(len(s.samples))))


def fresh_seed() -> int:
    """A seed nobody chose; whoever draws it reports it."""
    return secrets.randbelow(2**31)


def as_rng(rng: RngLike | int | None, count: int) -> RngLike:
    """An RngLike for `count` samples: an int is a seed for samples 0..count-1, None takes a fresh seed.

    Raises UsageError if an RngLike was made for another number of samples.
    """
    if rng is None or isinstance(rng, int):
        return Rng(fresh_seed() if rng is None else rng, range(count))
    if len(rng.samples) != count:
        raise UsageError(
            f"The Rng has streams for {len(rng.samples)} samples, but {count} are asked for: use Rng(seed, range({count}))."
        )
    return rng
