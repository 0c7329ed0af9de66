"""The inference form of MaskGAN's network: equal to the plain one to rounding.

The first convolution over a map is a sum of kernel columns. All that follows lies channels last, where the strided and transposed
convolutions take half to a third of the time, with an instance norm of its own (torch's takes three times as long there): mean and
variance of each channel, then its scale, shift, the style's, and a ReLU in one go over the features. Biases in front of norms, which
subtract them again, are left out.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.columns import Content, LabelConv
from zoo.inference.packed import pack
from zoo_plugins.maskgan.blocks import EPS, ConvBlock, ResnetBlock, modulate
from zoo_plugins.maskgan.generator import Generator, Plan

PIECE = 1 << 17
"""Numbers of the features that are squared at a time."""


def normalized(x: Tensor, params: Tensor | None = None, *, relu: bool) -> Tensor:
    """Instance norm of [B, C, H, W], modulated by params [S, 2C] where there are any (`modulate`), with a ReLU or not.

    A batch of one with several styles gives S samples. `x` is overwritten.
    """
    if x.dtype != torch.float32:  # sums of rounded numbers would be too coarse
        x = F.instance_norm(x, eps=EPS)
        x = x if params is None else modulate(x, params)
        return F.relu(x) if relu else x
    rows = x.permute(0, 2, 3, 1).flatten(1, 2)
    rows = rows.sub_(rows.mean(1, keepdim=True))
    scale = (_mean_square(rows) + EPS).rsqrt_()
    if params is None:
        made = rows.mul_(scale)
    else:
        own_shift, own_scale = params.to(rows)[:, None].chunk(2, 2)
        made = torch.addcmul(own_shift, rows, scale * own_scale)
    if relu:
        made.clamp_(min=0)
    return made.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)


def _mean_square(rows: Tensor) -> Tensor:
    """Of [B, N, C] over N: [B, 1, C]. Piece by piece, so that the squares stay in a core's cache (torch's variance takes five times as
    long)."""
    total = rows.new_zeros(len(rows), rows.shape[2])
    for piece in rows.split(max(1, PIECE // rows.shape[2]), 1):
        total += piece.square().sum(1)
    return total[:, None] / rows.shape[1]


class FoldedGenerator(Generator):
    """A `Generator` for inference."""

    def __init__(self, generator: Generator) -> None:
        nn.Module.__init__(self)  # not Generator's: the layers are the given one's
        self.layers, self.start = generator.layers, generator.start
        self.enc_style, self.enc_label = generator.enc_style, generator.enc_label
        conv = generator.model[1]
        assert isinstance(conv, nn.Conv2d)
        self.columns = LabelConv(conv, reflect=True)
        parts = list(generator.model)
        self.down = nn.ModuleList(_before_norm(m) for m in parts[2 : self.start] if isinstance(m, nn.Conv2d))
        self.middle = nn.ModuleList(m for m in parts if isinstance(m, ResnetBlock))
        for module in self.middle.modules():
            if isinstance(module, ConvBlock):
                module.conv = pack(_before_norm(module.conv))  # pyright: ignore[reportAttributeAccessIssue]
        self.up = nn.ModuleList(_before_norm(m) for m in parts if isinstance(m, nn.ConvTranspose2d))
        self.head = nn.Sequential(*parts[-3:]).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def plan_of(self, values: Tensor, content: Content) -> Plan:
        """As `plan`, from a map's values. values, content: of a `LabelInput`."""
        x = normalized(self.columns(values, content), relu=True)
        for conv in self.down:
            x = normalized(conv(x), relu=True)
        first = self._convolved(0, 0, x)
        return Plan(x, normalized(first, relu=False))

    def _convolved(self, block: int, layer: int, x: Tensor) -> Tensor:
        module = cast(ResnetBlock, self.middle[block]).conv_block[layer]
        assert isinstance(module, ConvBlock)
        return module.conv(module.pad(x))

    def render(self, plan: Plan, style: Tensor) -> Tensor:
        x = plan.features
        for i in range(len(self.middle)):
            inner, outer = style[:, 2 * i], style[:, 2 * i + 1]
            h = normalized(self._convolved(i, 0, x), inner, relu=True) if i else F.relu(modulate(plan.first, inner))
            x = x + normalized(self._convolved(i, 1, h), outer, relu=False)
        for conv in self.up:
            x = normalized(conv(x), relu=True)
        return self.head(x).float()


@torch.no_grad()
def _before_norm(conv: nn.Module) -> nn.Module:
    """The convolution channels last and without its bias, which the instance norm behind it takes away."""
    assert isinstance(conv, nn.Conv2d | nn.ConvTranspose2d)
    conv.bias = None
    return conv.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
