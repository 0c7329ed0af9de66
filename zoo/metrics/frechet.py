"""The Fréchet distance between the Gaussians of two sets of features (FID where they are Inception's; Heusel et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor, *, correction: int = 1) -> float:
    """|mean a - mean b|^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2) of the rows' Gaussians, [N, D] and [M, D]; computed in float64.

    correction: covariances are divided by N - correction (1: as FID is computed everywhere).
    """
    a, b = a.double(), b.double()
    cov_a, cov_b = (torch.atleast_2d(torch.cov(x.T, correction=correction)) for x in (a, b))
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    middle = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    distance = (a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * middle
    return max(0.0, float(distance))
