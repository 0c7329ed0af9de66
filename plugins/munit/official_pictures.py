"""How the authors' test script writes pictures, for comparable files."""

from __future__ import annotations

import torch
from torch import Tensor

_EPS = 1e-5


def stretched(images: Tensor) -> Tensor:
    """[B, 3, H, W] -> uint8: each picture's own least value becomes 0 and its largest 255 (quirk of `save_image(normalize=True)`)."""
    low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
    unit = (images - low) / (high - low).clamp_min(_EPS)
    return (unit * 255 + 0.5).clamp(0, 255).to(torch.uint8)
