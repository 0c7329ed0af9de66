"""The inference form of MUNIT's decoder: a doubling and the 5x5 convolution after it as one, with a third of the products.

A doubled picture shows each pixel four times, so an output pixel sees 3x3 different ones: for each of its four places in the block a 3x3
kernel of sums does what the 5x5 kernel does. At the border the padding of the doubled picture is no padding of the small one (reflected,
it begins with a half block), so the outermost two pixels of each side are computed as they stand.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.munit.blocks import ConvBlock
from zoo_plugins.munit.generator import Decoder

SMALLEST = 4
"""Sides of the small picture below which the plain form is taken."""


def _summed(kernel: Tensor, place: int) -> Tensor:
    """Taps of 5 in the last dimension -> the sums of 3 for the first (0) or second (1) of two equal pixels."""
    a, b, c, d, e = kernel.unbind(-1)
    return torch.stack([a + b, c + d, e] if place == 0 else [a, b + c, d + e], -1)


class DoublingBlock(nn.Module):
    """`block(upsample(x))` of a 5x5 `ConvBlock` with padding 2."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        conv = block.conv
        assert isinstance(conv, nn.Conv2d) and conv.kernel_size == (5, 5) and conv.bias is not None
        self.pad, self.conv, self.norm, self.activation = block.pad, conv, block.norm, block.activation
        weight = conv.weight.detach().double()
        rows = [_summed(weight.transpose(2, 3), p).transpose(2, 3) for p in (0, 1)]
        kernels = [_summed(r, q) for r in rows for q in (0, 1)]
        self.register_buffer("kernels", torch.cat(kernels).to(conv.weight), persistent=False)
        self.register_buffer("biases", conv.bias.detach().repeat(4), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self._convolved(x)
        x = x if self.norm is None else self.norm(x)
        return x if self.activation is None else self.activation(x)

    def _convolved(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if min(height, width) < SMALLEST:
            return self.conv(self.pad(F.interpolate(x, scale_factor=2.0)))
        kernels, biases = self.get_buffer("kernels"), self.get_buffer("biases")
        inner = F.conv2d(x, kernels, biases)  # the small picture without its outermost pixels
        count, channels = len(x), self.conv.out_channels
        blocks = inner.view(count, 2, 2, channels, height - 2, width - 2)
        out = x.new_empty(count, channels, 2 * height, 2 * width)
        out[:, :, 2:-2, 2:-2] = blocks.permute(0, 3, 4, 1, 5, 2).reshape(count, channels, 2 * height - 4, 2 * width - 4)
        self._border(x, out)
        return out

    def _border(self, x: Tensor, out: Tensor) -> None:
        """The outermost two pixels of each side, from the strips of the doubled picture that they see."""
        strips = (
            (x[..., :3, :], (slice(0, 4), slice(None)), (slice(0, 2), slice(None))),
            (x[..., -3:, :], (slice(-4, None), slice(None)), (slice(-2, None), slice(None))),
            (x[..., :3], (slice(None), slice(0, 4)), (slice(None), slice(0, 2))),
            (x[..., -3:], (slice(None), slice(-4, None)), (slice(None), slice(-2, None))),
        )
        for part, (rows, columns), (y, z) in strips:
            made = self.conv(self.pad(F.interpolate(part, scale_factor=2.0)))
            # of a strip of six rows the first (last) two have all that they see, and the padding of their own side
            cut = made[..., rows, :] if rows != slice(None) else made[..., columns]
            cut = cut[..., y, :] if y != slice(None) else cut[..., z]
            out[..., y, z] = cut


@torch.no_grad()
def fold(decoder: Decoder) -> None:
    """Put the form in place of the layers of a decoder that is in evaluation mode and used for inference only."""
    layers = list(decoder.model)
    made: list[nn.Module] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Upsample):
            assert isinstance(following, ConvBlock)
            made.append(DoublingBlock(following))
        elif not (
            isinstance(layer, ConvBlock)
            and made
            and isinstance(made[-1], DoublingBlock)
            and made[-1].conv is layer.conv
        ):
            made.append(layer)
    decoder.model = nn.ModuleList(made)
