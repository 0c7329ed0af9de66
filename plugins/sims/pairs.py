"""Pairs of segments for the ordering network: which there are, how they are shown, who lies in front (docs/papers/sims.md, "Ordering network")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from zoo_plugins.sims.segments import Segments

Pair = tuple[int, int]
"""Rows of a table of segments, the farther class first."""


def all_pairs(table: Tensor, rows: Tensor, order: Sequence[int]) -> list[Pair]:
    """All pairs of these segments that are of different classes, the farther class first. order: classes from far to near.

    Sorted by the first's class, the second's class, the first's number, the second's.
    """
    rank = {value: i for i, value in enumerate(order)}
    places = [
        (rank[value], number, row)
        for row, (_, value, number, _) in zip(rows.tolist(), table[rows].tolist(), strict=True)
    ]
    found = [(a, b) for a in places for b in places if a[0] < b[0]]
    found.sort(key=lambda pair: (pair[0][0], pair[1][0], pair[0][1], pair[1][1]))
    return [(a[2], b[2]) for a, b in found]


def pair_pictures(segments: Segments, pairs: Sequence[Pair], palette: Tensor, shown: Tensor) -> Tensor:
    """The ordering network's input [P, 6, h, w] in [0, 1]: the pair in its classes' colours on black, then the whole map.

    palette: uint8 [classes, 3]. shown: the map in colours [3, h, w] in [0, 1].
    """
    both = torch.tensor(list(pairs), dtype=torch.int64, device=segments.numbers.device).view(-1, 2)
    masks = segments.masks(both.flatten()).view(-1, 2, 1, *segments.numbers.shape[1:])
    colours = palette[segments.table[both, 1]].float()[..., None, None] / 255
    return torch.cat([(masks * colours).sum(1), shown.expand(len(both), -1, -1, -1)], 1)


def coloured(labels: Tensor, palette: Tensor) -> Tensor:
    """A map int64 [h, w] in colours [3, h, w] in [0, 1]; what has no colour is black."""
    colours = torch.cat([palette.float() / 255, palette.new_zeros(1, 3).float()])
    return colours[labels.clamp_max(len(palette))].permute(2, 0, 1)


def meeting(supports: Tensor, classes: Sequence[int]) -> list[Pair]:
    """Pairs (earlier, later) of places in bool [P, H, W] that share a pixel and are of different classes."""
    flat = supports.flatten(1).float()
    shared = (flat @ flat.T > 0).tolist()
    count = len(classes)
    return [(i, k) for k in range(count) for i in range(k) if shared[i][k] and classes[i] != classes[k]]


def fronts(scores: Tensor, pairs: Sequence[Pair], table: Tensor) -> Mapping[Pair, bool]:
    """Whether the first of each pair lies in front, as its best output is the first's class. scores: [P, classes + 1]."""
    first = table[torch.tensor([a for a, _ in pairs], dtype=torch.int64, device=table.device), 1]
    return dict(zip(pairs, (scores.argmax(1) == first + 1).tolist(), strict=True))
