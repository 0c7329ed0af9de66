"""The authors' reading of data sets (docs/papers/scgan.md, "Data"), for comparable numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.preprocess import Preprocess


def celeba_channels(labels: np.ndarray) -> np.ndarray:
    """CelebAMask-HQ values to channels: v - 1, background (0) last. Quirk: a raw 255 would become 17, cloth."""
    return np.where(labels == 0, 18, np.minimum(labels.astype(np.int64) - 1, 17)).astype(np.uint8)


def coco_channels(labels: np.ndarray) -> np.ndarray:
    """COCO-Stuff values to channels: as they are, 255 to 182."""
    return np.where(labels == 255, 182, labels).astype(np.uint8)


def ade_channels(labels: np.ndarray) -> np.ndarray:
    """ADE20K values to channels: as they are, 255 to 150, which class 150 shares (quirk of the authors' last commit)."""
    return np.where(labels == 255, 150, labels).astype(np.uint8)


def prepare_pair(
    image: np.ndarray, labels: np.ndarray, *, mode: str = "resize_and_crop", load_size: int, crop_size: int,
    crop: tuple[int, int] = (0, 0), flip: bool = False,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Resize, crop and flip as the authors do.

    image: uint8 [H, W, 3]; labels: uint8 [H, W]; crop: (x, y) of the window. mode: as in `zoo.data.preprocess`; a window
    that leaves the picture is filled with black and label 0 (quirk). Flips do not swap left and right classes (quirk).
    -> image float32 [3, h, w] in [-1, 1], labels uint8 [1, h, w].
    """
    way = Preprocess(mode, load_size, crop_size)
    results = [way.photo(image, crop, flip=flip), way.labels(labels, crop, flip=flip)]
    photo = torch.from_numpy(results[0]).permute(2, 0, 1).float() / 255
    return (photo - 0.5) / 0.5, torch.from_numpy(results[1])[None]
