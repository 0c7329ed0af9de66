"""Distances of pictures by feature maps: LPIPS' formula, with its learned weights or with none (Zhang et al., CVPR 2018, eq. 1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from zoo.errors import DataError


def unit(features: Tensor, weights: Tensor | None = None) -> Tensor:
    """Feature maps [B, C, h, w] with unit length over the channels, times the root of `weights` [C] where there are any.

    Squared differences of two of them are LPIPS' weighted squared differences. Raises DataError for a negative weight.
    """
    normed = features / (features.square().sum(1, keepdim=True).sqrt() + 1e-10)
    if weights is None:
        return normed
    if bool((weights < 0).any()):
        raise DataError("LPIPS' learned weights are 0 or more, and some here are not.")
    return normed * weights.sqrt().view(1, -1, 1, 1)


def perceptual_distance(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Sum over layers of the mean over pixels of the squared differences over channels, float64 [B].

    a, b: feature maps [B, C_l, h_l, w_l] of each layer, as `unit` gives them. 0: the same picture to these features.
    Raises DataError for two networks, sizes or numbers of pictures.
    """
    if [x.shape for x in a] != [y.shape for y in b] or not a:
        raise DataError(
            f"Pictures can be compared by features of one network and one size: {[list(x.shape) for x in a]}, {[list(y.shape) for y in b]}."
        )
    parts = [(x - y).square().sum(1).flatten(1).double().mean(1) for x, y in zip(a, b, strict=True)]
    return torch.stack(parts).sum(0)


def mean_perceptual_distance(pictures: Sequence[Sequence[Tensor]]) -> Tensor:
    """Mean distance over all pairs of the k >= 2 pictures of each map, float64 [B]; pictures: k times the layers' features."""
    if len(pictures) < 2:
        raise DataError(f"Diversity takes two pictures or more of every map, got {len(pictures)}.")
    return torch.stack([perceptual_distance(a, b) for a, b in combinations(pictures, 2)]).mean(0)


def nearest_of(pictures: Tensor, photos: Tensor) -> Tensor:
    """Which of k pictures [k, B, 3, H, W] of a map is nearest to its photo [B, 3, H, W] by the L1 distance, int64 [B]; the first of equals."""
    if pictures.shape[1:] != photos.shape or pictures.dim() != 5:
        raise DataError(f"Pictures {list(pictures.shape)} and photos {list(photos.shape)} do not belong together.")
    return (pictures.float() - photos.float()).abs().flatten(2).mean(2).argmin(0)
