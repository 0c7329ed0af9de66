"""Segments: connected parts of a class, which poles and signs in front do not cut in two (docs/papers/sims.md, "Segments")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

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
    count, height, width = labels.shape
    shown = labels < classes
    parts, first, pixels = numbered(labels, shown)
    kinds = torch.zeros_like(first)
    kinds[parts[shown]] = labels[shown]
    thin_at = is_any(labels, thin)
    blobs, blob_first, blob_pixels = numbered(thin_at.long(), thin_at)
    pairs = _touching(parts, blobs, shown & ~thin_at, thin_at)
    # a blob of thin pixels is a node of its own in every class that touches it
    nodes, node = (pairs[1] * classes + kinds[pairs[0]]).unique(return_inverse=True)
    blob = nodes // classes
    root = joined_to(len(first) + len(nodes), pairs[0], len(first) + node)
    held = torch.zeros_like(root).scatter_add(0, root[: len(first)], pixels)
    beside = torch.zeros_like(root).scatter_add(0, root[len(first) :], blob_pixels[blob])
    start = torch.full_like(root, count * height * width)
    start = start.scatter_reduce(0, root, torch.cat([first, blob_first[blob]]), "amin")
    roots = root[: len(first)].unique()
    roots = roots[held[roots] > beside[roots]]
    # of joined parts the root is the first, which is of their class
    maps = start[roots] // (height * width)
    order = _sorted(maps, kinds[roots], start[roots])
    roots, maps = roots[order], maps[order]
    groups = maps * classes + kinds[roots]
    within = torch.arange(len(roots), device=labels.device) - torch.searchsorted(groups, groups) + 1
    row = torch.zeros_like(root)
    row[roots] = torch.arange(1, len(roots) + 1, device=labels.device)
    numbers = torch.zeros_like(labels)
    numbers[shown] = row[root[: len(first)]][parts[shown]]
    return Segments(numbers, torch.stack([maps, kinds[roots], within, held[roots]], 1))


def numbered(labels: Tensor, shown: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Connected parts of the pixels `shown`, bool [B, h, w], of a map [B, h, w]: (the part of each pixel, numbers without gaps, 0 elsewhere;
    each part's first pixel in column order, as map * h * w + column * h + row; its pixels)."""
    count, height, width = labels.shape
    parts = components(labels)[shown]
    seen = torch.zeros(labels.numel(), dtype=torch.int64, device=labels.device)
    seen[parts] = 1
    found = (seen.cumsum(0) - 1)[parts]
    numbers = torch.zeros_like(labels)
    numbers[shown] = found
    pixels = torch.bincount(found)
    place, row, column = shown.nonzero(as_tuple=True)
    keys = (place * width + column) * height + row
    first = torch.full_like(pixels, count * height * width).scatter_reduce(0, found, keys, "amin")
    return numbers, first, pixels


def joined_to(count: int, first: Tensor, second: Tensor) -> Tensor:
    """The smallest of the nodes 0..count - 1 that each is joined to, int64 [count]. first, second: the ends of each edge, int64 [E]."""
    root = torch.arange(count, device=first.device)
    while True:
        ends = root[first], root[second]
        low, high = torch.minimum(*ends), torch.maximum(*ends)
        if torch.equal(low, high):
            return root
        root = root.scatter_reduce(0, high, low, "amin")
        while not torch.equal(root, above := root[root]):
            root = above


def _touching(parts: Tensor, blobs: Tensor, own: Tensor, thin_at: Tensor) -> Tensor:
    """Pairs (part, blob) [2, N] of which pixels touch at sides or corners, each pair once."""
    height, width = own.shape[1:]
    found = []
    for down, across in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here = slice(0, height - down), slice(max(0, -across), width - max(0, across))
        there = slice(down, height), slice(max(0, across), width + min(0, across))
        for a, b in ((here, there), (there, here)):
            both = own[:, a[0], a[1]] & thin_at[:, b[0], b[1]]
            found.append(torch.stack([parts[:, a[0], a[1]][both], blobs[:, b[0], b[1]][both]]))
    return torch.cat(found, 1).unique(dim=1)


def _sorted(*keys: Tensor) -> Tensor:
    """The order by several keys, the first counting most."""
    order = torch.arange(len(keys[0]), device=keys[0].device)
    for key in reversed(keys):
        order = order[torch.argsort(key[order], stable=True)]
    return order


def is_any(labels: Tensor, values: Sequence[int]) -> Tensor:
    """bool of the same shape: where a map shows one of these values."""
    if not values:
        return torch.zeros_like(labels, dtype=torch.bool)
    return torch.isin(labels, torch.tensor(list(values), device=labels.device))


def boxes(masks: Tensor) -> Tensor:
    """int64 [N, 4] of bool [N, h, w]: first row, last row, first column, last column. Empty masks have a last one before the first."""
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
    if not bool(thin_at.any()):
        return masks
    blobs, first, _ = numbered(thin_at.long(), thin_at)
    near = F.max_pool2d(F.pad(masks[:, None].float(), (1, 1, 1, 1)), 3, 1)[:, 0] > 0
    touched = torch.zeros(len(first), dtype=torch.bool, device=masks.device)
    touched[blobs[near & thin_at]] = True
    return masks | (thin_at & touched[blobs] & in_boxes(boxes(masks), *masks.shape[1:]))
