"""SPADE's residual block over tables of windows, channels last, some rows at a time so that they stay in the cache.

Scales and shifts are gathered, applied and activated straight into what the next convolution sees, a border of zeros around it; the
results of the first convolution are modulated strip by strip as they come. Convolutions: `zoo.inference.tiles`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import SPADEResnetBlock
from zoo.families.spade.window_norms import WindowNorm
from zoo.inference.memory import Scratch, bordered, uninitialised
from zoo.inference.packed import Packed, as_linear
from zoo.inference.processors import mkl
from zoo.inference.tiles import TiledConv

PIECE = 1 << 16
"""Numbers of x that are modulated at once; on another device than the CPU, which has no cache to stay in, whole samples are."""
SLOPE = 0.2


class BlockTables(NamedTuple):
    """What a block reads of the map. index: int32 [B, h, w] (or B = 1 for all) into the rows of its norms: [windows, 2 * channels] of
    scale and shift, and of `norm_s` the scale and the shift behind the shortcut's convolution, [windows, channels + out]."""

    index: Tensor
    norm_0: Tensor
    norm_1: Tensor
    norm_s: Tensor | None


class Piece(NamedTuple):
    """Some rows of some samples: of features [B, h, w, C], of the block's size [B, H, W, …], and the windows int32 [rows, W] there."""

    samples: slice
    source: slice
    rows: slice
    windows: Tensor


