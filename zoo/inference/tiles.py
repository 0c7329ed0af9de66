"""3x3 convolutions of padded channels-last features by minimal filtering (Winograd's), some strips of tiles at a time.

A tile of m x m outputs takes (m + 2)^2 products per pair of channels instead of 9 m^2: 2.25 times fewer for m = 2, 4 times for 4. The points
of m = 4 are 0, +-3/4, +-3/2 and infinity: their powers are exact in float32, and the error on normal numbers is that of oneDNN's
direct convolution (a standard deviation of 1.1e-6 of the result's; with the usual 0, +-1, +-2 it is 2.4e-6).

Small ones (few channels, few tiles) take the direct convolution, in strips too; so does anything but float32 inference on a CPU.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from zoo.inference.memory import Scratch
from zoo.inference.packed import Cache, native, pack
from zoo.inference.processors import wide

POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.75, -0.75, 1.5, -1.5)}
PAIRS = 12_000 if wide() else 8_000
"""Pairs of channels (in x out) from which on tiles are faster than the direct convolution (measured with AVX-512 and with AVX2)."""
SEPARATELY = not wide()
"""Whether tiles of m = 4 are transformed along one axis after the other (with AVX2 1.2 to 1.7 times faster; with AVX-512 not tried)."""
_OUTPUTS, _INPUTS = 0, 1
TILES = 64
"""Tiles that a batch needs at least: with fewer the transformed weights are read for too few products."""
SMALL, MIDDLE, LARGE = 1 << 18, 1 << 20, 1 << 22
"""Numbers in a strip's tiles, before and after the products: where the transformed weights stay in a core's own cache, where in the cache
of all, and where in none (measured at 128 x 192 channels, batch 8: 33, 24 and 32 ms)."""
DIRECT = 1 << 20
"""Numbers in a strip of the direct convolution, before and after it. On another device than the CPU all is one strip."""


class Strip(NamedTuple):
    """Results for some rows of some samples: y [b, rows, W, out], or with `side` m its tiles [m, m, b, rows / m, W / m, out]."""

    samples: slice
    rows: slice
    y: Tensor
    side: int

    def of(self, maps: Tensor) -> Tensor:
        """The strip's part of maps [B or 1, H, W, C], laid out as `y` is."""
        part = maps[self.samples if len(maps) > 1 else slice(None), self.rows]
        if self.side == 1:
            return part
        tiles = part.unflatten(2, (-1, self.side)).unflatten(1, (-1, self.side))
        return tiles.permute(2, 4, 0, 1, 3, 5)


@functools.cache
def matrices(m: int) -> tuple[Tensor, Tensor, Tensor]:
    """(outputs A [m, m + 2], kernels G [m + 2, 3], inputs B [m + 2, m + 2]) float64: y = A ((G k) * (B x)), Toom and Cook's."""
    points = torch.tensor(POINTS[m], dtype=torch.float64)
    count = m + 2
    a, g, b = (torch.zeros(count, k, dtype=torch.float64) for k in (m, 3, count))
    for i, p in enumerate(points):
        others = torch.cat([points[:i], points[i + 1 :]])
        product = _polynomial(others)
        scale = 2.0 ** product.abs().max().log2().round()
        a[i] = p ** torch.arange(m)
        g[i] = p ** torch.arange(3) / (p - others).prod() * scale
        b[i, : len(product)] = product / scale
    a[-1, -1], g[-1, -1], b[-1] = 1, 1, _polynomial(points)
    return a.t(), g, b


@functools.cache
def _both_axes(m: int) -> tuple[Tensor, Tensor]:
    """Outputs [m^2, (m + 2)^2] and inputs [(m + 2)^2, (m + 2)^2] for tiles, float32."""
    outputs, _, inputs = matrices(m)
    return torch.kron(outputs, outputs).float(), torch.kron(inputs, inputs).float()


@functools.cache
def _one_axis(m: int) -> tuple[Tensor, Tensor]:
    """Outputs [m, m + 2] and inputs [m + 2, m + 2] along one axis, float32."""
    outputs, _, inputs = matrices(m)
    return outputs.float().contiguous(), inputs.float()


def _polynomial(roots: Tensor) -> Tensor:
    """Coefficients of the product of (x - root), from the constant one upwards."""
    product = torch.ones(1, dtype=torch.float64)
    for root in roots:
        product = torch.cat([product.new_zeros(1), product]) - root * torch.cat([product, product.new_zeros(1)])
    return product


def side_of_tiles(height: int, width: int, channels: int, out: int, batch: int = 1) -> int:
    """m of a convolution of `batch` [height, width] maps; 1 for the direct one."""
    if channels * out >= PAIRS:
        for m in (4, 2):
            if height % m == 0 and width % m == 0 and batch * height * width >= TILES * m * m:
                return m
    return 1


