"""Where a pixel lies within its part of a map: offsets from the part's centre (CLADE's position maps)."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.nn.components import components

EPS = 1e-5


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
