"""Connected parts of label maps."""

from __future__ import annotations

import torch
from torch import Tensor


def components(labels: Tensor, *, corners: bool = True) -> Tensor:
    """int64 [B, H, W] -> int64 of the same shape: a number per connected part of one value, the same for all its pixels.

    Pixels touch at sides, and with `corners` at corners. The number is the place of the part's first pixel in the flattened tensor.
    """
    places = torch.arange(labels.numel(), device=labels.device).view(labels.shape)
    begins = torch.ones_like(labels, dtype=torch.bool)
    begins[..., 1:] = labels[..., 1:] != labels[..., :-1]
    # a run of pixels in a row is one node, its first pixel; runs of neighbouring rows are joined
    parent = torch.where(begins, places, 0).flatten().cummax(0).values
    pairs = [_touching(labels, parent.view(labels.shape), across) for across in ((-1, 0, 1) if corners else (0,))]
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
