"""Means with bootstrap confidence intervals (Efron 1979, percentile method)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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


def pooled_intervals(
    counts: Tensor, figures: Callable[[Tensor], Mapping[str, Tensor]], seed: int = 0
) -> dict[str, list[float]]:
    """[low, high] of the 95 % percentile bootstrap over pictures, of figures of counts that are pooled over pictures.

    counts: [N, ...], one row per picture. figures: pooled float64 [R, ...] of R resamples -> their figures by name, [R] each.
    As `mean_interval`: 1,000 resamples from the stream of `seed`; one picture has no interval (NaN), nor has a figure that some resample
    lacks.
    """
    n, rows = len(counts), counts.double().flatten(1)
    found: dict[str, list[Tensor]] = {}
    for part in range(0, DRAWS, 100):
        drawn = (Rng(seed).uniform("bootstrap", part, shape=(100, n))[0].double() * n).long().clamp(max=n - 1)
        weights = torch.zeros(100, n, dtype=torch.float64).scatter_add_(
            1, drawn, torch.ones(100, n, dtype=torch.float64)
        )
        for name, values in figures((weights @ rows).view(100, *counts.shape[1:])).items():
            found.setdefault(name, []).append(values)
    tail = (1 - LEVEL) / 2
    intervals = {}
    for name, parts in found.items():
        ordered = torch.cat(parts).sort().values
        whole = n > 1 and bool(torch.isfinite(ordered).all())
        places = [round(q * (DRAWS - 1)) for q in (tail, 1 - tail)]
        intervals[name] = [float(ordered[p]) if whole else float("nan") for p in places]
    return intervals
