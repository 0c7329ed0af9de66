"""What the three networks are made of: stages of convolutions with layer norms, and TensorFlow's pooling (docs/papers/sims.md, "Trunk")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.crn.generator import RefineConv

Pool = Literal["mean", "max"]
CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Of each stage of the transformation and the ordering network."""


def pool(x: Tensor, kind: Pool) -> Tensor:
    """3x3 windows at every second pixel over [B, C, H, W] -> [B, C, ceil(H / 2), ceil(W / 2)], as TensorFlow's SAME has them.

    Even sides get one more row and column, at the bottom and the right; what is added is neither counted nor a largest number.
    """
    height, width = x.shape[-2:]
    below, right = (1 if side % 2 == 0 else 2 for side in (height, width))
    above, left = below // 2, right // 2
    borders = (left, right - left, above, below - above)
    if kind == "max":
        return F.max_pool2d(F.pad(x, borders, value=float("-inf")), 3, 2)
    total = F.avg_pool2d(F.pad(x, borders), 3, 2)
    held = F.avg_pool2d(F.pad(x.new_ones(1, 1, height, width), borders), 3, 2)
    return total / held


class Stage(nn.Sequential):
    """So many `RefineConv`s one after the other: [B, c_in, H, W] -> [B, c_out, H, W]. State-dict keys: `{scope}_1`, `{scope}_2`, …"""

    def __init__(self, scope: str, c_in: int, c_out: int, count: int) -> None:
        super().__init__()
        for i in range(count):
            self.add_module(f"{scope}_{i + 1}", RefineConv(c_out if i else c_in, c_out))


class Trunk(nn.Module):
    """Five stages, each followed by a pooling; the transformation and the ordering network add what comes behind.

    scope: of stage N, its name in the authors' checkpoints. widths: channels of the first four stages, the fifth has the fourth's.
    """

    POOLS: Sequence[Pool] = ("mean", "max", "max", "max", "max")

    def __init__(self, scope: Callable[[int], str], c_in: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.scopes = tuple(scope(n) for n in range(1, len(CONVOLUTIONS) + 1))
        outputs = (*widths[:4], widths[3])
        inputs = (c_in, *outputs)
        for name, before, after, count in zip(self.scopes, inputs, outputs, CONVOLUTIONS, strict=False):
            self.add_module(name, Stage(name, before, after, count))

    def features(self, x: Tensor) -> Tensor:
        """[B, c_in, H, W] -> [B, widths[3], H / 32, W / 32]."""
        for name, kind in zip(self.scopes, self.POOLS, strict=True):
            x = pool(self.get_submodule(name)(x), kind)
        return x


def resized(x: Tensor, size: Sequence[int]) -> Tensor:
    """[B, C, H, W] at (H, W) = size: bilinear, corners aligned (TensorFlow's `align_corners=True`)."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=True)


def linear_start(*shape: int) -> nn.Parameter:
    """A parameter of zeros."""
    return nn.Parameter(torch.zeros(*shape))
