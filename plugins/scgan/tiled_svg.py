"""The semantic vector generator of the tiled form: semantic vectors alone, of the classes that a map shows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.scgan.svg import SVG, pool_channels, semantic_vectors

SLOPE = 0.2


class TiledSVG(nn.Module):
    """Equal to the semantic vectors that the SVG gives in evaluation mode (spectral norms folded before); it makes no SVG image.

    A doubling and the 3x3 convolution behind it are four 2x2 convolutions of the small features, one for each place in a square of
    four; the label planes are convolved beside them, those of classes that do not occur not at all. Pooling the channels is part of
    the last convolution's kernel at the finest scale, where nothing else reads the features.
    """

    def __init__(self, svg: SVG) -> None:
        super().__init__()
        self.svg: Any = svg
        del svg.to_rgb_0, svg.to_rgb_1
        c = svg.config
        self.shared = c.n_conv == c.n_norm
        self.groups = (c.n_conv,) if self.shared else (c.n_conv, c.n_norm)
        last = self.svg.blocks[-1].conv_1
        width = last.weight.shape[0]
        pool = self._pooled(torch.eye(width, dtype=torch.float64)[None, :, :, None])[0, :, :, 0]
        pooled = nn.Conv2d(width, sum(self.groups), 3, padding=1).to(last.weight)
        pooled.weight.data.copy_(torch.einsum("gc,cijk->gijk", pool, last.weight.detach().double()))
        assert pooled.bias is not None
        pooled.bias.data.copy_(pool @ last.bias.detach().double())
        self.svg.blocks[-1].conv_1 = pooled

    def _pooled(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, n or n + m, h, w]."""
        return torch.cat([pool_channels(features, count) for count in self.groups], 1)

    def forward(self, planes: Tensor, channels: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """planes float32 [B, K, H, W], of these `channels` int64 [K] (None: of all) -> (v_conv [B, h, w, n], v_norm [B, h, w, m]) float32
        for each scale, coarsest first."""
        vectors: list[tuple[Tensor, Tensor]] = []
        x: Any = None
        for block, labels in zip(self.svg.blocks, self.svg.pyramid(planes), strict=True):
            conv = block.conv_0
            own = conv.weight.shape[1] - self.svg.blocks[0].conv_0.weight.shape[1]
            kernel = conv.weight[:, own:]
            if channels is not None:
                kernel = kernel.index_select(1, channels)
            hidden = F.conv2d(labels.to(kernel.dtype), kernel, conv.bias, padding=1)
            if x is not None:
                add_doubled_(hidden, F.leaky_relu_(x, SLOPE), conv.weight[:, :own])
            x = block.conv_1(F.leaky_relu_(hidden, SLOPE))
            vectors.append(self._vectors(x if block is self.svg.blocks[-1] else self._pooled(x)))
        return vectors

    def _vectors(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        c = self.svg.config
        parts = [
            semantic_vectors(part, c.temperature, c.weight_type).permute(0, 2, 3, 1).contiguous()
            for part in logits.split(self.groups, 1)
        ]
        return parts[0], parts[-1]


def add_doubled_(out: Tensor, x: Tensor, kernel: Tensor) -> None:
    """Add to out [B, C, 2h, 2w] the convolution (3x3, zeros around) of the doubled x [B, c, h, w]."""
    height, width = x.shape[2:]
    # at the upper place of a square the taps see the small rows i - 1, i, i; at the lower one i, i, i + 1
    upper, lower = kernel.new_tensor([[1.0, 0, 0], [0, 1, 1]]), kernel.new_tensor([[1.0, 1, 0], [0, 0, 1]])
    kernels = [
        torch.einsum("ocij,ai,bj->ocab", kernel, down, across) for down in (upper, lower) for across in (upper, lower)
    ]
    squares = F.conv2d(x, torch.cat(kernels), padding=1).chunk(4, 1)
    for place, part in enumerate(squares):
        i, j = divmod(place, 2)
        out[:, :, i::2, j::2] += part[:, :, i : i + height, j : j + width]
