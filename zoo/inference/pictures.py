"""A generator's last layer: leaky ReLU and a 3x3 convolution to the three colours, without its sliding windows.

Every pixel's products with all nine taps are one matrix product with 27 columns, and the taps are summed shifted; a convolution
to so few channels otherwise runs at a tenth of the machine's rate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.inference.packed import native

SLOPE = 0.2
PIECE = 1 << 16
"""Numbers of the features that are read at once."""


class PictureConv(nn.Module):
    """conv(leaky_relu(x)) for x [B, C, H, W] of any memory format; conv: 3x3, stride 1, padding 1, with bias."""

    taps: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("taps", conv.weight.detach().permute(2, 3, 0, 1).flatten(0, 2).contiguous())

    @property
    def weight(self) -> Tensor:
        """[out, C, 3, 3]."""
        return self.conv.weight

    def forward(self, x: Tensor) -> Tensor:
        """[B, out, H, W]."""
        if not native(x) or self.taps.dtype != x.dtype:
            return self.conv(F.leaky_relu(x, SLOPE))
        batch, channels, height, width = x.shape
        rows, out = x.permute(0, 2, 3, 1), self.conv.out_channels
        padded = x.new_zeros(batch, out, height + 2, width + 2)
        step = max(1, PIECE // (width * channels))
        for sample in range(batch):
            for first in range(0, height, step):
                seen = F.leaky_relu(rows[sample, first : first + step], SLOPE)
                count = len(seen)
                products = torch.mm(self.taps, seen.reshape(-1, channels).t()).view(3, 3, out, count, width)
                for i in range(3):
                    for j in range(3):
                        # the pixel above sees this row with its lowest tap
                        target = padded[sample, :, first + 2 - i : first + 2 - i + count, 2 - j : 2 - j + width]
                        target.add_(products[i, j])
        picture = padded[:, :, 1:-1, 1:-1]
        return picture + self.conv.bias[:, None, None] if self.conv.bias is not None else picture.contiguous()
