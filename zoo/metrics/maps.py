"""Numbers of many maps: pairs among them, and whether two samples of numbers are told apart."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.rng import Rng


def draw_pairs(count: int, wanted: int, seed: int) -> Tensor:
    """`wanted` different pairs i < j of `count` things, int64 [n, 2], or all of them where there are no more; drawn from the stream of
    `seed`. Raises DataError for fewer than two things."""
    if count < 2:
        raise DataError(f"A pair takes two, got {count}.")
    everything = torch.combinations(torch.arange(count))
    if len(everything) <= wanted:
        return everything
    order = Rng(seed).uniform("pairs", shape=(len(everything),))[0].argsort()
    return everything[order[:wanted].sort().values]


def told_apart(low: Tensor, high: Tensor) -> float:
    """Probability that a number of `high` is above one of `low` (equal ones count half): the area under the ROC curve. .5: not at all."""
    low, high = low.double().flatten(), high.double().flatten()
    if not len(low) or not len(high):
        return float("nan")
    above = torch.searchsorted(low.sort().values, high).double()
    upto = torch.searchsorted(low.sort().values, high, right=True).double()
    return float((above + upto).mean() / 2 / len(low))
