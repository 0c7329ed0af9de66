"""The parts of SegVAE's inference form for wide networks: strided convolutions as matrix products, few operations a step, one sample at a
time where maps are large.

A step of one map is bound by its weights (77 MB at the official widths) and by the number of small operations, so norms are torch's own
and nothing is laid out twice. Small networks keep the kernels that their published pictures were made with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.packed import Packed, pack
from zoo.inference.strided import DoublingProducts, StridedProducts, padded
from zoo_plugins.segvae.networks import Prior, State

if TYPE_CHECKING:
    from zoo_plugins.segvae.config import SegVAEConfig

SLOPE = 0.2
WORTH = 100_000_000
"""Products of a context code and a shape from which on a network takes these parts (official: 540 million; the published ones: 34)."""


SMALL = 8
"""Side of a layer's smaller maps up to which it is a product; beyond, oneDNN's kernel is as fast or faster."""


def worth_products(config: SegVAEConfig) -> bool:
    """Whether a config's networks take the parts of this module."""
    sides = [config.size >> (i + 2) for i in range(len(config.stages) - 1)]
    products = sum(
        2 * 9 * a * b * side * side for a, b, side in zip(config.stages, config.stages[1:], sides, strict=False)
    )
    return config.norm == "in" and products >= WORTH


def by_products(x: Tensor) -> bool:
    """Whether `x` is computed on by plain inference on a CPU, in any floating type."""
    return (
        x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not (torch.is_grad_enabled() and x.requires_grad)
        and not torch.compiler.is_compiling()
    )


class RowLinear(Packed):
    """A linear layer whose single rows take the plain weight: packed ones are for products, one row only reads it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if len(x) == 1 else super().forward(x)


def activate(y: Tensor, target: Tensor) -> None:
    """Instance norm and LeakyReLU of samples y [B, ..., C], contiguous, into `target` of the same shape, which may be y; y is overwritten:
    what is slow about large maps is other memory."""
    for one, place in zip(y, target, strict=True):
        pixels = one.view(1, -1, 1, one.shape[-1]).permute(0, 3, 1, 2)
        statistics = y.new_empty(0), y.new_empty(0)
        torch.native_batch_norm(pixels, None, None, None, None, True, 0.0, 1e-5, out=(pixels, *statistics))
        torch.ops.aten.leaky_relu.out(one, SLOPE, out=place)


def _activated(y: Tensor) -> Tensor:
    """[B, H, W, C], overwritten, as [B, C, H, W] that lies channels last."""
    activate(y, y)
    return y.permute(0, 3, 1, 2)


def _last(x: Tensor) -> Tensor:
    """[B, C, H, W] as [B, H, W, C], contiguous."""
    return x.permute(0, 2, 3, 1).contiguous()


def _plainly(x: Tensor) -> Tensor:
    return F.leaky_relu(F.instance_norm(x), SLOPE)


class StridedBlocks(nn.Module):
    """Norm and LeakyReLU, then a convolution with both after it for each block of a `StridedEncoder` but the first."""

    def __init__(self, convs: list[nn.Conv2d], side: int) -> None:
        """side: of the maps that go in."""
        super().__init__()
        small = [side >> (i + 1) <= SMALL for i in range(len(convs))]
        self.convs = nn.ModuleList(
            StridedProducts(conv) if few else pack(conv) for conv, few in zip(convs, small, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W], channels last -> [B, C', h, w], channels last."""
        if not by_products(x):
            x = _plainly(x)
            for conv in self.convs:
                x = _plainly(conv.plain(x) if isinstance(conv, StridedProducts) else conv(x))
            return x
        y = _last(x)
        for conv in self.convs:
            if isinstance(conv, StridedProducts):
                room, inside = padded(tuple(y.shape), y, low=True)
                activate(y, inside)
                y = conv(room)
            else:
                y = _last(conv(_activated(y)))
        return _activated(y)


class DoublingBlocks(nn.Module):
    """The blocks of a `ShapeDecoder`: transposed convolution, norm, LeakyReLU."""

    def __init__(self, convs: list[nn.ConvTranspose2d], side: int) -> None:
        """side: of the maps that go in."""
        super().__init__()
        small = [side << i <= SMALL for i in range(len(convs))]
        self.convs = nn.ModuleList(
            DoublingProducts(conv) if few else pack(conv) for conv, few in zip(convs, small, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w], channels last -> [B, C', H, W], channels last."""
        if not by_products(x):
            for conv in self.convs:
                x = _plainly(conv.plain(x) if isinstance(conv, DoublingProducts) else conv(x))
            return x
        for conv in self.convs:
            if isinstance(conv, DoublingProducts):
                maps = x.permute(0, 2, 3, 1)
                room, inside = padded(tuple(maps.shape), maps, low=False)
                inside.copy_(maps)
                fours = conv(room)
                batch, _, height, width, channels = fours.shape
                x = fours.new_empty(batch, 2 * height, 2 * width, channels)
                places = x.view(batch, height, 2, width, 2, channels).permute(0, 2, 4, 1, 3, 5)
                activate(fours.view(places.shape), places)
                x = x.permute(0, 3, 1, 2)
            else:
                x = _activated(_last(conv(x)))
        return x


class FastPrior(Prior):
    """`Prior` with an LSTM step of one product, and one for both heads."""

    def __init__(self, prior: Prior) -> None:
        nn.Module.__init__(self)  # not Prior's: the layers are the given one's
        assert prior.lstm is not None
        lstm, heads = prior.lstm, prior.heads
        self.embed = prior.embed
        self.step = plain_linear(torch.cat([lstm.weight_ih, lstm.weight_hh], 1), lstm.bias_ih + lstm.bias_hh)
        self.both = plain_linear(
            torch.cat([heads.mu.weight, heads.log_var.weight]), torch.cat([heads.mu.bias, heads.log_var.bias])
        )

    def forward(self, feat: Tensor, state: State | None) -> tuple[Tensor, Tensor, State | None]:
        """As `Prior.forward`."""
        x = self.embed(feat)
        hidden, cell = (x.new_zeros(x.shape), x.new_zeros(x.shape)) if state is None else state
        gates = self.step(torch.cat([x, hidden.to(x.dtype)], 1))
        new = gates.chunk(4, 1)[2].tanh()
        let_in, forget, _, let_out = gates.sigmoid_().chunk(4, 1)
        cell = torch.addcmul(forget * cell, let_in, new)
        hidden = let_out * cell.tanh()
        mu, log_var = self.both(hidden).chunk(2, 1)
        return mu, log_var, (hidden, cell)


def plain_linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    """A linear layer with this weight [out, in] and bias [out]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0]).to(weight)
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer
