"""Large fresh memory whose first use is cheap.

The kernel hands out memory in pages of 4 KiB at the first touch, which for tens of megabytes takes as long as what is computed in them
(measured: .4 ms a MiB, with pages of 2 MiB .06). Linux gives large pages where it is asked for them; elsewhere this is `torch.empty`.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 4 << 20
"""Bytes from which on large pages are asked for."""
_FLAGS = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)


def uninitialised(like: Tensor, shape: Sequence[int]) -> Tensor:
    """A contiguous tensor of this shape, with the type and on the device of `like`; what it holds is not defined."""
    count = math.prod(shape)
    size = count * like.element_size()
    if size < LEAST or like.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(shape)
    try:
        pages = mmap.mmap(-1, size, flags=_FLAGS)
        pages.madvise(mmap.MADV_HUGEPAGE)
    except OSError:  # a kernel without them, or no memory, which torch says better
        return like.new_empty(shape)
    return torch.frombuffer(pages, dtype=like.dtype, count=count).view(*shape)


def bordered(like: Tensor, shape: Sequence[int]) -> Tensor:
    """[B, H + 2, W + 2, C] for features [B, H, W, C], not initialised but for a border of zeros."""
    batch, height, width, channels = shape
    padded = uninitialised(like, (batch, height + 2, width + 2, channels))
    for side in (padded[:, 0], padded[:, -1], padded[:, :, 0], padded[:, :, -1]):
        side.zero_()
    return padded


class Scratch:
    """Memory that steps after one another use for what they forget: each name has one piece, as large as was asked for so far.

    Who takes a piece again has lost what was in it. Not for two threads at once.
    """

    def __init__(self) -> None:
        self._pieces: dict[str, Tensor] = {}

    def take(self, name: str, like: Tensor, shape: Sequence[int]) -> Tensor:
        """A contiguous tensor in the memory of `name`, with the type and on the device of `like`; what it holds is not defined."""
        count, piece = math.prod(shape), self._pieces.get(name)
        if piece is None or piece.numel() < count or piece.dtype != like.dtype or piece.device != like.device:
            self._pieces.pop(name, None)
            del piece
            piece = self._pieces[name] = uninitialised(like, (count,))
        return piece[:count].view(*shape)
