"""Segments: connected parts of a class, which poles and signs in front do not cut in two (docs/papers/sims.md, "Segments")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from zoo.nn.components import components

class Segments(NamedTuple):
    """The segments of maps. numbers: int64 [B, h, w], the row of `table` that a pixel belongs to plus 1, 0 where there is none.

    table: int64 [S, 4]: map, class, number within map and class (from 1), pixels. Rows are sorted by these.
    """

    numbers: Tensor
    table: Tensor

    def of(self, index: int) -> Tensor:
        """The table's rows of one map."""
        return (self.table[:, 0] == index).nonzero()[:, 0]

    def alone(self, index: int) -> Segments:
        """One map as a batch of its own."""
        rows = self.of(index)
        table = self.table[rows].clone()
        table[:, 0] = 0
        first = int(rows[0]) if len(rows) else 0
        numbers = self.numbers[index : index + 1]
        return Segments(torch.where(numbers > 0, numbers - first, 0), table)

    def masks(self, rows: Tensor) -> Tensor:
        """bool [N, h, w], each on its own map."""
        return self.numbers[self.table[rows, 0]] == rows[:, None, None] + 1


def find_segments(labels: Tensor, classes: int, thin: Sequence[int]) -> Segments:
    """The segments of maps int64 [B, h, w]; values of `classes` and more are of nothing.

    For a class that is not thin, pixels of thin classes count as its own while parts are connected (over sides and corners); a part of
    which they are half or more is none. Parts are numbered by their first pixel, column by column.
    """
    thin_at = is_any(labels, thin)
    numbers = torch.zeros_like(labels)
    rows: list[Tensor] = []
    count = 0
    for value in labels.unique().tolist():
        if value >= classes:
            continue
        own = labels == value
        joined = own if value in thin else own | thin_at
        found, roots = numbered(joined)
        size = torch.bincount(found[joined], minlength=len(roots))
        held = torch.bincount(found[own], minlength=len(roots))
        kept = 2 * held > size
        maps, order = sort_parts(roots, labels.shape[1:], kept)
        place = torch.zeros_like(roots)
        place[order] = torch.arange(1, len(order) + 1, device=labels.device)
        numbers[own] = torch.where(place > 0, place + count, 0)[found[own]]
        within = torch.arange(len(order), device=labels.device) - torch.searchsorted(maps, maps) + 1
        rows.append(torch.stack([maps, torch.full_like(maps, value), within, held[order]], 1))
        count += len(order)
    table = torch.cat(rows) if rows else labels.new_zeros(0, 4)
    return _by_map(numbers, table)


def numbered(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Connected parts of bool [B, h, w]: (int64 [B, h, w], the part of each pixel, numbers without gaps; the first pixel of each part in
    column order, as map * h * w + column * h + row)."""
    count, height, width = masks.shape
    parts = components(masks.long())
    roots, found = parts[masks].unique(return_inverse=True)
    numbers = torch.zeros_like(parts)
    numbers[masks] = found
    place, row, column = masks.nonzero(as_tuple=True)
    keys = (place * width + column) * height + row
    first = torch.full_like(roots, count * height * width).scatter_reduce(0, found, keys, "amin")
    return numbers, first


def sort_parts(first: Tensor, size: Sequence[int], kept: Tensor) -> tuple[Tensor, Tensor]:
    """Of the parts that are kept, (the map of each, the parts in order)."""
    order = torch.argsort(first)
    order = order[kept[order]]
    return first[order] // (size[0] * size[1]), order


def _by_map(numbers: Tensor, table: Tensor) -> Segments:
    """The same with the rows of each map together."""
    order = torch.argsort(table[:, 0], stable=True)
    place = torch.zeros(len(table) + 1, dtype=torch.int64, device=numbers.device)
    place[order + 1] = torch.arange(1, len(table) + 1, device=numbers.device)
    return Segments(place[numbers], table[order])


def is_any(labels: Tensor, values: Sequence[int]) -> Tensor:
    """bool of the same shape: where a map shows one of these values."""
    if not values:
        return torch.zeros_like(labels, dtype=torch.bool)
    return torch.isin(labels, torch.tensor(list(values), device=labels.device))


def boxes(masks: Tensor) -> Tensor:
    """int64 [N, 4] of bool [N, h, w]: first row, last row, first column, last column. Empty masks have a last one before the first."""
    height, width = masks.shape[1:]
    found = []
    for line in (masks.any(2), masks.any(1)):
        side = line.shape[1]
        places = torch.arange(side, device=masks.device)
        found += [torch.where(line, places, side).amin(1), torch.where(line, places, -1).amax(1)]
    return torch.stack(found, 1)


def in_boxes(edges: Tensor, height: int, width: int) -> Tensor:
    """bool [N, height, width]: inside boxes as of `boxes`."""
    rows = torch.arange(height, device=edges.device)[None, :, None]
    columns = torch.arange(width, device=edges.device)[None, None]
    top, bottom, left, right = (edges[:, i, None, None] for i in range(4))
    return (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)


def with_thin(masks: Tensor, thin_at: Tensor) -> Tensor:
    """Segments with the thin pixels that their part was connected over, inside their bounding box.

    masks: bool [N, h, w], all of a class that is not thin; thin_at: bool [N, h, w], where the map of each shows a thin class.
    """
    joined = masks | thin_at
    numbers, first = numbered(joined)
    belongs = torch.zeros(len(first), dtype=torch.bool, device=masks.device)
    belongs[numbers[masks]] = True
    return joined & belongs[numbers] & in_boxes(boxes(masks), *masks.shape[1:])
