"""Where a pixel lies within its part of a map: connected components, and offsets from their centres (CLADE's position maps)."""

from __future__ import annotations

import torch
from torch import Tensor

ACROSS = (-1, 0, 1)
"""Steps across to the pixels of the next row that a pixel touches; corners touch, too."""
EPS = 1e-5


def components(labels: Tensor) -> Tensor:
    """int64 [B, H, W] -> int64 of the same shape: a number per connected part of one value, the same for all its pixels.

    Pixels touch at sides and corners. The number is the place of the part's first pixel in the flattened tensor.
    """
    places = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    begins = torch.ones_like(labels, dtype=torch.bool)
    begins[..., 1:] = labels[..., 1:] != labels[..., :-1]
    # a run of pixels in a row is one node, its first pixel; runs of neighbouring rows are joined
    parent = torch.where(begins, places, 0).flatten().cummax(0).values
    pairs = [_touching(labels, parent.view(labels.shape), across) for across in ACROSS]
    first, second = torch.cat(pairs, 1).unbind()
    while True:
        roots = parent[first], parent[second]
        apart = roots[0] != roots[1]
        if not bool(apart.any()):
            return parent.view(labels.shape)
        # every root that meets a smaller one hangs under the smallest that it meets
        first, second = first[apart], second[apart]
        low, high = torch.minimum(*roots)[apart], torch.maximum(*roots)[apart]
        parent = parent.scatter_reduce(0, high, low, "amin")
        while not torch.equal(parent, above := parent[parent]):
            parent = above


def _touching(labels: Tensor, runs: Tensor, across: int) -> Tensor:
    """Pairs of runs [2, N] with one value, where a pixel of the second is one below and `across` beside a pixel of the first."""
    width = labels.shape[-1]
    here, there = slice(max(0, -across), width - max(0, across)), slice(max(0, across), width + min(0, across))
    same = labels[:, :-1, here] == labels[:, 1:, there]
    pairs = torch.stack([runs[:, :-1, here][same], runs[:, 1:, there][same]])
    new = torch.ones_like(pairs[0], dtype=torch.bool)
    new[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(0)
    return pairs[:, new]


def class_positions(labels: Tensor, *, normalize: bool = True, without: int | None = 0) -> Tensor:
    """Offsets of each pixel from the centre of its connected part: float32 [B, 2, H, W], vertical (down) first.

    labels: int64 [B, H, W]. The centre is the mean place of the part's pixels. normalize: each part and direction over its largest
    offset (plus 1e-5), so that the numbers lie inside (-1, 1); else they are pixels. without: a value whose pixels hold 0. Not random.
    """
    parts = components(labels).flatten()
    numbers, index = torch.unique(parts, return_inverse=True)
    count = torch.bincount(index, minlength=len(numbers)).double()
    height, width = labels.shape[-2:]
    place = torch.arange(labels.numel(), device=labels.device)
    maps = []
    for at in (place // width % height, place % width):
        centre = torch.zeros_like(count).index_add_(0, index, at.double()) / count
        offset = at - centre[index]
        if normalize:
            largest = torch.zeros_like(count).scatter_reduce_(0, index, offset.abs() + EPS, "amax")
            offset = offset / largest[index]
        maps.append(offset.float().view(labels.shape))
    positions = torch.stack(maps, 1)
    return positions if without is None else positions * (labels != without)[:, None]
