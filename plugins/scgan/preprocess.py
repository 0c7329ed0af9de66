"""The authors' reading of data sets and writing of pictures (docs/papers/scgan.md, "Data"), for comparable numbers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zoo.data.preprocess import Preprocess
from zoo.labels import voc_color

# by label id, -1 ("license plate") last
CITYSCAPES_COLORS = (
    (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (111, 74, 0), (81, 0, 81), (128, 64, 128), (244, 35, 232),
    (250, 170, 160), (230, 150, 140), (70, 70, 70), (102, 102, 156), (190, 153, 153), (180, 165, 180), (150, 100, 100),
    (150, 120, 90), (153, 153, 153), (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
    (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 0, 90), (0, 0, 110),
    (0, 80, 100), (0, 0, 230), (119, 11, 32), (0, 0, 142),
)  # fmt: skip


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


def to_uint8(images: Tensor) -> Tensor:
    """[B, 3, H, W] in [-1, 1] -> uint8 [B, H, W, 3]; truncated, not rounded (quirk)."""
    return ((images + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def label_colormap(count: int) -> Tensor:
    """The authors' label colours, uint8 [count, 3]: the VOC colours shifted by one id; Cityscapes' own for 35."""
    colors = CITYSCAPES_COLORS if count == 35 else [voc_color(i + 1) for i in range(count)]
    return torch.tensor(colors, dtype=torch.uint8)
