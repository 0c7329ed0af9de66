"""Distances between pictures."""

from __future__ import annotations

from torch import Tensor

from zoo.errors import DataError


def image_l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference per picture on the scale [-1, 1] (twice that of [0, 1]), float32 [B].

    Both: float [B, 3, H, W] in [0, 1]. Raises DataError if the shapes differ.
    """
    if predicted.shape != truth.shape or predicted.dim() != 4:
        raise DataError(
            f"Pictures {tuple(predicted.shape)} and {tuple(truth.shape)} cannot be compared: both must be [B, 3, H, W] of one size."
        )
    return 2 * (predicted.float() - truth.float()).abs().flatten(1).mean(1)
