"""Bands along the borders of masks (docs/papers/sims.md, "Canvas")."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Edge = Callable[[Tensor], Tensor]
"""bool [N, H, W] -> bool [N, H, W]: a line along the border of each mask."""


def widened(lines: Tensor, side: int) -> Tensor:
    """bool [N, H, W] with every pixel a square of so many pixels a side; of an even side, the half pixel more is before it."""
    after, before = (side - 1) // 2, side // 2
    grown = lines[:, None].float()
    grown = F.max_pool2d(F.pad(grown, (0, 0, before, after)), (side, 1), 1)
    return F.max_pool2d(F.pad(grown, (before, after, 0, 0)), (1, side), 1)[:, 0] > 0


def sobel(masks: Tensor) -> Tensor:
    """The authors' border: where the slope by Sobel's filters is larger than both beside it or both above and below it.

    bool [N, H, W] -> bool [N, H, W]. It lies on either side of the border; the picture's own border is none.
    """
    kernel = torch.tensor([[1.0, 2.0, 1.0], [0.0, 0.0, 0.0], [-1.0, -2.0, -1.0]], device=masks.device) / 8
    kernels = torch.stack([kernel, kernel.T])[:, None]
    held = F.pad(masks[:, None].float(), (1, 1, 1, 1), mode="replicate")
    strength = F.conv2d(held, kernels).square().sum(1).sqrt()
    beside, above = F.pad(strength, (1, 1)), F.pad(strength, (0, 0, 1, 1))
    across = (strength > beside[..., :-2]) & (strength > beside[..., 2:])
    down = (strength > above[:, :-2]) & (strength > above[:, 2:])
    return (across | down) & (strength > 0)


def no_edge(masks: Tensor) -> Tensor:
    """No border at all: a canvas without bands."""
    return torch.zeros_like(masks)
