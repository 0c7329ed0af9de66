"""k-means for assets that are fitted to a data set: the same result for the same rows, on every machine up to rounding."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.rng import Rng

STARTS = 10
ROUNDS = 300


def kmeans(rows: Tensor, clusters: int, *, starts: int = STARTS, rounds: int = ROUNDS) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm from k-means++ starts, the best of several: rows [N, F], 1 <= clusters <= N -> (centres float64 [K, F] on the
    CPU, rows behind each int64 [K]).

    Centres come by falling number of rows, equal ones by their numbers; K is less than `clusters` where fewer rows differ. Nothing is
    left to chance: the starts are those of a fixed seed (`Rng(0)`).
    """
    points = rows.detach().double().cpu()
    best: tuple[float, Tensor, Tensor] | None = None
    for start in range(starts):
        centres = _start(points, clusters, Rng(0).uniform("k-means", start, shape=(clusters,))[0])
        nearest = torch.cdist(points, centres).argmin(1)
        for _ in range(rounds):
            counts = torch.bincount(nearest, minlength=len(centres))
            sums = torch.zeros_like(centres).index_add_(0, nearest, points)
            centres = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], centres)
            before, nearest = nearest, torch.cdist(points, centres).argmin(1)
            if torch.equal(before, nearest):
                break
        spread = float((points - centres[nearest]).square().sum())
        if best is None or spread < best[0] * (1 - 1e-12):
            best = spread, centres, torch.bincount(nearest, minlength=len(centres))
    assert best is not None
    _, centres, counts = best
    order = sorted(range(len(centres)), key=lambda i: (-int(counts[i]), centres[i].tolist()))
    order = [i for i in order if counts[i]]
    return centres[order], counts[order]


def _start(points: Tensor, clusters: int, draws: Tensor) -> Tensor:
    """k-means++: each further centre is a row, drawn by its squared distance to the nearest one so far. draws: [clusters] in (0, 1)."""
    chosen = [int(draws[0] * len(points))]
    while len(chosen) < clusters:
        distance = torch.cdist(points, points[chosen]).amin(1).square()
        total = distance.cumsum(0)
        if not total[-1] > 0:  # all rows are centres already
            break
        chosen.append(min(int(torch.searchsorted(total, draws[len(chosen)] * total[-1])), len(points) - 1))
    return points[chosen]
