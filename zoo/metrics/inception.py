"""Inception score: how sure a classifier is of single pictures and how unlike their classes are (Salimans et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError


def inception_score(logits: Tensor, splits: int = 1) -> tuple[float, float]:
    """exp(mean KL(p(y|x) || p(y))) of a classifier's logits [N, K] over `splits` parts of equal size: mean and standard deviation.

    Parts are consecutive, N // splits rows each; what is left over is not used, and the deviation divides by the number of parts, as
    in the code that everybody uses. Computed in float64. 1: all pictures alike; K at most. Raises DataError for fewer rows than parts
    and for logits that are not finite.
    """
    if logits.dim() != 2 or splits < 1 or len(logits) < splits or not bool(torch.isfinite(logits).all()):
        raise DataError(
            f"An Inception score of {splits} splits takes finite logits [N, K] of at least as many pictures, got {list(logits.shape)}."
        )
    rows = len(logits) // splits
    parts = logits.double().log_softmax(1)[: rows * splits].view(splits, rows, -1)
    marginal = parts.logsumexp(1, keepdim=True) - torch.tensor(float(rows), dtype=torch.float64).log()
    scores = (parts.exp() * (parts - marginal)).sum(2).mean(1).exp()
    return float(scores.mean()), float(scores.std(correction=0))
