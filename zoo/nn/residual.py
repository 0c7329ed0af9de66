"""Residual blocks with group norms, as Semantic-VAE's decoder and CA2SIS's generator have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm`, worked out in the contiguous layout while training on a CPU: its backward pass is 20 to 30 times
    slower on channels_last tensors (torch 2.15, bf16), which costs more than the copies."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda or not torch.is_grad_enabled() or input.is_contiguous():
            return super().forward(input)
        return super().forward(input.contiguous()).contiguous(memory_format=torch.channels_last)


class UpBlock(nn.Module):
    """Residual block that doubles the side: norm and SiLU come before the upsampling, the first 3x3 after it.

    upsample: False keeps the side. identity: no 1x1 convolution on the skip path where the widths are equal.
    """

    def __init__(self, c: int, d: int, groups: int, *, upsample: bool = True, identity: bool = False) -> None:
        super().__init__()
        self.upsample = upsample
        self.norm1 = GroupNorm(groups, c)
        self.conv1 = nn.Conv2d(c, d, 3, padding=1)
        self.norm2 = GroupNorm(groups, d)
        self.conv2 = nn.Conv2d(d, d, 3, padding=1)
        self.skip = nn.Identity() if identity and c == d else nn.Conv2d(c, d, 1)
        nn.init.zeros_(self.conv2.weight)
        if self.conv2.bias is not None:
            nn.init.zeros_(self.conv2.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[B, c, H, W] -> [B, d, 2H, 2W] (without upsampling [B, d, H, W])."""
        h = self.conv1(self._resized(F.silu(self.norm1(x))))
        h = self.conv2(F.silu(self.norm2(h)))
        # The 1x1 convolution commutes with the nearest upsampling: a quarter of the work, the same numbers.
        return h + self._resized(self.skip(x))

    def _resized(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2.0, mode="nearest") if self.upsample else x
