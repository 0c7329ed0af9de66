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
    return nn.Sequential(nn.Conv2d(inputs, outputs, 4, 4, bias=False), nn.GroupNorm(outputs // 8, outputs), nn.SiLU())


def up(x: Tensor) -> Tensor:
    """Twice the side, nearest."""
    return F.interpolate(x, scale_factor=2, mode="nearest")


def filled(labels: Tensor, hole: Tensor) -> Tensor:
    """labels [B, H, W] with the pixels of `hole` (bool [B, H, W]) set to the class of the nearest pixel outside.

    Without this the hole that a class leaves would show its shape. Where a whole map is hole, its labels stay as they are.
    """
    from scipy.ndimage import distance_transform_edt

    rows, holes = labels.cpu().numpy().copy(), hole.cpu().numpy()
    for row, empty in zip(rows, holes, strict=True):
        if empty.any() and not empty.all():
            y, x = distance_transform_edt(empty, return_distances=False, return_indices=True)  # pyright: ignore[reportGeneralTypeIssues]
            row[:] = row[y, x]
    return torch.from_numpy(rows).to(labels.device)
