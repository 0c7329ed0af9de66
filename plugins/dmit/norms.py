"""Norms of DMIT: without a condition, and with one that shifts each channel (docs/papers/dmit.md, "Norms")."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.spectral import SNLinear
from zoo_plugins.dmit.config import NormKind


class ShiftedInstanceNorm(nn.Module):
    """CBIN: instance norm (eps 1e-5) plus tanh(Linear(code)) for each channel; there is no scale.

    forward: x [B, channels, H, W], code [B, code] -> the shape of x.
    """

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.shift = SNLinear(code, channels)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        return F.instance_norm(x) + torch.tanh(self.shift(code))[:, :, None, None]


class ShiftedBatchNorm(nn.Module):
    """CBBN: batch norm (running statistics, momentum 0.1), its mean over each picture taken off, plus tanh(Linear(code)) for each
    channel, and then a scale and a shift that do not depend on the code. The first scales are uniform in [0, 1).

    forward: x [B, channels, H, W], code [B, code] -> the shape of x.
    """

    def __init__(self, channels: int, code: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.shift = SNLinear(code, channels)
        self.weight, self.bias = nn.Parameter(torch.empty(channels)), nn.Parameter(torch.zeros(channels))
        nn.init.uniform_(self.weight)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        x = self.norm(x)
        x = x - x.mean((2, 3), keepdim=True) + torch.tanh(self.shift(code))[:, :, None, None]
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class LayerNorm(nn.Module):
    """Over all numbers of a sample: biased variance, eps 1e-5 inside the root; then a scale and a shift [channels, 1, 1].

    forward: [B, channels, H, W] -> the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels, 1, 1)), nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, x.shape[1:]) * self.weight + self.bias


def plain_norm(kind: NormKind, channels: int) -> nn.Module:
    """The norm without a condition: an instance norm without parameters, or a batch norm with scale and shift."""
    return nn.InstanceNorm2d(channels) if kind == "cbin" else nn.BatchNorm2d(channels)


def shifted_norm(kind: NormKind, channels: int, code: int) -> ShiftedInstanceNorm | ShiftedBatchNorm:
    """The norm with a condition of so many numbers."""
    return (ShiftedInstanceNorm if kind == "cbin" else ShiftedBatchNorm)(channels, code)
