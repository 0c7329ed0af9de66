"""SPADE's residual block over tables of windows, channels last, some thousand numbers at a time so that they stay in the cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import SPADEResnetBlock
from zoo.families.spade.window_norms import WindowNorm
from zoo.inference.packed import Packed

PIECE = 1 << 17
"""Numbers of x that are modulated at once."""
SLOPE = 0.2


class BlockTables(NamedTuple):
    """What a block reads of the map. index: int32 [B, h, w] (or B = 1 for all) into the rows [windows, 2 * channels] of its norms."""

    index: Tensor
    norm_0: Tensor
    norm_1: Tensor
    norm_s: Tensor | None


class Piece(NamedTuple):
    """Some pixels of some samples: where they lie in [B, h * w, …], their features [b, n, channels] and their windows [n]."""

    samples: slice
    pixels: slice
    x: Tensor
    windows: Tensor


def pieces(x: Tensor, index: Tensor, *, doubled: bool = False) -> Iterator[Piece]:
    """Features [B, C, h, w] (channels last) in pieces of whole rows; doubled: each pixel four times, index is [B, 2h, 2w]."""
    rows = x.permute(0, 2, 3, 1)
    batch, height, width, channels = rows.shape
    together = batch if len(index) == 1 else 1
    step = max(1, PIECE // (together * width * channels * (4 if doubled else 1)))
    factor = 2 if doubled else 1
    for sample, places in enumerate(index):
        samples = slice(sample, sample + together)
        for first in range(0, height, step):
            part = rows[samples, first : first + step]
            if doubled:
                part = part[:, :, None, :, None].expand(-1, -1, 2, -1, 2, -1)
            windows = places[first * factor : (first + step) * factor].flatten()
            begin = first * factor * factor * width
            yield Piece(samples, slice(begin, begin + len(windows)), part.reshape(together, -1, channels), windows)


class WindowBlock(nn.Module):
    """Equal to a `SPADEResnetBlock` in evaluation mode, for inference alone. `forward(x, tables)`; it doubles x itself if `doubles`.

    `torch.compile` leaves it as it is: its pieces would be unrolled, and a trial gained nothing.
    """

    uncompiled = True

    def __init__(self, block: SPADEResnetBlock, *, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.learned, self.c_out = doubles, block.learned, block.conv_1.out_channels
        self.norm_0, self.norm_1 = WindowNorm(block.norm_0), WindowNorm(block.norm_1)
        self.conv_0, self.conv_1 = Packed(block.conv_0), Packed(block.conv_1)
        if block.learned:
            self.norm_s = WindowNorm(block.norm_s)
            self.conv_s = Packed(as_linear(block.conv_s))

    def norms(self) -> dict[str, WindowNorm]:
        """The norms by name."""
        return {name: getattr(self, name) for name in ("norm_0", "norm_1", "norm_s") if hasattr(self, name)}

    def forward(self, x: Tensor, tables: BlockTables) -> Tensor:
        x = x.to(tables.norm_0.dtype).contiguous(memory_format=torch.channels_last)
        first, shortcut = self._enter(x, tables)
        dx = self.conv_0(first).contiguous(memory_format=torch.channels_last)
        del first
        dx = modulate_(self.norm_1, dx, tables.norm_1, tables.index)
        return self.conv_1.add_to(dx, shortcut)

    def _enter(self, x: Tensor, tables: BlockTables) -> tuple[Tensor, Tensor]:
        """(what conv_0 sees, the shortcut), both of the block's size and channels last; the shortcut's memory is fresh."""
        normed = self.norm_0.norm
        if normed is not None or not self.learned:
            x, double = (F.interpolate(x, scale_factor=2.0, mode="nearest") if self.doubles else x), False
        else:
            double = self.doubles
        batch, channels = x.shape[:2]
        size = tables.index.shape[1:]
        source = x if normed is None else normed(x).contiguous(memory_format=torch.channels_last)
        first = x.new_empty(batch, size[0] * size[1], channels)
        shortcut = x.new_empty(batch, size[0] * size[1], self.c_out) if self.learned else None
        for piece in pieces(source, tables.index, doubled=double):
            scaled(piece, tables.norm_0, first[piece.samples, piece.pixels])
            if shortcut is not None and tables.norm_s is not None:
                shortcut[piece.samples, piece.pixels] = self.conv_s(scaled(piece, tables.norm_s))
        if shortcut is None:
            return _as_maps(first, size), x if self.doubles else x.clone()
        return _as_maps(first, size), _as_maps(shortcut, size)


def scaled(piece: Piece, table: Tensor, out: Tensor | None = None) -> Tensor:
    """x * a + b for the windows of the pixels; with `out` written there, and through the leaky ReLU."""
    scale, shift = table.index_select(0, piece.windows).chunk(2, 1)
    if out is None:
        return torch.addcmul(shift, piece.x, scale)
    return F.leaky_relu_(torch.addcmul(shift, piece.x, scale, out=out), SLOPE)


def modulate_(norm: WindowNorm, x: Tensor, table: Tensor, index: Tensor) -> Tensor:
    """Norm, modulation and leaky ReLU of x [B, C, h, w], channels last, whose memory is written over."""
    rows = (x if norm.norm is None else norm.norm(x)).permute(0, 2, 3, 1).contiguous()  # as a rule the same memory
    flat = rows.flatten(1, 2)
    for piece in pieces(rows.permute(0, 3, 1, 2), index):
        part = flat[piece.samples, piece.pixels]
        scaled(piece._replace(x=part), table, part)
    return rows.permute(0, 3, 1, 2)


def _as_maps(flat: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
    """[B, h * w, C] -> [B, C, h, w] in the same memory."""
    return flat.unflatten(1, (size[0], size[1])).permute(0, 3, 1, 2)


def as_linear(conv: nn.Conv2d) -> nn.Linear:
    """A 1x1 convolution as a linear layer over channels."""
    linear = nn.Linear(conv.in_channels, conv.out_channels, conv.bias is not None).to(conv.weight)
    linear.weight.data.copy_(conv.weight.detach()[:, :, 0, 0])
    if conv.bias is not None:
        linear.bias.data.copy_(conv.bias.detach())
    return linear
