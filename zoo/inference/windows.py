"""Numbers for the windows of a map: what is computed from the pixels around each pixel is computed once per different surrounding.

Two convolutions after one another see a window of windows: the first a k x k window of symbols (its result is an *inner* vector), the
second a k x k window of those (an *outer* one). On real maps few are different. The numbering is exact: a row of k numbers is one number
in the base of all that occur, numbered anew, and so is a column of k rows; nothing is hashed, so no two windows can meet.

Outside the picture both convolutions see zeros, which is not what some symbol would give: there stands a number of its own, one
more than the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

LARGEST = 2**62
"""Codes stay below it, so that int64 never overflows."""
DENSE = 4
"""Codes up to so many times the count of numbers are told apart by a table instead of by sorting."""


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of some pixels, in pieces of k * k taps (row by row).

    inner: int32 [I, k * k] symbols, `symbols` itself where the tap lies outside the picture. outer: int32 [O, k * k] rows of `inner`, I
    where outside. index: int32, the row of `outer` for each pixel. symbols: how many there are.
    """

    inner: Tensor
    outer: Tensor
    index: Tensor
    symbols: int

    @property
    def taps(self) -> int:
        """k * k."""
        return self.inner.shape[1]


def renumber(codes: Tensor, span: int) -> tuple[Tensor, int]:
    """int64 codes in 0..span-1 -> (numbers of the same shape, how many): equal where and only where the codes are equal."""
    if span > DENSE * codes.numel():
        values, numbers = torch.unique(codes, return_inverse=True)
        return numbers, len(values)
    seen = torch.zeros(span, dtype=torch.int64, device=codes.device)
    seen[codes.reshape(-1)] = 1
    return (seen.cumsum(0) - 1)[codes], int(seen.sum())


def shown_values(values: Tensor) -> tuple[Tensor, Tensor]:
    """int64 values >= 0 -> (those that occur, ascending [K]; the number of each among them)."""
    numbers, count = renumber(values, int(values.max()) + 1)
    shown = values.new_empty(count)
    shown[numbers.reshape(-1)] = values.reshape(-1)
    return shown, numbers


def number_tuples(parts: Sequence[Tensor], count: int) -> tuple[Tensor, int]:
    """int64 tensors of one shape with values in 0..count-1 -> (a number for each tuple of them, how many). Exact."""
    codes, span, room = parts[0], count, DENSE * parts[0].numel()
    for i, part in enumerate(parts[1:]):
        # numbers without gaps keep the codes so small that a table tells them apart, as long as there is one for them
        if span > LARGEST // count or (i and room // count < span <= room):
            codes, span = renumber(codes, span)
        codes, span = codes * count + part, span * count
    return renumber(codes, span)


def reflected(size: int, pad: int) -> Tensor:
    """The places 0..size-1 that a line padded by reflection shows, int64 [size + 2 pad]; pad < size."""
    return torch.cat([torch.arange(pad, 0, -1), torch.arange(size), torch.arange(size - 2, size - 2 - pad, -1)])


