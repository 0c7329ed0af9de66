"""Large fresh memory whose first use is cheap.

The kernel hands out memory in pages of 4 KiB at the first touch, which for tens of megabytes takes as long as what is computed in them
(measured: .4 ms a MiB, with pages of 2 MiB .06). Linux gives large pages where it is asked for them; elsewhere this is `torch.empty`.
Memory that no tensor uses any more is kept for the next one that asks, up to a limit: the next block or picture then touches nothing afresh.
"""

from __future__ import annotations

import math
import mmap
import weakref
from collections.abc import Sequence

import torch
from torch import Tensor

LEAST = 4 << 20
"""Bytes from which on large pages are asked for."""
KEPT = 128 << 20
"""Bytes of unused memory that are kept at most, for the whole process: what the last blocks of a wide generator use at 256 px."""
_FLAGS = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_unused: list[mmap.mmap] = []


def uninitialised(like: Tensor, shape: Sequence[int]) -> Tensor:
    """A contiguous tensor of this shape, with the type and on the device of `like`; what it holds is not defined."""
    count = math.prod(shape)
    size = count * like.element_size()
    if size < LEAST or like.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(shape)
    try:
        pages = _used_before(size) or _fresh(size)
    except OSError:  # a kernel without them, or no memory, which torch says better
        return like.new_empty(shape)
    # the storage holds the view, so the view ends with the last tensor that uses the memory
    view = memoryview(pages)
    weakref.finalize(view, _keep, pages).atexit = False
    return torch.frombuffer(view, dtype=like.dtype, count=count).view(*shape)


def _fresh(size: int) -> mmap.mmap:
    pages = mmap.mmap(-1, size, flags=_FLAGS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    return pages


def _used_before(size: int) -> mmap.mmap | None:
    """The smallest unused memory of this size to twice as much, which nobody else takes then."""
    for pages in sorted(_unused, key=len):
        if size <= len(pages) <= 2 * size:
            try:
                _unused.remove(pages)  # not under a lock: a tensor may end at any moment, also within this function
            except ValueError:  # another thread was faster
                continue
            return pages
    return None


def _keep(pages: mmap.mmap) -> None:
    """Keep memory that no tensor uses any more; the oldest goes where there is too much."""
    _unused.append(pages)
    while sum(map(len, tuple(_unused))) > KEPT:
        try:
            _unused.pop(0)
        except IndexError:
            return


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
