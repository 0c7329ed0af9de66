"""Fixed filters and resizing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def binomial_blur(x: Tensor) -> Tensor:
    """Depthwise blur with [1, 2, 1] x [1, 2, 1] / 16 over zero padding: [B, C, H, W] -> the same shape."""
    line = torch.tensor([1.0, 2.0, 1.0], dtype=x.dtype, device=x.device) / 4
    kernel = torch.outer(line, line).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def fit_photos(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Photos [B, 3, H, W] in [0, 1] at (H, W) = size: bicubic, antialiased, clipped to [0, 1]; float32."""
    images = images.float()
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    return F.interpolate(images, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
