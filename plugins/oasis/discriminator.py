"""OASIS's discriminator: a U-Net that segments pictures into N real classes and one for fakes (docs/papers/oasis.md, "Discriminator")."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.discriminators import Opinion
from zoo.nn.spectral import SNConv2d
from zoo_plugins.oasis.config import BLOCKS

if TYPE_CHECKING:
    from zoo.families.spade.options import GanOptions
    from zoo.nn.labels import LabelInput

DOWN = (1, 1, 2, 2, 4, 4)
"""Channels of the encoder's blocks in multiples of the first one's (official: 128)."""


class DownBlock(nn.Module):
    """Two 3x3 convolutions, then average pooling by 2; the first block of a network has no activation in front and pools its shortcut
    before the 1x1 convolution instead of after it. The shortcut is the input itself where the widths are equal."""

    def __init__(self, c_in: int, c_out: int, *, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv_0 = SNConv2d(c_in, c_out, 3, padding=1)
        self.conv_1 = SNConv2d(c_out, c_out, 3, padding=1)
        self.conv_s = SNConv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x: Tensor) -> Tensor:
        dx = self.conv_0(x if self.first else F.leaky_relu(x, 0.2))
        dx = F.avg_pool2d(self.conv_1(F.leaky_relu(dx, 0.2)), 2)
        if self.first:
            x = F.avg_pool2d(x, 2)
            return (x if self.conv_s is None else self.conv_s(x)) + dx
        return F.avg_pool2d(x if self.conv_s is None else self.conv_s(x), 2) + dx


class UpBlock(nn.Module):
    """Nearest doubling and two 3x3 convolutions; the shortcut is doubled, and goes through a 1x1 convolution where widths differ."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv_0 = SNConv2d(c_in, c_out, 3, padding=1)
        self.conv_1 = SNConv2d(c_out, c_out, 3, padding=1)
        self.conv_s = SNConv2d(c_in, c_out, 1) if c_in != c_out else None

    def forward(self, x: Tensor) -> Tensor:
        dx = self.conv_0(F.interpolate(F.leaky_relu(x, 0.2), scale_factor=2.0, mode="nearest"))
        dx = self.conv_1(F.leaky_relu(dx, 0.2))
        x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        return (x if self.conv_s is None else self.conv_s(x)) + dx


class SegmentingDiscriminator(nn.Module):
    """U-Net over pictures alone: it never sees a map. No norms; every convolution but the last is spectrally normalised.

    classes: N; the output has N + 1 channels, of which 0 means fake and c + 1 the class c. width: channels of the first two blocks
    (official: 128); then 2, 2, 4, 4 times that, and half of it before the last convolution.
    forward: [B, 3, H, W] in [-1, 1], sides multiples of 64 -> logits [B, N + 1, H, W]. Raises ValueError for other sides.
    """

    objective: ClassVar[str] = "oasis.segmentation"

    def __init__(self, classes: int, width: int = 128) -> None:
        super().__init__()
        down = (3, *(width * m for m in DOWN))
        # coarsest first: up to the input of each encoder block, and at last to half the first width
        up = (*down[:0:-1][1:], max(1, width // 2))
        self.down = nn.ModuleList(DownBlock(a, b, first=i == 0) for i, (a, b) in enumerate(pairwise(down)))
        before = (down[-1], *(2 * c for c in up[:-1]))
        self.up = nn.ModuleList(UpBlock(a, b) for a, b in zip(before, up, strict=True))
        self.last = nn.Conv2d(up[-1], classes + 1, 1)

    @classmethod
    def of(cls, label_input: LabelInput, options: GanOptions) -> Self:
        """For maps of these classes (`zoo.families.spade.joining`): the official widths at the official `ndf` of 64."""
        return cls(label_input.classes, 2 * options.ndf)

    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        """The logits as one map of scores; the planes are not looked at."""
        del planes
        return Opinion([self(images)], [])

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        if height % 2**BLOCKS or width % 2**BLOCKS:
            raise ValueError(f"sides must be multiples of {2**BLOCKS}, got {width} x {height} pixels")
        x, seen = images, []
        for block in self.down:
            x = block(x)
            seen.append(x)
        seen.pop()
        x = self.up[0](x)
        for block in self.up[1:]:
            x = block(torch.cat([seen.pop(), x], 1))
        return self.last(x)
