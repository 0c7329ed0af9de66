"""ImageNet-normalised pictures and those that people look at."""

from __future__ import annotations

import torch
from torch import Tensor

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _planes(values: tuple[float, ...], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]


def normalised(pictures: Tensor) -> Tensor:
    """[B, 3, H, W] in [0, 1] -> mean 0 and variance 1 over ImageNet's pictures."""
    return (pictures - _planes(MEAN, pictures)) / _planes(STD, pictures)


def shown(pictures: Tensor, *, rescale: bool = True, empty: float = 0.0) -> Tensor:
    """The way back, [B, 3, H, W] in [0, 1]. rescale: stretch each picture from its smallest to its largest value to 0..1, as the authors
    do; else clip it. empty: what a picture of one value becomes when it is stretched (the authors' NaN)."""
    pictures = pictures * _planes(STD, pictures) + _planes(MEAN, pictures)
    if not rescale:
        return pictures.clamp(0, 1)
    low, high = pictures.amin((1, 2, 3), keepdim=True), pictures.amax((1, 2, 3), keepdim=True)
    stretched = (pictures - low) / (high - low)
    return torch.where(high == low, empty, stretched)
