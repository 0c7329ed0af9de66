"""How the authors of SPADE's family write pictures and colour label maps, for comparable files."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.labels import voc_color

# by label id, -1 ("license plate") last
CITYSCAPES_COLORS = (
    (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0), (111, 74, 0), (81, 0, 81), (128, 64, 128), (244, 35, 232),
    (250, 170, 160), (230, 150, 140), (70, 70, 70), (102, 102, 156), (190, 153, 153), (180, 165, 180), (150, 100, 100),
    (150, 120, 90), (153, 153, 153), (153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152),
    (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100), (0, 0, 90), (0, 0, 110),
    (0, 80, 100), (0, 0, 230), (119, 11, 32), (0, 0, 142),
)  # fmt: skip


def to_uint8(images: Tensor) -> Tensor:
    """[B, 3, H, W] in [-1, 1] -> uint8 [B, H, W, 3]; truncated, not rounded (quirk)."""
    return ((images + 1) / 2 * 255).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def label_colormap(count: int) -> Tensor:
    """The authors' label colours, uint8 [count, 3]: the VOC colours shifted by one id; Cityscapes' own for 35."""
    colors = CITYSCAPES_COLORS if count == 35 else [voc_color(i + 1) for i in range(count)]
    return torch.tensor(colors, dtype=torch.uint8)
