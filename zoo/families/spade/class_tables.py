"""Scales and shifts that are rows of a table: one per class (CLADE), or per instance of a class (INADE), looked up for each pixel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine


def look_up(table: Tensor, index: Tensor) -> Tensor:
    """The row of each pixel: table [rows, C], index int64 [B, h, w] -> [B, C, h, w], channels last in memory."""
    return F.embedding(index, table).permute(0, 3, 1, 2)


def statistics(norm: nn.Module) -> tuple[Tensor, Tensor] | None:
    """(mean, 1 / standard deviation), each [C], of a batch norm in evaluation mode; None for a norm with statistics of its input."""
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
        return norm.running_mean, torch.rsqrt(norm.running_var + norm.eps)
    return None


def absorb(scale: Tensor, shift: Tensor, mean: Tensor, inv_std: Tensor) -> Tensor:
    """Rows (a, b) side by side [..., 2 C], x * a + b = (x - mean) * inv_std * scale + shift; scale and shift [..., C]."""
    a = scale * inv_std
    return torch.cat([a, shift - mean * a], -1)


def modulate(x: Tensor, rows: Tensor) -> Tensor:
    """x * a + b for x [B, C, h, w] and looked-up rows [B or 1, 2 C, h, w]."""
    a, b = rows.chunk(2, 1)
    return torch.addcmul(b, x, a)


def halves(table: Tensor, index: Tensor) -> Affine:
    """(scale, shift) of each pixel, each [B, C, h, w], from a table [rows, 2 C]."""
    scale, shift = look_up(table, index).chunk(2, 1)
    return scale, shift