def pieces(x: Tensor, index: Tensor) -> Iterator[Piece]:
    """Features [B, h, w, C] in pieces of whole rows; index [B or 1, H, W] is of their size or of twice that."""
    batch, height, width, channels = x.shape
    factor = index.shape[1] // height
    together = batch if len(index) == 1 else 1
    step = max(1, PIECE // (together * width * channels * factor * factor)) if x.device.type == "cpu" else height
    for sample, windows in enumerate(index):
        samples = slice(sample, sample + together)
        for first in range(0, height, step):
            source = slice(first, min(height, first + step))
            rows = slice(source.start * factor, source.stop * factor)
            yield Piece(samples, source, rows, windows[rows])


class WindowBlock(nn.Module):
    """Equal to a `SPADEResnetBlock` in evaluation mode, for inference alone. `forward(x, tables)`; it doubles x itself if `doubles`.

    `torch.compile` leaves it as it is: its pieces would be unrolled, and a trial gained nothing.
    """

    uncompiled = True

    def __init__(self, block: SPADEResnetBlock, *, doubles: bool) -> None:
        super().__init__()
        self.doubles, self.learned, self.c_out = doubles, block.learned, block.conv_1.out_channels
        self.norm_0, self.norm_1 = WindowNorm(block.norm_0), WindowNorm(block.norm_1)
        self.conv_0, self.conv_1 = (TiledConv(c.weight.detach(), c.bias) for c in (block.conv_0, block.conv_1))
        if block.learned:
            self.norm_s = WindowNorm(block.norm_s, block.conv_s)
            self.conv_s = _Shortcut(block.conv_s)

    def norms(self) -> dict[str, WindowNorm]:
        """The norms by name."""
        return {name: getattr(self, name) for name in ("norm_0", "norm_1", "norm_s") if hasattr(self, name)}

    def forward(self, x: Tensor, tables: BlockTables) -> Tensor:
        """[B, C, h, w] -> [B, C', H, W], channels last."""
        seen, out = self._enter(x.to(tables.norm_0.dtype).permute(0, 2, 3, 1).contiguous(), tables)
        del x
        index, scratch = tables.index, Scratch()
        shape = (len(seen), *index.shape[1:], self.conv_0.out)
        if self.norm_1.norm is None:
            middle = bordered(seen, shape)
            for strip in self.conv_0.strips(seen, scratch):
                windows = strip.of(index[..., None]).squeeze(-1)
                target = middle[:, 1:-1, 1:-1]
                modulate(strip.y, tables.norm_1, windows, strip.of(target))
                F.leaky_relu_(target[strip.samples, strip.rows], SLOPE)
        else:
            dx = uninitialised(seen, shape)
            for strip in self.conv_0.strips(seen, scratch):
                strip.of(dx).copy_(strip.y)
            middle = self._modulated(_normed(self.norm_1.norm, dx), tables.norm_1, index)
        del seen
        for strip in self.conv_1.strips(middle, scratch):
            strip.of(out).add_(strip.y)
        return out.permute(0, 3, 1, 2)

    def _enter(self, x: Tensor, tables: BlockTables) -> tuple[Tensor, Tensor]:
        """From x [B, h, w, C]: (what conv_0 sees, with its border; the shortcut [B, H, W, C'] in fresh memory)."""
        # statistics of the image are those of the doubled one
        source = x if self.norm_0.norm is None else _normed(self.norm_0.norm, x)
        seen = self._modulated(source, tables.norm_0, tables.index)
        if tables.norm_s is None:
            return seen, x.repeat_interleave(2, 1).repeat_interleave(2, 2) if self.doubles else x.clone()
        out = uninitialised(x, (len(x), *tables.index.shape[1:], self.c_out))
        channels = x.shape[-1]
        for piece in pieces(source, tables.index):
            part = source[piece.samples, piece.source]
            rows = tables.norm_s.index_select(0, piece.windows.flatten()).view(*piece.windows.shape, -1)
            scaled = _doubled(part, self.doubles) * _in_fours(rows[..., :channels], self.doubles)
            target = out[piece.samples, piece.rows]
            torch.add(self.conv_s(scaled.flatten(0, -2)).view(target.shape), rows[..., channels:], out=target)
        return seen, out

    def _modulated(self, x: Tensor, table: Tensor, index: Tensor) -> Tensor:
        """Modulation, doubling and leaky ReLU of x [B, h, w, C] within a border of zeros."""
        padded = bordered(x, (len(x), *index.shape[1:], x.shape[-1]))
        inner, double = padded[:, 1:-1, 1:-1], index.shape[1] > x.shape[1]
        for piece in pieces(x, index):
            target = inner[piece.samples, piece.rows]
            rows = _doubled(x[piece.samples, piece.source], double)
            modulate(rows, table, _in_fours(piece.windows[..., None], double).squeeze(-1), _in_fours(target, double))
            F.leaky_relu_(target, SLOPE)
        return padded


def modulate(x: Tensor, table: Tensor, windows: Tensor, out: Tensor) -> None:
    """x * scale + shift into out […, C]; windows: int32 rows of table [windows, 2 * C], of a shape that `out` takes without channels."""
    scale, shift = table.index_select(0, windows.flatten()).view(*windows.shape, -1).chunk(2, -1)
    if x.dtype == out.dtype:
        torch.addcmul(shift, x, scale, out=out)
    else:
        out.copy_(torch.addcmul(shift, x, scale))


def _doubled(x: Tensor, double: bool) -> Tensor:
    """[b, h, w, C] as [b, h, 1, w, 1, C], to be spread over what `_in_fours` gives."""
    return x[:, :, None, :, None] if double else x


def _in_fours(maps: Tensor, double: bool) -> Tensor:
    """[…, 2h, 2w, C] as […, h, 2, w, 2, C]."""
    return maps.unflatten(-2, (-1, 2)).unflatten(-4, (-1, 2)) if double else maps


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    return norm(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1).contiguous()


class _Shortcut(nn.Module):
    """A 1x1 convolution without its bias, over rows of channels."""

    weight: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        matrix = conv.weight.detach()[:, :, 0, 0]
        self.packed: Packed | None = None
        if mkl():
            self.register_buffer("weight", matrix.t().contiguous())
        else:
            self.packed = Packed(as_linear(conv, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight if self.packed is None else self.packed(x)
