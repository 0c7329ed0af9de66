"""Regions: the pixels of a map that share a style, and the means of features over them (paper section 3.4)."""

from __future__ import annotations

import torch
from torch import Tensor


def number_regions(channels: Tensor, instances: Tensor | None, slots: int) -> Tensor:
    """int64 [B, H, W]: channel * slots + place, the place being that of the pixel's object among those of its class.

    channels: int64 [B, H, W], the class of each pixel. instances: int64 numbers of objects [B, H, W]; None: a class is one object.
    An object is what has one number within one class; the objects of a class are counted by ascending numbers, and from `slots` on
    from 0 again.
    """
    regions = channels * slots
    if instances is None or slots == 1:
        return regions
    for sample in range(len(channels)):
        numbers, index = torch.unique(instances[sample], return_inverse=True)
        codes, index = torch.unique(channels[sample] * len(numbers) + index, return_inverse=True)
        classes = codes // len(numbers)
        first = torch.searchsorted(classes, classes)  # ascending: where the class begins
        regions[sample] += ((torch.arange(len(codes), device=codes.device) - first) % slots)[index]
    return regions


def region_means(values: Tensor, regions: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means of features [B, F, H, W] over each region: ([B, count, F], pixels int64 [B, count]); zeros where there are no pixels.

    regions: int64 [B, H, W] below `count`. The gradient goes through the mean.
    """
    batch, features = values.shape[:2]
    rows = (regions.flatten(1) + count * torch.arange(batch, device=regions.device)[:, None]).flatten()
    flat = values.float().permute(0, 2, 3, 1).reshape(-1, features)
    sums = flat.new_zeros(batch * count, features).index_add(0, rows, flat)
    pixels = torch.bincount(rows, minlength=batch * count)
    means = sums / pixels.clamp_min(1)[:, None]
    return means.view(batch, count, features), pixels.view(batch, count)


def paint_regions(styles: Tensor, regions: Tensor) -> Tensor:
    """Styles [S, count, F] laid out over regions [S or 1, H, W]: [S, F, H, W]."""
    regions = regions.expand(len(styles), -1, -1)
    rows = regions.flatten(1)[:, :, None].expand(-1, -1, styles.shape[2])
    painted = styles.gather(1, rows).view(*regions.shape, styles.shape[2])
    return painted.permute(0, 3, 1, 2).contiguous()
