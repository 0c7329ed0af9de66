"""Convolutions over label planes as sums of their weights' columns: cost and memory do not grow with the number of classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.windows import number_windows, shown_values

Content = Callable[[Tensor], Tensor]
"""From values that a map shows, int64 [K], to what their pixels hold: the channel of each, int64 [K], or [K, channels]."""


def kernel_columns(weight: Tensor) -> Tensor:
    """A kernel [out, channels, k, k] as [k * k, channels, out]."""
    return weight.detach().permute(2, 3, 1, 0).flatten(0, 1).contiguous()


def column_sums(columns: Tensor, windows: Tensor, content: Tensor) -> Tensor:
    """What a convolution without bias gives for windows of symbols: [D, out].

    columns: see `kernel_columns`. windows: int32 or int64 [D, k * k]; the number `len(content)` stands for zeros. content: the channel
    of each symbol, int64 [symbols], or what its pixels hold in all channels, [symbols, channels].
    """
    taps, _, width = columns.shape
    table = columns.new_zeros(taps, len(content) + 1, width)
    table[:, :-1] = columns.index_select(1, content) if content.dim() == 1 else content.to(columns.dtype) @ columns
    steps = torch.arange(taps, device=windows.device, dtype=windows.dtype) * (len(content) + 1)
    return F.embedding_bag(windows + steps, table.flatten(0, 1), mode="sum")


class LabelConv(nn.Module):
    """The inference form of a convolution (stride 1, padding k // 2) that sees label planes.

    reflect: the picture's mirror image lies outside it, not zeros (a reflection padding in front of a convolution without padding).
    """

    columns: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d, *, reflect: bool = False) -> None:
        super().__init__()
        assert conv.bias is not None
        self.reflect = reflect
        self.kernel = conv.kernel_size[0]
        self.register_buffer("columns", kernel_columns(conv.weight))
        self.register_buffer("bias", conv.bias.detach().clone())

    def forward(self, values: Tensor, content: Content) -> Tensor:
        """int64 values >= 0 [B, h, w] -> [B, out, h, w], channels last."""
        shown, numbers = shown_values(values)
        windows, index = number_windows(numbers, len(shown), self.kernel, reflect=self.reflect)
        return column_sums(self.columns, windows, content(shown)).add_(self.bias)[index].permute(0, 3, 1, 2)


def over_values(conv: nn.Conv2d, shares: Tensor, content: Tensor) -> Tensor:
    """What a convolution over label planes gives where pixels hold shares of several values, for values that occur alone.

    shares: [B, K, H, W], how much of each value a pixel holds. content: the channel of each value, int64 [K], or what it holds in all
    channels, [K, channels].
    """
    weight = conv.weight
    weight = weight[:, content] if content.dim() == 1 else torch.einsum("ocij,kc->okij", weight, content.to(weight))
    return F.conv2d(shares, weight, conv.bias, conv.stride, conv.padding)
