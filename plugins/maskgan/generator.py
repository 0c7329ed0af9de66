"""MaskGAN's dense mapping network: the generation backbone, which sees a map, and the style of a reference in its norms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.pix2pixhd.blocks import doubling, halving, head, stem
from zoo_plugins.maskgan.blocks import ResnetBlock
from zoo_plugins.maskgan.config import MaskGANConfig
from zoo_plugins.maskgan.style_encoder import LabelEncoder, StyleEncoder


def backbone(
    inputs: int, width: int, halvings: int, blocks: int, activation: type[nn.Module] = nn.Tanh
) -> nn.Sequential:
    """pix2pixHD's global generator with MaskGAN's residual blocks; places in the Sequential are the official ones."""
    depth = range(halvings)
    layers = stem(inputs, width)
    layers += [layer for i in depth for layer in halving(width << i)]
    layers += [ResnetBlock(width << halvings) for _ in range(blocks)]
    layers += [layer for i in reversed(depth) for layer in doubling(width << (i + 1))]
    return nn.Sequential(*layers, *head(width, 3, activation))


class Plan(NamedTuple):
    """What depends on the map alone. features: [B, C, h, w] in front of the residual blocks; first: the first block's first convolution
    of them, normalized."""

    features: Tensor
    first: Tensor


class Generator(nn.Module):
    """forward: a map's planes, a reference's planes and photo -> images [B, 3, H, W] in [-1, 1]. Not random.

    Sides come out as multiples of 2**n_downsample_global, rounded up. A reference may have another size than the map, both sides at
    least 32; photo and planes of it have the same.
    """

    def __init__(self, config: MaskGANConfig, planes: int) -> None:
        super().__init__()
        self.layers = len(config.style_layers)
        self.start = 4 + 3 * config.n_downsample_global
        """Place of the first residual block."""
        self.model = backbone(planes, config.ngf, config.n_downsample_global, config.n_blocks_global)
        self.enc_style = StyleEncoder(config.style_width, self.layers * 2 * config.bottleneck)
        self.enc_label = LabelEncoder(planes, config.style_width)

    def blocks(self) -> Iterator[ResnetBlock]:
        """The residual blocks in their order."""
        for layer in self.model:
            if isinstance(layer, ResnetBlock):
                yield layer

    def features(self, planes: Tensor) -> Tensor:
        """A map's planes [B, planes, H, W] -> what the residual blocks see."""
        x = planes.to(next(self.parameters()).dtype)
        for i in range(self.start):
            x = self.model[i](x)
        return x

    def plan(self, planes: Tensor) -> Plan:
        """All that the map alone gives."""
        x = self.features(planes)
        return Plan(x, next(self.blocks()).first(x))

    def render(self, plan: Plan, style: Tensor) -> Tensor:
        """Images from a map's plan and the norms' parameters [S, layers, 2C]; a plan of one map serves any number S of styles."""
        x: Tensor = plan.features
        blocks = list(self.blocks())
        for i, block in enumerate(blocks):
            x = block(x, style[:, 2 * i : 2 * i + 2], None if i else plan.first)
        for i in range(self.start + len(blocks), len(self.model)):
            x = self.model[i](x)
        return x.float()

    def code(self, images: Tensor, planes: Tensor) -> Tensor:
        """The pooled code [B, 4 style_width] of photos [B, 3, H, W] in [-1, 1] with their maps' planes."""
        dtype = next(self.parameters()).dtype
        return self.enc_style.code(images.to(dtype), *self.enc_label(planes.to(dtype)))

    def style_of(self, codes: Tensor) -> Tensor:
        """Codes -> the norms' parameters [B, layers, 2C]: layer by layer the shifts, then the scales."""
        return self.enc_style.parameters_of(codes).unflatten(1, (self.layers, -1))

    def style(self, images: Tensor, planes: Tensor) -> Tensor:
        """The norms' parameters of a reference."""
        return self.style_of(self.code(images, planes))

    def forward(self, planes: Tensor, reference_planes: Tensor, reference: Tensor) -> Tensor:
        return self.render(self.plan(planes), self.style(reference, reference_planes))


class Blender(nn.Module):
    """The alpha blender: from two pictures how much of the first each pixel and colour takes. In training alone."""

    HALVINGS = 3
    BLOCKS = 3

    def __init__(self, width: int) -> None:
        super().__init__()
        self.model = backbone(6, width, self.HALVINGS, self.BLOCKS, nn.Sigmoid)

    def forward(self, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Images [B, 3, H, W], sides multiples of 8 -> (the blend, alpha [B, 3, H, W] in (0, 1))."""
        alpha = self.model(torch.cat([one, other], 1)).float()
        return one * alpha + other * (1 - alpha), alpha
