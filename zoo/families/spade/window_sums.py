"""Sums of rows with gradients, and features times and plus each pixel's row: the parts of SPADE by distinct window in training.

Gradients of sums of rows are sums of rows too, the other way round. Each pixel's scale and shift are gathered where they are needed,
in the forward pass and again in the backward pass, so that no maps of them are kept in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of rows of a table, and for the gradient the sums that each row is part of.

    places: int64 [N, k], the rows of each sum. users: int64 [N * k], the sums in the order of their rows; first: int64 [rows], where those
    of a row begin.
    """

    places: Tensor
    users: Tensor
    first: Tensor

    @classmethod
    def of(cls, places: Tensor, rows: int) -> Sums:
        """Of places [N, k] in a table of so many rows."""
        places = places.long()
        flat = places.flatten()
        counts = torch.bincount(flat, minlength=rows)
        return cls(places, flat.argsort() // places.shape[1], counts.cumsum(0) - counts)

    def __call__(self, table: Tensor) -> Tensor:
        """[rows, width] -> [N, width]."""
        return _SumRows.apply(table, self)  # type: ignore[no-any-return]

    def back(self, grad: Tensor) -> Tensor:
        """[N, width] -> [rows, width]: the sum over the sums that a row is part of."""
        return F.embedding_bag(self.users, grad.contiguous(), self.first, mode="sum")


class _SumRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, sums: Sums) -> Tensor:
        ctx.sums = sums
        return F.embedding_bag(sums.places, table, mode="sum")

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        return ctx.sums.back(grads[0]), None


class _Modulate(torch.autograd.Function):
    """x [B, C, H, W] times and plus its pixels' rows [windows, 2 C]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rows: Tensor, pixels: Sums) -> Tensor:
        ctx.save_for_backward(x, rows)
        ctx.pixels = pixels
        seen, channels = rows.index_select(0, pixels.places[:, 0]), x.shape[1]
        out = torch.empty_like(x, memory_format=torch.channels_last)  # no view, so that it may be activated in place
        # rounded twice, as `SPADENorm.forward` has it
        torch.mul(_as_rows(x), seen[:, :channels], out=_as_rows(out)).add_(seen[:, channels:])
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        (x, rows), pixels, grad = ctx.saved_tensors, ctx.pixels, _as_rows(grads[0])
        scale = rows[:, : x.shape[1]].contiguous().index_select(0, pixels.places[:, 0])
        of_rows = pixels.back(torch.cat([grad * _as_rows(x), grad], 1))
        return _as_maps(scale.mul_(grad), x), of_rows, None


def _as_rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H * W, C]."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_maps(rows: Tensor, like: Tensor) -> Tensor:
    """The other way, channels last."""
    return rows.view(len(like), *like.shape[2:], -1).permute(0, 3, 1, 2)


class WindowAffine(NamedTuple):
    """rows: [windows, 2 * channels], 1 + gamma and beta. pixels: the window of each pixel."""

    rows: Tensor
    pixels: Sums

    def __call__(self, normalized: Tensor) -> Tensor:
        """normalized * (1 + gamma) + beta, [B, C, H, W] channels last; B may be a multiple of the maps."""
        pixels, times = self.pixels, normalized[:, 0].numel() // len(self.pixels.places)
        if times > 1:
            pixels = Sums.of(pixels.places.repeat(times, 1), len(self.rows))
        return _Modulate.apply(normalized, self.rows.to(normalized.dtype), pixels)  # type: ignore[no-any-return]
