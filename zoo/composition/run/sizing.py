"""Maps and pictures at the size that was asked for, where it is not the models' own."""

from __future__ import annotations

import numpy as np
import PIL.Image
import torch
from torch import Tensor


def resample(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Images float32 [B, 3, H, W] in [0, 1] at (height, width) `size`: Pillow's Lanczos, on floats. Each is made alone."""
    if tuple(images.shape[-2:]) == size:
        return images
    height, width = size
    planes = images.reshape(-1, *images.shape[-2:]).numpy()
    scaled = [np.asarray(PIL.Image.fromarray(p).resize((width, height), PIL.Image.Resampling.LANCZOS)) for p in planes]
    return torch.from_numpy(np.stack(scaled)).reshape(*images.shape[:2], *size).clamp(0, 1)
