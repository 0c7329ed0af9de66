"""What the judges are built of: maps as planes, convolutions behind group norms, the hole of a class filled by its neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import SemanticMap


def planes(maps: SemanticMap, side: int) -> Tensor:
    """One-hot float32 [B, C, side, side] of maps of any size (nearest); unlabeled pixels are zero in every plane."""
    return one_hot(labels_at(maps, side), len(maps.space))


def labels_at(maps: SemanticMap, side: int) -> Tensor:
    """Labels int64 [B, side, side] (nearest)."""
    return SemanticMap(maps.labels, maps.space).resize((side, side)).labels


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """float32 [B, C, H, W]; values that are no class are zero in every plane."""
    known = (labels >= 0) & (labels < classes)
    hot = F.one_hot(labels.where(known, torch.zeros_like(labels)), classes)
    return (hot * known[..., None]).permute(0, 3, 1, 2).float()


def conv(inputs: int, outputs: int, *, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, group norm of groups of 8 channels, SiLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.GroupNorm(outputs // 8, outputs), nn.SiLU()
    )


def stem(inputs: int, outputs: int) -> nn.Sequential:
    """To a quarter of the side, each 4 x 4 window by itself: nothing of a one-hot map is lost before the channels are."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, 4, bias=False), nn.GroupNorm(outputs // 8, outputs), nn.SiLU()
    )


def up(x: Tensor) -> Tensor:
    """Twice the side, nearest."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def filled(labels: Tensor, hole: Tensor) -> Tensor:
    """labels [B, H, W] with the pixels of `hole` (bool [B, H, W]) set to the class of the nearest pixel outside, by jump flooding.

    Without this the hole that a class leaves would show its shape. Where a whole map is hole, its labels stay as they are.
    Source: Rong and Tan, "Jump flooding in GPU", I3D 2006 (a few pixels may take the second nearest).
    """
    batch, height, width = labels.shape
    far = torch.tensor(-(10**4), device=labels.device)
    y = torch.arange(height, device=labels.device)[:, None].expand(batch, height, width)
    x = torch.arange(width, device=labels.device)[None].expand(batch, height, width)
    sy, sx = torch.where(hole, far, y), torch.where(hole, far, x)
    step = 1 << (max(height, width) - 1).bit_length() - 1
    while step:
        for dy in (-step, 0, step):
            for dx in (-step, 0, step):
                if dy or dx:
                    oy, ox = (_moved(s, dy, dx, int(far)) for s in (sy, sx))
                    nearer = (y - oy) ** 2 + (x - ox) ** 2 < (y - sy) ** 2 + (x - sx) ** 2
                    sy, sx = torch.where(nearer, oy, sy), torch.where(nearer, ox, sx)
        step //= 2
    found = (sy >= 0) & (sx >= 0)
    places = sy.clamp(min=0) * width + sx.clamp(min=0)
    return torch.where(found, labels.flatten(1).gather(1, places.flatten(1)).view_as(labels), labels)


def _moved(values: Tensor, dy: int, dx: int, outside: int) -> Tensor:
    """values[y + dy, x + dx], `outside` where that is none."""
    height, width = values.shape[1:]
    if abs(dy) >= height or abs(dx) >= width:
        return torch.full_like(values, outside)
    cut = values[:, max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
    return F.pad(cut, (max(0, -dx), max(0, dx), max(0, -dy), max(0, dy)), value=outside)
