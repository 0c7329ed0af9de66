"""What the pixels of a map hold for the generator: a vector of noise, and a class."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_numbers
from zoo.inference.windows import shown_values
from zoo.nn.components import components


class NoisyMap(NamedTuple):
    """numbers: int64 [M, H, W] in 0..K-1, for one map or one a sample. classes: int64 [K], the channel of each number. content: float32
    [B, K, z_dim + classes], what a pixel of each number holds in each of the B samples, noise first."""

    numbers: Tensor
    classes: Tensor
    content: Tensor

    @property
    def count(self) -> int:
        """How many numbers there are."""
        return self.content.shape[1]

    def planes(self) -> Tensor:
        """The network's input planes, float32 [B, z_dim + classes, H, W]."""
        numbers = self.numbers.expand(len(self.content), -1, -1)
        rows = [content[number] for content, number in zip(self.content, numbers, strict=True)]
        return torch.stack(rows).permute(0, 3, 1, 2).contiguous()


def by_class(channels: Tensor, classes: int, z: Tensor | None) -> NoisyMap:
    """Maps int64 [M, H, W] of channels with noise that a class has everywhere. z: [B, classes, z_dim], B = M or M = 1; None: no noise."""
    shown, numbers = shown_values(channels)
    return _noisy(numbers, shown, classes, None if z is None else z.index_select(1, shown.to(z.device)))


def by_region(channels: Tensor, classes: int, z: Tensor, regions: Tensor) -> NoisyMap:
    """The same with noise of regions. z: [B, regions, z_dim]; regions: [B, h, w], the row of each pixel, of any size (nearest)."""
    size = (channels.shape[-2], channels.shape[-1])
    places = resize_numbers(regions.to(channels.device).round().long(), size)
    pairs, numbers = shown_values(channels * z.shape[1] + places)
    return _noisy(numbers, pairs // z.shape[1], classes, z.index_select(1, (pairs % z.shape[1]).to(z.device)))


def _noisy(numbers: Tensor, shown: Tensor, classes: int, z: Tensor | None) -> NoisyMap:
    hot = F.one_hot(shown, classes).float()
    if z is None:
        return NoisyMap(numbers, shown, hot.expand(len(numbers), -1, -1))
    noise = z.to(device=hot.device, dtype=torch.float32)
    return NoisyMap(numbers, shown, torch.cat([noise, hot.expand(len(noise), -1, -1)], 2))


def connected_regions(labels: Tensor) -> Tensor:
    """Areas of one value that hang together (4-neighbours): int64 [B, H, W], numbered from 0 in each map by their first pixel in
    reading order."""
    parts = components(labels, corners=False)
    return torch.stack([torch.unique(row, return_inverse=True)[1] for row in parts])
