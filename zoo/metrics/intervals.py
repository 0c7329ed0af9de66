"""Means with bootstrap confidence intervals (Efron 1979, percentile method)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.rng import Rng

DRAWS = 1000
"""Resamples of an interval."""
LEVEL = 0.95


def mean_interval(values: Tensor, seed: int = 0) -> dict[str, float | int]:
    """`mean` of independent values [N], and `low` and `high` of its 95 % percentile bootstrap interval of 1,000 resamples, `n`.

    The resamples are drawn from the keyed stream of `seed`. One value alone has no interval: NaN. Raises DataError for no
    values and for values that are not finite.
    """
    values = values.detach().double().cpu().flatten()
    if not len(values) or not bool(torch.isfinite(values).all()):
        raise DataError(
            f"A mean needs finite values, got {len(values)} with {int((~torch.isfinite(values)).sum())} not."
        )
    mean, n = float(values.mean()), len(values)
    if n == 1:
        return {"mean": mean, "low": float("nan"), "high": float("nan"), "n": 1}
    means = []
    for part in range(0, DRAWS, 100):  # a hundred at a time, so that many values need little memory
        drawn = Rng(seed).uniform("bootstrap", part, shape=(100, n))[0]
        means.append(values[(drawn.double() * n).long().clamp(max=n - 1)].mean(1))
    ordered = torch.cat(means).sort().values
    tail = (1 - LEVEL) / 2
    low, high = (float(ordered[round(q * (DRAWS - 1))]) for q in (tail, 1 - tail))
    return {"mean": mean, "low": low, "high": high, "n": n}
