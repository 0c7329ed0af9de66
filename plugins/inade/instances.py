"""Which code each pixel takes: instances numbered within their class, and the few that a batch shows."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.inference.windows import shown_values


def places(channels: Tensor, numbers: Tensor | None, instances: int) -> Tensor:
    """Each pixel's place among codes [classes, instances], flattened: int64 [B, H, W].

    channels: classes int64 [B, H, W]; numbers: instance numbers of the same shape, or None: each class is one instance. The instances of
    a class are counted from 0 by ascending number, in each map for itself; those beyond the last place begin again with the first.
    """
    if numbers is None or instances == 1:
        return channels * instances
    ids, rank = numbers.unique(return_inverse=True)
    classes = int(channels.max()) + 1
    sample = torch.arange(len(channels), device=channels.device)[:, None, None]
    pairs, index = ((sample * classes + channels) * len(ids) + rank).unique(return_inverse=True)
    _, counts = (pairs // len(ids)).unique_consecutive(return_counts=True)
    begins = (counts.cumsum(0) - counts).repeat_interleave(counts)
    slots = (torch.arange(len(pairs), device=pairs.device) - begins) % instances
    return channels * instances + slots[index]


def renumbered(numbers: Tensor) -> Tensor:
    """Instance numbers of one map [H, W] -> 0, 1, … in ascending order, as the authors store them (uint8 there: from 256 on they wrap)."""
    return numbers.unique(return_inverse=True)[1]


class Shown(NamedTuple):
    """values: int64 [K], the places that occur in a batch, ascending. index: int64 [B, H, W], each pixel's among them."""

    values: Tensor
    index: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Shown:
        """From places int64 [B, H, W]."""
        return cls(*shown_values(values))

    def at(self, values: Tensor) -> Tensor:
        """The index of other pixels, int64 of any shape, that show no other places."""
        return torch.searchsorted(self.values, values.contiguous())
