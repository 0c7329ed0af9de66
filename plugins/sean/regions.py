"""Where the regions of a map lie: what a style convolution sees of them, as windows of 3x3 region numbers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.inference.windows import number_windows, shown_values


def region_numbers(planes: Tensor) -> Tensor:
    """The region of each pixel, int64 [B, H, W]: the highest plane that is set there, `planes` where none is.

    planes: 0 or 1, [B, planes, H, W]; where they overlap (instance edges lie over their class) the highest wins, as in the code.
    """
    count = planes.shape[1]
    order = torch.arange(1, count + 1, device=planes.device, dtype=torch.float32)[:, None, None]
    highest = (planes.float() * order).amax(1).long()
    return torch.where(highest > 0, highest - 1, count)


@dataclass(frozen=True, eq=False)
class RegionWindows:
    """The 3x3 windows of region maps. samples, regions: int64 [K], what each symbol is (a region of one sample); windows: int64
    [D, 9] of symbols, K outside the picture; index: int64 [B, h, w], the window of each pixel."""

    samples: Tensor
    regions: Tensor
    windows: Tensor
    index: Tensor


def region_windows(numbers: Tensor, planes: int) -> RegionWindows:
    """The windows of numbers int64 [B, h, w] in 0..planes (`planes`: no region)."""
    batch = len(numbers)
    steps = torch.arange(batch, device=numbers.device)[:, None, None] * (planes + 1)
    shown, symbols = shown_values(numbers + steps)
    windows, index = number_windows(symbols, len(shown), 3)
    return RegionWindows(shown // (planes + 1), shown % (planes + 1), windows, index)


@dataclass(frozen=True, eq=False)
class StyleRows:
    """What the style adds to a norm's scale and shift. rows: [D, 2 * channels], scale and shift of each window side by side; index:
    int64 [B, h, w]."""

    rows: Tensor
    index: Tensor

    def affine(self) -> tuple[Tensor, Tensor]:
        """(gamma, beta), each [B, channels, h, w], channels last."""
        gamma, beta = F.embedding(self.index, self.rows).permute(0, 3, 1, 2).chunk(2, 1)
        return gamma, beta
