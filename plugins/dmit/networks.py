"""DMIT's generator: one content encoder, one style encoder and one decoder for all domains (docs/papers/dmit.md, "Networks")."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.nn.spectral import SNLinear
from zoo_plugins.dmit.blocks import SLOPE, ConvBlock, DownBlock, ResidualBlock, ShiftedResidualBlock, UpBlock
from zoo_plugins.dmit.config import DMITConfig
from zoo_plugins.dmit.norms import plain_norm

WIDEST = 1024
"""Most channels of the content encoder."""
WIDEST_STYLE = 256
"""Most channels of the style encoder."""


class Posterior(NamedTuple):
    """Mean and log variance of styles, each float32 [B, style_dim]."""

    mean: Tensor
    logvar: Tensor


def content_widths(config: DMITConfig) -> list[int]:
    """Channels of the content encoder from the picture's scale to the coarsest one."""
    return [min(config.width << i, WIDEST) for i in range(config.halvings + 1)]


class ContentEncoder(nn.Module):
    """Images [B, 3, H, W] in [-1, 1] -> contents [B, channels, H', W'], of which no activation follows; a halving takes the floor."""

    def __init__(self, config: DMITConfig) -> None:
        super().__init__()
        widths = content_widths(config)

        def conv(c_in: int, c_out: int, kernel: int, stride: int, padding: int) -> ConvBlock:
            norm = plain_norm(config.norm, c_out)
            return ConvBlock(c_in, c_out, kernel, stride, padding, norm=norm, activation="lrelu")

        self.layers = nn.Sequential(
            conv(3, widths[0], 7, 1, 3),
            *(conv(a, b, 4, 2, 1) for a, b in pairwise(widths)),
            *(ResidualBlock(widths[-1], config.norm) for _ in range(config.content_blocks)),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class StyleEncoder(nn.Module):
    """Images [B, 3, H, W] in [-1, 1] -> the posterior of their styles."""

    def __init__(self, config: DMITConfig) -> None:
        super().__init__()
        widths = [min(config.width * n, WIDEST_STYLE) for n in range(1, config.style_blocks + 1)]
        self.layers = nn.Sequential(
            ConvBlock(3, widths[0], 4, 2, 1, bias=True),
            *(DownBlock(a, b, config.norm) for a, b in pairwise(widths)),
            nn.LeakyReLU(SLOPE),
            nn.AdaptiveAvgPool2d(1),
        )
        self.mean, self.logvar = (SNLinear(widths[-1], config.style_dim) for _ in range(2))

    def forward(self, images: Tensor) -> Posterior:
        features = self.layers(images).flatten(1)
        return Posterior(self.mean(features).float(), self.logvar(features).float())


class Decoder(nn.Module):
    """Contents [B, channels, h, w] and codes [B, attributes + style_dim], attributes first -> images [B, 3, h * 2^k, w * 2^k] in (-1, 1).

    attributes: numbers that say the domain, one for each (a sentence has 256).
    """

    def __init__(self, config: DMITConfig, attributes: int) -> None:
        super().__init__()
        wide = content_widths(config)[-1]
        widths = [max(1, wide >> i) for i in range(config.halvings + 1)]
        code = attributes + config.style_dim
        self.layers = nn.ModuleList(
            [
                *(
                    ShiftedResidualBlock(wide, code, config.norm, dropout=config.dropout)
                    for _ in range(config.decoder_blocks)
                ),
                *(UpBlock(a, b, config.upsampling) for a, b in pairwise(widths)),
                ConvBlock(widths[-1], 3, 7, 1, 3, bias=True),
            ]
        )

    def forward(self, content: Tensor, code: Tensor) -> Tensor:
        x = content
        for layer in self.layers:
            x = layer(x, code) if isinstance(layer, ShiftedResidualBlock) else layer(x)
        return torch.tanh(x)