def number_windows(numbers: Tensor, count: int, kernel: int, *, reflect: bool = False) -> tuple[Tensor, Tensor]:
    """Each pixel's k x k window of int64 [B, H, W] with values in 0..count-1.

    -> (windows int64 [D, k * k] with `count` outside the picture, index int64 [B, H, W] of each pixel's). kernel is odd.
    reflect: outside the picture there is its mirror image instead (sides larger than k // 2).
    """
    pad = kernel // 2
    height, width = numbers.shape[1:]
    if reflect:
        rows, columns = (reflected(side, pad).to(numbers.device) for side in (height, width))
        padded = numbers[:, rows[:, None], columns]
    else:
        padded = F.pad(numbers, (pad, pad, pad, pad), value=count)
    rows, found = number_tuples([padded[:, :, i : i + width] for i in range(kernel)], count + 1)
    index, found = number_tuples([rows[:, i : i + height] for i in range(kernel)], found)
    # any pixel that has a window shows what is in it
    shown = index.new_empty(found)
    shown[index.reshape(-1)] = torch.arange(index.numel(), device=index.device)
    high, wide = height + 2 * pad, width + 2 * pad
    corner = (shown // (height * width) * high + shown // width % height) * wide + shown % width
    steps = torch.arange(kernel, device=index.device)
    taps = (steps[:, None] * wide + steps).flatten()
    return padded.flatten()[corner[:, None] + taps], index


def windows_of(numbers: Tensor, count: int, kernel: int) -> Windows:
    """The windows of every pixel of int64 [B, H, W] with values in 0..count-1; kernel is odd."""
    inner, index = number_windows(numbers, count, kernel)
    outer, index = number_windows(index, len(inner), kernel)
    return Windows(inner.int(), outer.int(), index.int(), count)


def windows_at(numbers: Tensor, count: int, kernel: int, pixels: Tensor) -> Windows:
    """The windows of these pixels (places int64 [P] in the flattened [B, H, W]); `index` is int32 [P]."""
    far = 2 * (kernel // 2)
    height, width = numbers.shape[1:]
    padded = F.pad(numbers, (far, far, far, far), value=count)
    high, wide = height + 2 * far, width + 2 * far
    corner = (pixels // (height * width) * high + pixels // width % height) * wide + pixels % width
    steps = torch.arange(kernel, device=numbers.device)
    taps = (steps[:, None] * wide + steps).flatten()
    # [P, outer tap, inner tap]
    seen = padded.flatten()[corner[:, None, None] + taps[:, None] + taps]
    index, found = number_tuples(seen.unbind(2), count + 1)
    inner = seen.new_empty(found, kernel * kernel)
    inner[index.reshape(-1)] = seen.flatten(0, 1)
    # a window whose centre is outside has no inner vector but zeros
    index = torch.where(seen[:, :, kernel * kernel // 2] == count, found, index)
    number, many = number_tuples(index.unbind(1), found + 1)
    outer = seen.new_empty(many, kernel * kernel)
    outer[number] = index
    return Windows(inner.int(), outer.int(), number.int(), count)


class Touched(NamedTuple):
    """What a change of a map touches. box: the part of the map that the windows of touched pixels lie in. places: touched pixels in the
    flattened [B, *box], int64 [P]."""

    box: tuple[slice, slice]
    places: Tensor

    def of(self, maps: Tensor) -> Tensor:
        """The part of [B, H, W] that is the box."""
        return maps[:, self.box[0], self.box[1]]

    def replaced(self, maps: Tensor, new: Tensor) -> Tensor:
        """[B, H, W] with `new` [P] at the touched pixels, in memory of its own."""
        maps = maps.clone()
        part = self.of(maps)
        values = part.flatten()
        values[self.places] = new.to(values.dtype)
        if (
            values.data_ptr() != part.data_ptr()
        ):  # else (whole rows of one map) it is the box's own memory, which has them already
            part.copy_(values.view(part.shape))
        return maps


def touched(changed: Tensor, kernel: int) -> Touched:
    """Pixels whose window of windows shows a changed one of bool [B, H, W], of which there is one at least."""
    reach = 2 * (kernel // 2)
    side = 2 * reach + 1
    box = _around(changed.any(2).any(0), 2 * reach), _around(changed.any(1).any(0), 2 * reach)
    near = F.max_pool2d(changed[:, None, box[0], box[1]].float(), (side, 1), 1, (reach, 0))
    near = F.max_pool2d(near, (1, side), 1, (0, reach))
    return Touched(box, near.flatten().nonzero()[:, 0])


def _around(line: Tensor, margin: int) -> slice:
    """From the first to the last True of bool [N], and so many more on both sides."""
    marked = line.nonzero()[:, 0]
    return slice(max(0, int(marked[0]) - margin), min(len(line), int(marked[-1]) + margin + 1))


def merged(old: Windows, new: Windows, seen: Touched) -> Windows:
    """Windows of a map after a change: `old` of the map before, `new` of the touched pixels. Symbols mean the same in both.

    Windows that no pixel has any more are left out, so that many changes after one another do not grow; a window may be there twice.
    """
    count = len(old.inner)
    outer = torch.cat([old.outer, new.outer + count])
    index = seen.replaced(old.index, new.index + len(old.outer))
    # each has a number of its own for the outside
    inside = torch.cat([old.outer < count, new.outer < len(new.inner)])
    used, index = _without_gaps(index, len(outer))
    outer, inside = outer[used], inside[used]
    rows, numbers = _without_gaps(torch.where(inside, outer, 0), count + len(new.inner))
    inner = torch.cat([old.inner, new.inner])[rows]
    return Windows(inner, torch.where(inside, numbers, len(inner)).int(), index.int(), old.symbols)


def _without_gaps(numbers: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(which of 0..count-1 occur, int64 [K] ascending; the place of each number among them, of the shape of `numbers`)."""
    used = torch.zeros(count, dtype=torch.bool, device=numbers.device)
    used[numbers.flatten().long()] = True
    return used.nonzero()[:, 0], (used.cumsum(0) - 1)[numbers.long()]
