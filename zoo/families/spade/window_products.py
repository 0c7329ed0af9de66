"""The products behind a table of windows: hidden vectors times the kernel of scale and shift, summed over each window's taps.

Two ways to the same sums. `by_sums` multiplies every inner window's vector with the kernels of all taps, once, and adds up for each
outer window what its taps give; `gathered` lays the vectors of a window's taps side by side and multiplies that, which is cheaper
where there are hardly more inner windows than outer ones. The products are MKL's or, where these are slow, oneDNN's on packed weights
(`zoo.inference.processors`).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.memory import Scratch, uninitialised
from zoo.inference.packed import Cache, Packed, available, filled, native
from zoo.inference.processors import mkl

COLUMNS = 128
"""Columns that are made at once: the products of all inner windows then stay below forty megabytes, in memory used before."""
PIECE = 1024
"""Windows whose taps are laid side by side at once."""
FEW = 64
"""Windows up to which reading the kernel takes longer than multiplying with it: there it is read once, as oneDNN packs it."""


class TapProducts(nn.Module):
    """A kernel [width, hidden, k, k] as products; vectors are [I + 1, hidden], outer windows int32 [O, k * k] rows of them."""

    weight: Tensor

    def __init__(self, kernel: Tensor) -> None:
        super().__init__()
        self.width, self.taps = kernel.shape[0], kernel.shape[2] * kernel.shape[3]
        self.parts = nn.ModuleList()
        self._packed = Cache()
        if mkl():
            taps = kernel.detach().permute(2, 3, 1, 0).flatten(0, 1)
            self.register_buffer("weight", uninitialised(taps, taps.shape).copy_(taps))
        else:
            self.parts.extend(_part(part) for part in kernel.detach().split(COLUMNS))

    def by_sums(self, vectors: Tensor, outer: Tensor, scratch: Scratch) -> Iterator[Tensor]:
        """Sums [O, columns] over each window's taps, some columns after the others; scratch: for what is in between."""
        steps = torch.arange(self.taps, device=outer.device, dtype=outer.dtype)
        if self.parts:
            places, vectors = outer * self.taps + steps, filled(vectors)
            for part in self.parts:
                yield F.embedding_bag(places, part(vectors).view(len(vectors) * self.taps, -1), mode="sum")
            return
        places, spread = outer + steps * len(vectors), vectors.expand(self.taps, -1, -1)
        for weight in self.weight.split(COLUMNS, 2):
            if native(vectors):
                added = scratch.take("products", vectors, (self.taps, len(vectors), weight.shape[2]))
                torch.bmm(spread, weight, out=added)
            else:
                added = torch.bmm(spread, weight)
            yield F.embedding_bag(places, added.flatten(0, 1), mode="sum")

    def gathered(self, vectors: Tensor, outer: Tensor, bias: Tensor, out: Tensor) -> None:
        """The same and `bias` into out [O, width]."""
        few = len(outer) <= FEW and native(vectors) and available()
        for first in range(0, len(outer), PIECE):
            places, target = outer[first : first + PIECE], out[first : first + PIECE]
            seen = vectors.index_select(0, places.flatten()).view(len(places), -1)
            if few:
                packed = self._packed.of(self.parts[0].weight if self.parts else self.weight, self._pack)  # type: ignore[arg-type]
                made = torch.ops.mkldnn._linear_pointwise(filled(seen), packed, bias, "none", [], "")
                target.copy_(made[: len(seen)])
                continue
            at = 0
            for weight in self._matrices():
                columns = slice(at, at + weight.shape[1])
                if native(seen):
                    torch.addmm(bias[columns], seen, weight, out=target[:, columns])
                else:
                    target[:, columns] = torch.addmm(bias[columns], seen, weight)
                at = columns.stop

    def _matrices(self) -> Iterator[Tensor]:
        """The kernel as [taps * hidden, columns], in parts."""
        if not self.parts:
            yield self.weight.flatten(0, 1)
        for part in self.parts:
            weight: Tensor = part.weight  # type: ignore[assignment]
            yield weight.view(self.taps, -1, weight.shape[1]).transpose(1, 2).flatten(0, 1)

    def _pack(self, _: Tensor) -> Tensor:
        matrix = torch.cat(list(self._matrices()), 1)
        return torch.ops.mkldnn._reorder_linear_weight(matrix.t().contiguous(), FEW)


def _part(kernel: Tensor) -> Packed:
    """[columns, hidden, k, k] as one linear layer from hidden vectors to what each tap adds: [taps * columns, hidden]."""
    linear = nn.Linear(kernel.shape[1], kernel.shape[0] * kernel.shape[2] * kernel.shape[3], bias=False).to(kernel)
    linear.weight.data.copy_(kernel.permute(2, 3, 0, 1).flatten(0, 2))
    return Packed(linear)
