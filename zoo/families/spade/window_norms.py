"""SPADE by distinct window: scale and shift once per different surrounding instead of once per pixel.

gamma and beta of a pixel are two k x k convolutions after one another, so they depend on the labels within 2 (k // 2) pixels, and on a
real map few such surroundings are different (`zoo.inference.windows`). The first convolution is a sum of its weights' columns, at a cost that
does not depend on the number of classes; the second is one matrix product per different inner window, summed over the taps of
each outer one. On the busiest map there are as many windows as pixels, and the products are those of the two convolutions; there is no
other path for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import SPADENorm
from zoo.inference.columns import column_sums, kernel_columns
from zoo.inference.packed import pack
from zoo.inference.windows import Windows

COLUMNS = 256
"""Columns of a table that are made at once: the products of a busy map then stay below a hundred megabytes."""
PIECE = 1024
"""Windows whose taps are gathered at once where that is cheaper than products of all inner windows."""
MOST = 8192
"""Inner windows of which products are kept at once."""


class WindowNorm(nn.Module):
    """Equal to the SPADE that it is made from in evaluation mode; `rows` makes what `forward` of the block gathers.

    With running statistics the norm is part of the rows: x * a + b. A norm with statistics of the image itself is kept as `norm`, which
    the block applies to x first, and the rows are 1 + gamma and beta.
    """

    columns: Tensor
    hidden_bias: Tensor
    bias: Tensor

    def __init__(self, layer: SPADENorm) -> None:
        super().__init__()
        shared, gamma, beta, norm = layer.mlp_shared, layer.mlp_gamma, layer.mlp_beta, layer.param_free_norm
        assert shared.bias is not None and gamma.bias is not None and beta.bias is not None
        self.channels, self.kernel = gamma.out_channels, shared.kernel_size[0]
        scale, shift = torch.ones_like(gamma.bias), torch.zeros_like(gamma.bias)
        self.norm: nn.Module | None = norm
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            scale = torch.rsqrt(norm.running_var + norm.eps)
            shift, self.norm = -norm.running_mean * scale, None
        # normalised(x) * (1 + gamma) + beta = x * scale (1 + gamma) + shift (1 + gamma) + beta
        grown = torch.cat(
            [gamma.weight * scale[:, None, None, None], beta.weight + gamma.weight * shift[:, None, None, None]]
        )
        self.register_buffer("bias", torch.cat([(1 + gamma.bias) * scale, beta.bias + (1 + gamma.bias) * shift]))
        self.register_buffer("columns", kernel_columns(shared.weight))
        self.register_buffer("hidden_bias", shared.bias.detach().clone())
        self.products = nn.ModuleList(self._product(part) for part in grown.split(COLUMNS))

    @staticmethod
    def _product(weight: Tensor) -> nn.Module:
        """Kernels [columns, hidden, k, k] as one linear layer from hidden vectors to what each tap adds: [taps * columns, hidden]."""
        linear = nn.Linear(weight.shape[1], weight.shape[0] * weight.shape[2] * weight.shape[3], bias=False).to(weight)
        linear.weight.data.copy_(weight.permute(2, 3, 0, 1).flatten(0, 2))
        return pack(linear)

    def hidden(self, windows: Windows, content: Tensor) -> Tensor:
        """Vectors between the two convolutions [I + 1, hidden] of the inner windows; the last one, of the outside, is zero.

        content: the channel of each symbol, int64 [symbols], or what a pixel of it holds in all channels, [symbols, channels].
        """
        sums = column_sums(self.columns, windows.inner, content).add_(self.hidden_bias)
        vectors = sums.new_zeros(len(sums) + 1, sums.shape[1])
        vectors[:-1] = sums.relu_()
        return vectors

    def rows(self, windows: Windows, content: Tensor, spare: int = 0) -> Tensor:
        """(a, b) of every outer window side by side: [O + spare, 2 * channels], the last `spare` of them not written yet."""
        vectors = self.hidden(windows, content)
        if len(windows.outer) < len(windows.inner) or len(windows.inner) > MOST:
            return self._by_gathering(vectors, windows.outer, spare)
        taps = windows.taps
        places = windows.outer * taps + torch.arange(taps, device=vectors.device, dtype=torch.int32)
        made, at = None, 0
        for product in self.products:
            added = product(vectors).view(len(vectors) * taps, -1)
            if made is None:
                made = added.new_empty(len(places) + spare, 2 * self.channels)
            width = added.shape[1]
            sums = F.embedding_bag(places, added, mode="sum")
            torch.add(sums, self.bias[at : at + width].to(sums.dtype), out=made[: len(places), at : at + width])
            at += width
        assert made is not None
        return made

    def _by_gathering(self, vectors: Tensor, outer: Tensor, spare: int) -> Tensor:
        """The same from the hidden vectors of each window's taps: fewer products where there are fewer windows than inner ones."""
        weights = [p.weight.view(outer.shape[1], -1, vectors.shape[1]) for p in self.products]  # type: ignore[union-attr, operator]
        made = None
        for first in range(0, len(outer), PIECE):
            seen = [vectors.index_select(0, places) for places in outer[first : first + PIECE].unbind(1)]
            at = 0
            for weight, bias in zip(weights, self.bias.split(COLUMNS), strict=True):
                total = bias.expand(len(seen[0]), -1)
                for tap, taken in enumerate(seen):
                    total = torch.addmm(total, taken, weight[tap].t())
                if made is None:
                    made = total.new_empty(len(outer) + spare, 2 * self.channels)
                made[first : first + len(total), at : at + len(bias)] = total
                at += len(bias)
        assert made is not None
        return made
