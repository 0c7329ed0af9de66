"""The semantic vector generator of the tiled form: semantic vectors alone, of the classes that a map shows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.packed import pack
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
        # of the first convolutions: what reads the labels stays, what reads the doubled features becomes a layer of its own
        planes = self.svg.blocks[0].conv_0.weight.shape[1]
        self.doubled = nn.ModuleList()
        for block in self.svg.blocks:
            weight = block.conv_0.weight.detach()
            own = weight.shape[1] - planes
            if own:
                self.doubled.append(pack(of_doubled(weight[:, :own])))
            block.conv_0.weight = nn.Parameter(weight[:, own:].contiguous(), requires_grad=False)
            block.conv_1 = pack(block.conv_1)

    def _pooled(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, n or n + m, h, w]."""
        return torch.cat([pool_channels(features, count) for count in self.groups], 1)

    def forward(self, planes: Tensor, channels: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """planes float32 [B, K, H, W], of these `channels` int64 [K] (None: of all) -> (v_conv [B, h, w, n], v_norm [B, h, w, m]) float32
        for each scale, coarsest first."""
        vectors: list[tuple[Tensor, Tensor]] = []
        x: Any = None
        for number, (block, labels) in enumerate(zip(self.svg.blocks, self.svg.pyramid(planes), strict=True)):
            kernel = block.conv_0.weight
            if channels is not None:
                kernel = kernel.index_select(1, channels)
            # channels last from here on: the places of the squares are then whole pixels
            kernel = kernel.contiguous(memory_format=torch.channels_last)
            hidden = F.conv2d(labels.to(kernel.dtype), kernel, block.conv_0.bias, padding=1)
            if x is not None:
                add_squares_(hidden, self.doubled[number - 1](F.leaky_relu_(x, SLOPE)))
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


def of_doubled(kernel: Tensor) -> nn.Conv2d:
    """The convolution 2x2 of features that gives, for `add_squares_`, what `kernel` [C, c, 3, 3] gives of them doubled."""
    # at the upper place of a square the taps see the small rows i - 1, i, i; at the lower one i, i, i + 1
    upper, lower = kernel.new_tensor([[1.0, 0, 0], [0, 1, 1]]), kernel.new_tensor([[1.0, 1, 0], [0, 0, 1]])
    kernels = [
        torch.einsum("ocij,ai,bj->ocab", kernel, down, across) for down in (upper, lower) for across in (upper, lower)
    ]
    conv = nn.Conv2d(kernel.shape[1], 4 * kernel.shape[0], 2, padding=1, bias=False).to(kernel)
    conv.weight = nn.Parameter(torch.cat(kernels), requires_grad=False)
    return conv


def add_squares_(out: Tensor, squares: Tensor) -> None:
    """Add to out [B, C, 2h, 2w] the four places of each square: [B, 4 C, h + 1, w + 1], the result of `of_doubled`."""
    height, width = out.shape[2] // 2, out.shape[3] // 2
    for place, part in enumerate(squares.chunk(4, 1)):
        i, j = divmod(place, 2)
        out[:, :, i::2, j::2] += part[:, :, i : i + height, j : j + width]
