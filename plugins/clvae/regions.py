"""Where each class lies at each scale, with work and memory that follow the classes present, not those of the label space."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo_plugins.clvae.config import LEVELS


class Regions(NamedTuple):
    """classes: channels that occur in some map, int64 [K], ascending. pyramid: per level i = 0..5 the numbers 0..K-1 of the
    classes, int64 [B, H / 2^i, W / 2^i]."""

    classes: Tensor
    pyramid: tuple[Tensor, ...]

    def channels(self) -> Tensor:
        """The map itself, as channels int64 [B, H, W]."""
        return self.classes[self.pyramid[0]]


def find_regions(channels: Tensor, size: tuple[int, int] | None = None) -> Regions:
    """Regions of channel maps int64 [B, H, W], first resized (nearest) to `size`."""
    if size is not None:
        channels = resize_numbers(channels, size)
    classes, numbers = torch.unique(channels, return_inverse=True)
    height, width = numbers.shape[-2:]
    pyramid = [resize_numbers(numbers, (max(1, height >> i), max(1, width >> i))) for i in range(LEVELS + 1)]
    return Regions(classes, tuple(pyramid))