class TiledConv(nn.Module):
    """The inference form of a 3x3 convolution, stride 1, padding 1. It sees features with a border of zeros of their own."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """weight: [out, in, 3, 3]. Transformed weights are made at the first call for a size."""
        super().__init__()
        out, channels = weight.shape[:2]
        direct = nn.Conv2d(channels, out, 3, bias=bias is not None).to(weight)
        direct.weight.data.copy_(weight)
        if bias is not None:
            direct.bias.data.copy_(bias)  # type: ignore[union-attr]
        self.channels, self.out = channels, out
        self.direct = pack(direct)
        self._transformed = {m: Cache() for m in POINTS}

    @property
    def weight(self) -> Tensor:
        """[out, in, 3, 3]."""
        return self.direct.weight  # type: ignore[return-value]

    @property
    def bias(self) -> Tensor | None:
        return self.direct.layer.bias  # type: ignore[union-attr, return-value]

    def strips(self, padded: Tensor, scratch: Scratch | None = None) -> Iterator[Strip]:
        """From [B, H + 2, W + 2, in], contiguous, the border zero: the result, strip by strip.

        scratch: memory for what is in between; a strip is then lost when the next one is asked for.
        """
        batch, height, width = len(padded), padded.shape[1] - 2, padded.shape[2] - 2
        m = side_of_tiles(height, width, self.channels, self.out, batch) if native(padded) else 1
        taps = (m + 2) ** 2 if m > 1 else 1
        weights = taps * self.channels * self.out
        numbers = DIRECT if m == 1 else LARGE if weights > LARGE // 4 else MIDDLE if weights > 3 * SMALL // 2 else SMALL
        room = numbers // (taps * (self.channels + self.out))
        step, together = height // m, batch
        if padded.device.type == "cpu":
            step, together = _step(batch, height // m, room // (width // m))
        for sample in range(0, batch, together):
            samples = slice(sample, min(batch, sample + together))
            for first in range(0, height // m, step):
                rows = slice(first * m, min(height, (first + step) * m))
                seen = padded[samples, rows.start : rows.stop + 2]
                yield Strip(samples, rows, self._tiles(seen, m, scratch or Scratch()) if m > 1 else self._rows(seen), m)

    def _rows(self, seen: Tensor) -> Tensor:
        return self.direct(seen.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    def _tiles(self, seen: Tensor, m: int, scratch: Scratch) -> Tensor:
        side, taps = m + 2, (m + 2) ** 2
        patches = (
            seen.unfold(1, side, m).unfold(2, side, m).permute(4, 5, 0, 1, 2, 3)
        )  # [side, side, b, rows, columns, in]
        shape = patches.shape[2:5]
        tiles = math.prod(shape)
        plain = scratch.take("patches", seen, patches.shape).copy_(patches).view(taps, -1)
        seen_by, free = _transform_tiles(plain, m, _INPUTS, scratch, ("patches", "transformed"))
        kernels = self._transformed[m].of(self.weight, functools.partial(transform, m=m))
        # in the memory of what is read no more, where it is enough
        products = scratch.take(free, seen, (taps, tiles, self.out))
        torch.bmm(seen_by.view(taps, tiles, self.channels), kernels, out=products)
        names = ("patches", "transformed") if free == "patches" else ("transformed", "patches")
        y, _ = _transform_tiles(products.view(taps, -1), m, _OUTPUTS, scratch, names)
        y = y.view(m, m, *shape, self.out)
        return y if self.bias is None else y.add_(self.bias)


def _transform_tiles(x: Tensor, m: int, which: int, scratch: Scratch, names: tuple[str, str]) -> tuple[Tensor, str]:
    """Tiles [(m + 2)^2, N] along both axes, by the matrix for outputs or for inputs: (the result, the piece of memory that is free then).

    names: the piece that x lies in, and another. Along one axis after the other it is a third of the products and one more pass over memory.
    """
    held, free = names
    if m == 2 or not SEPARATELY:
        matrix = _both_axes(m)[which]
        return torch.mm(matrix, x, out=scratch.take(free, x, (len(matrix), x.shape[1]))), held
    matrix = _one_axis(m)[which]
    rows, side, count = len(matrix), m + 2, x.shape[1]
    half = torch.mm(matrix, x.view(side, -1), out=scratch.take(free, x, (rows, side * count)))
    y = scratch.take(held, x, (rows, rows, count))
    return torch.bmm(matrix.expand(rows, -1, -1), half.view(rows, side, count), out=y).view(-1, count), free


def transform(weight: Tensor, m: int) -> Tensor:
    """Kernels [out, in, 3, 3] as [(m + 2)^2, in, out], computed in float64 and rounded once."""
    _, kernels, _ = matrices(m)
    grown = torch.kron(kernels, kernels).to(weight.device)
    parts = [(grown @ part.flatten(2).double().permute(2, 1, 0).flatten(1)).to(weight.dtype).unflatten(1, (-1, len(part)))
             for part in weight.split(64)]  # fmt: skip
    return torch.cat(parts, 2)


def _step(batch: int, rows: int, room: int) -> tuple[int, int]:
    """(rows of tiles, samples) at once for `room` rows."""
    if room >= 2 * rows:
        return rows, min(batch, room // rows)
    strips = -(-rows // max(1, room))  # of one height, so that none is a remnant
    return -(-rows // strips), 1
