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

from zoo.families.spade.blocks import SPADENorm
from zoo.families.spade.window_products import FEW, TapProducts
from zoo.inference.columns import column_sums, kernel_columns
from zoo.inference.memory import Scratch, uninitialised
from zoo.inference.windows import Windows

MOST = 8192
"""Inner windows of which products are kept at once."""
BAGS = 1.25
"""Outer windows for each inner one up to which gathering is the cheaper way: the sums over taps take as long as a quarter of the products."""


class WindowNorm(nn.Module):
    """Equal to the SPADE that it is made from in evaluation mode; `rows` makes what `forward` of the block gathers.

    With running statistics the norm is part of the rows: x * a + b. A norm with statistics of the image itself is kept as `norm`, which
    the block applies to x first, and the rows are 1 + gamma and beta.
    """

    columns: Tensor
    hidden_bias: Tensor
    bias: Tensor

    def __init__(self, layer: SPADENorm, after: nn.Conv2d | None = None) -> None:
        """after: a 1x1 convolution that sees nothing but this norm's result. The rows then hold the scale of x, and behind it the
        convolution of the shift, bias included: after(x * a + b) = after(x * a) + shift."""
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
        scales, scale_bias = gamma.weight * scale[:, None, None, None], (1 + gamma.bias) * scale
        shifts, shift_bias = (
            beta.weight + gamma.weight * shift[:, None, None, None],
            beta.bias + (1 + gamma.bias) * shift,
        )
        if after is not None:
            matrix = after.weight.detach()[:, :, 0, 0].double()
            shifts = torch.tensordot(matrix, shifts.double(), 1).to(scales)
            shift_bias = (matrix @ shift_bias.double()).to(scales)
            if after.bias is not None:
                shift_bias = shift_bias + after.bias.detach()
        self.width = len(scale_bias) + len(shift_bias)
        self.register_buffer("bias", torch.cat([scale_bias, shift_bias]).detach())
        self.products = TapProducts(torch.cat([scales, shifts]))
        self.register_buffer("columns", kernel_columns(shared.weight))
        self.register_buffer("hidden_bias", shared.bias.detach().clone())

    def hidden(self, windows: Windows, content: Tensor) -> Tensor:
        """Vectors between the two convolutions [I + 1, hidden] of the inner windows; the last one, of the outside, is zero.

        content: the channel of each symbol, int64 [symbols], or what a pixel of it holds in all channels, [symbols, channels].
        """
        sums = column_sums(self.columns, windows.inner, content).add_(self.hidden_bias)
        vectors = sums.new_zeros(len(sums) + 1, sums.shape[1])
        torch.relu_(sums)
        vectors[:-1] = sums
        return vectors

    def rows(self, windows: Windows, content: Tensor, spare: int = 0, scratch: Scratch | None = None) -> Tensor:
        """(a, b) of every outer window side by side: [O + spare, width], the last `spare` of them not written yet.

        scratch: memory for what is in between.
        """
        vectors = self.hidden(windows, content)
        made = uninitialised(_computed(vectors), (len(windows.outer) + spare, self.width))
        self._write(windows, vectors, made[: len(windows.outer)], scratch or Scratch())
        return made

    def _write(self, windows: Windows, vectors: Tensor, out: Tensor, scratch: Scratch) -> None:
        """The rows of every outer window into out [O, width]; vectors: of `hidden`."""
        many, bias = len(windows.outer), self.bias.to(vectors.dtype)
        if many <= FEW or many < BAGS * len(windows.inner) or len(windows.inner) > MOST:
            self.products.gathered(vectors, windows.outer, bias, out)
            return
        at = 0
        for sums in self.products.by_sums(vectors, windows.outer, scratch):
            columns = slice(at, at + sums.shape[1])
            if sums.dtype == out.dtype:
                torch.add(sums, bias[columns], out=out[:, columns])
            else:
                out[:, columns] = sums + bias[columns]
            at = columns.stop


def _computed(vectors: Tensor) -> Tensor:
    """A tensor of the type in which products of the vectors come out."""
    kind = vectors.device.type
    return vectors[:0].to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else vectors
