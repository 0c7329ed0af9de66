"""Losses of CRN and cIMLE (docs/papers/crn.md, "Losses")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

MEAN_SHARE = 0.001
"""Weight of the mean over the pictures, which keeps all of them alive; the smallest has the rest."""


def weighted_terms(
    differences: Sequence[Tensor], divisors: Sequence[float], mask: Tensor | None = None
) -> list[Tensor]:
    """Per level, the mean of the differences [K, h, w] over its divisor, for each of the K pictures: [K].

    mask: weights of the pixels [1 or K, 1, H, W], averaged over each level's cells (nothing is normalised by it).
    """
    terms = []
    for level, divisor in zip(differences, divisors, strict=True):
        if mask is not None:
            level = level * F.adaptive_avg_pool2d(mask.to(level), (level.shape[-2], level.shape[-1]))[:, 0]
        terms.append(level.mean((1, 2)) / divisor)
    return terms


def class_terms(differences: Sequence[Tensor], planes: Tensor, divisors: Sequence[float]) -> list[Tensor]:
    """Per level [K, classes]: the mean over all pixels of the difference times the class's share of the pixel, over the divisor.

    differences: [K, h, w] of K pictures of one map; planes: that map's [classes, H, W].
    """
    terms = []
    for level, divisor in zip(differences, divisors, strict=True):
        shares = F.adaptive_avg_pool2d(planes.to(level), (level.shape[-2], level.shape[-1]))
        terms.append(torch.einsum("khw,phw->kp", level, shares) / (level[0].numel() * divisor))
    return terms


def diversity_loss(content: Tensor) -> Tensor:
    """content: [K, classes], all levels together. Each class takes the picture that has it best."""
    return (1 - MEAN_SHARE) * content.amin(0).sum() + MEAN_SHARE * content.mean(0).sum()
