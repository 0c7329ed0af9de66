"""SEAN's style encoder: a convolutional net with a bottleneck, pooled over each region's own pixels (paper section 4.1)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo_plugins.sean.config import SEANConfig


class Codes(NamedTuple):
    """codes: [B, planes, style_dim], zeros for regions without a pixel; present: bool [B, planes], those that have one."""

    codes: Tensor
    present: Tensor


class StyleEncoder(nn.Module):
    """Photo and map to one style code per region, each number in (-1, 1). Nothing is random; training and evaluation are the same."""

    def __init__(self, config: SEANConfig) -> None:
        super().__init__()
        width = config.style_width
        self.first = nn.Conv2d(3, width, 3, padding=1, padding_mode="reflect")
        self.down = nn.ModuleList(nn.Conv2d(width << i, width << i + 1, 3, 2, 1) for i in range(2))
        self.up = nn.ConvTranspose2d(4 * width, 8 * width, 3, 2, 1, output_padding=1)
        self.last = nn.Conv2d(8 * width, config.style_dim, 3, padding=1, padding_mode="reflect")

    def features(self, images: Tensor) -> Tensor:
        """images [B, 3, H, W] in [-1, 1] -> [B, style_dim, 2 ceil(ceil(H / 2) / 2), …] in (-1, 1): half the size, about."""
        x = images
        for layer in (self.first, *self.down, self.up):
            x = F.leaky_relu(F.instance_norm(layer(x)), 0.2)
        return torch.tanh(self.last(x))

    def forward(self, images: Tensor, planes: Tensor) -> Codes:
        """images [B, 3, H, W] in [-1, 1], planes [B, planes, H, W] of 0 and 1: the mean of the features over each plane's own pixels.

        Planes are resized (nearest) to the features; a region that loses all its pixels by it has a code of zeros, as an absent one.
        """
        features = self.features(images)
        small = resize_planes(planes, (features.shape[-2], features.shape[-1])).flatten(2).float()
        pixels = small.sum(2)
        sums = small @ features.float().flatten(2).transpose(1, 2)
        return Codes(sums / pixels.clamp_min(1)[:, :, None], pixels > 0)
