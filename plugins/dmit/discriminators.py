"""Discriminators of DMIT: of contents, and of pictures at two scales; each is told the domain that it judges (docs/papers/dmit.md)."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.dmit.blocks import ConvBlock, ShiftedDownBlock
from zoo_plugins.dmit.config import NormKind

WIDEST = 512
"""Most channels of a discriminator."""


class StyleDiscriminator(nn.Module):
    """A convolution 4/2/1, blocks - 1 halving blocks that read the attributes, and a 1x1 convolution to the scores.

    c_in: channels of what is judged. attributes: numbers in the code. forward: x [B, c_in, H, W], attributes [B, attributes] ->
    scores [B, 1, h, w].
    """

    def __init__(self, c_in: int, width: int, blocks: int, attributes: int, norm: NormKind = "cbin") -> None:
        super().__init__()
        widths = [width] + [min(width << i, WIDEST) for i in range(1, blocks)]
        self.head = ConvBlock(c_in, width, 4, 2, 1, bias=True)
        self.blocks = nn.ModuleList(ShiftedDownBlock(a, b, attributes, norm) for a, b in pairwise(widths))
        self.last = ConvBlock(widths[-1], 1, 1, bias=True)

    def forward(self, x: Tensor, attributes: Tensor) -> Tensor:
        x = self.head(x)
        for block in self.blocks:
            x = block(x, attributes)
        return self.last(x)


class PictureDiscriminator(nn.Module):
    """Two `StyleDiscriminator`s: on pictures, and half as wide on pictures of half the side (average pooling 3/2/1).

    forward: images [B, 3, H, W] in [-1, 1], attributes [B, attributes] -> scores of both scales, the finer first.
    """

    def __init__(self, width: int, blocks: int, attributes: int, norm: NormKind = "cbin") -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            StyleDiscriminator(3, w, blocks, attributes, norm) for w in (width, max(1, width // 2))
        )

    def forward(self, images: Tensor, attributes: Tensor) -> list[Tensor]:
        smaller = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
        return [scale(x, attributes) for scale, x in zip(self.scales, (images, smaller), strict=True)]
