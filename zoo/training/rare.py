"""Pairs with rare classes shown more often: hats, glasses and necklaces are few, and what is seen seldom is learned badly."""

from __future__ import annotations

import bisect
import collections
import itertools
from collections.abc import Callable, Sequence

import numpy as np

from zoo.data import PairData
from zoo.errors import ConfigError
from zoo.interfaces.trainers import Trainer
from zoo.rng import Rng


def repeats(data: PairData, rare: float) -> list[float]:
    """How often each pair is shown: sqrt(rare / share) of the rarest class that it has, at least 1 (share: of the pairs with the
    class). Reads every map once."""
    size = (data.resolution,) * 2 if isinstance(data.resolution, int) else data.resolution
    seen = [set(np.unique(data.pair(i, data.load_size or size)[1]).tolist()) for i in range(len(data))]  # type: ignore[arg-type]
    counts = collections.Counter(value for values in seen for value in values)
    factor = {value: max(1.0, (rare * len(data) / count) ** 0.5) for value, count in counts.items()}
    return [max(factor[value] for value in values) for values in seen]


class RareOften:
    """The order of an epoch in which each pair is drawn in proportion to its `repeats`; as many as there are pairs."""

    def __init__(self, data: PairData, rare: float, seed: int) -> None:
        self.size, self.seed = len(data), seed
        self._ends = list(itertools.accumulate(repeats(data, rare)))

    def order(self, epoch: int) -> list[int]:
        """Spread evenly, so that a pair is shown the whole part of its share or once more. Random: the offset and the order, by the
        seed and the epoch."""
        draws = Rng(self.seed, [epoch]).uniform("rare", shape=(self.size + 1,))[0].tolist()
        points = [(i + draws[-1]) * self._ends[-1] / self.size for i in range(self.size)]
        chosen = [min(bisect.bisect(self._ends, p), self.size - 1) for p in points]
        return [index for _, index in sorted(zip(draws, chosen, strict=False))]


def epoch_orders(trainer: Trainer, data: PairData) -> Callable[[int], Sequence[int] | None]:
    """Epoch -> the trainer's own order, or that of its option `rare`; None: a seeded permutation. Raises ConfigError where a trainer
    has both."""
    options = trainer.options
    rare: list[RareOften] = []

    def order(epoch: int) -> Sequence[int] | None:
        own = trainer.epoch_order(epoch, data)
        if not options.rare:
            return own
        if own is not None:
            raise ConfigError(f"{type(trainer).__name__} draws the pairs in an order of its own: train with rare=0.")
        if not rare:
            rare.append(RareOften(data, options.rare, options.seed))
        return rare[0].order(epoch)

    return order
