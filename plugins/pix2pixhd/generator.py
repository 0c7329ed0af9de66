"""pix2pixHD's generators (paper section 3.1; docs/papers/pix2pixhd.md, "Architecture"). Module names are the official ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.families.pix2pixhd.blocks import doubling, halving, head, norm_layer, smaller, stem
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig


class ResnetBlock(nn.Module):
    """x + two 3x3 convolutions over reflected borders, each with a norm, a ReLU between them; none after the sum."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm_layer(norm, channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            norm_layer(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, channels, H, W], both sides at least 2 -> the same shape."""
        return x + self.conv_block(x)


class Plan(NamedTuple):
    """What depends on the map alone. regions: int64 [B, H, W], whose style each pixel takes (`regions.py`).

    planes: the network's input without the style [B, planes, H, W]; None in the inference form, which has `first`: per scale, the
    coarsest first, what the first convolution gives for the planes.
    """

    planes: Tensor | None
    regions: Tensor
    first: tuple[Tensor, ...] = ()


class Generator(nn.Module):
    """forward: input planes [B, planes + style_planes, H, W] -> images [B, 3, H, W] in [-1, 1].

    Global: stem, halvings, residual blocks, doublings, head. Local enhancers: around that (without its head) one more scale each,
    which sees the input at its own size; the coarser inputs are average-pooled, so their label planes are shares of area. The number
    of an enhancer counts outwards, from 1. Sides are multiples of 2**config.doublings. Not random.
    """

    def __init__(self, config: Pix2PixHDConfig, planes: int) -> None:
        super().__init__()
        self.enhancers, self.planes = config.enhancers, planes
        inputs, norm, width = planes + config.style_planes, config.norm, config.ngf << config.enhancers
        depth = range(config.n_downsample_global)
        layers = stem(inputs, width, norm)
        layers += [layer for i in depth for layer in halving(width << i, norm)]
        layers += [ResnetBlock(width << len(depth), norm) for _ in range(config.n_blocks_global)]
        layers += [layer for i in reversed(depth) for layer in doubling(width << (i + 1), norm)]
        self.model = nn.Sequential(*layers, *(head(width) if not config.enhancers else []))
        for n in range(1, config.enhancers + 1):
            width = config.ngf << (config.enhancers - n)
            blocks = [ResnetBlock(2 * width, norm) for _ in range(config.n_blocks_local)]
            last = head(width) if n == config.enhancers else []
            self.add_module(f"model{n}_1", nn.Sequential(*stem(inputs, width, norm), *halving(width, norm)))
            self.add_module(f"model{n}_2", nn.Sequential(*blocks, *doubling(2 * width, norm), *last))

    def stems(self) -> list[nn.Sequential]:
        """The parts that see the input, from the coarsest scale to the finest."""
        names = ["model", *(f"model{n}_1" for n in range(1, self.enhancers + 1))]
        return [self.get_submodule(name) for name in names]  # pyright: ignore[reportReturnType]

    def climb(self, outputs: list[Tensor]) -> Tensor:
        """Images from the outputs of the `stems`, in float32."""
        x = outputs[0]
        for n, inward in enumerate(outputs[1:], 1):
            x = self.get_submodule(f"model{n}_2")(inward + x)
        return x.float()

    def forward(self, inputs: Tensor) -> Tensor:
        levels = [inputs.to(next(self.parameters()).dtype)]
        for _ in range(self.enhancers):
            levels.append(smaller(levels[-1]))
        return self.climb([part(level) for part, level in zip(self.stems(), reversed(levels), strict=True)])

    def render(self, plan: Plan, style: Tensor | None) -> Tensor:
        """Images from the map's plan and the planes of a style [B, style_planes, H, W] (None: there are none)."""
        assert plan.planes is not None
        planes = plan.planes
        if style is None:
            return self(planes)
        return self(torch.cat([planes.expand(len(style), -1, -1, -1), style.to(planes)], 1))
