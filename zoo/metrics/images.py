"""Distances between pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError

SLACK = 1e-4
"""How far rounding may take a picture's numbers out of [0, 1]."""


def check_pictures(images: Tensor, what: str = "Pictures") -> None:
    """Raise DataError for what is no float tensor [N, 3, H, W] of finite numbers in [0, 1]."""
    if images.dim() != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise DataError(f"{what}: expected floats [N, 3, H, W] in [0, 1], got {images.dtype} {list(images.shape)}.")
    if not images.numel():
        return
    low, high = (float(v) for v in torch.aminmax(images.detach().float()))
    if not (low >= -SLACK and high <= 1 + SLACK):  # NaN fails both
        raise DataError(
            f"{what}: expected finite numbers in [0, 1], got {low:g} to {high:g}: divide 8-bit values by 255, map [-1, 1] by (x + 1) / 2."
        )


def image_l1(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference per picture on the scale [-1, 1] (twice that of [0, 1]), float32 [B].

    Both: float [B, 3, H, W] in [0, 1]. Raises DataError if the shapes differ.
    """
    if predicted.shape != truth.shape or predicted.dim() != 4:
        raise DataError(
            f"Pictures {tuple(predicted.shape)} and {tuple(truth.shape)} cannot be compared: both must be [B, 3, H, W] of one size."
        )
    return 2 * (predicted.float() - truth.float()).abs().flatten(1).mean(1)
