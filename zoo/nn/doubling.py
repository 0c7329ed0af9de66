"""A nearest doubling of the side and the 3x3 convolution after it, with a quarter of the products, for inference.

A doubled row shows each value twice, so in one dimension with taps a, b, c and differences d[i] = x[i-1] - x[i] (0 outside)

    out[2i] = a x[i-1] + (b + c) x[i] = a d[i] + (a + b + c) x[i]
    out[2i+1] = (a + b) x[i] + c x[i+1] = (a + b + c) x[i] - c d[i+1]

Three products give two outputs, and in two dimensions nine give four; thirty-six in the plain form.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHUNK = 1 << 16
"""Numbers of the input that are worked on at a time, so that they stay in a core's cache."""
PIXELS = 256
"""At least so many pixels at a time: the kernels are read anew for each chunk."""


def _combined(kernel: Tensor) -> Tensor:
    """Taps (a, b, c) in the last dimension -> (a, a + b + c, -c)."""
    return torch.stack([kernel[..., 0], kernel.sum(-1), -kernel[..., 2]], -1)


class DoublingConv(nn.Module):
    """`conv(interpolate(x, scale_factor=2))` of a 3x3 convolution with padding 1 and a bias, for one picture, channels last."""

    kernels: Tensor
    bias: Tensor

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        assert conv.kernel_size == (3, 3) and conv.padding == (1, 1) and conv.groups == 1 and conv.bias is not None
        kernels = _combined(_combined(conv.weight.detach().double()).transpose(2, 3)).transpose(2, 3)
        self.register_buffer("kernels", kernels.permute(2, 3, 1, 0).to(conv.weight).contiguous(), persistent=False)
        self.register_buffer("bias", conv.bias.detach().clone(), persistent=False)

    def padded(self, height: int, width: int) -> tuple[Tensor, Tensor]:
        """Zeros for the input and its margin, and the view [height, width, c] of them where the input belongs."""
        pitch, c = width + 1, self.kernels.shape[2]
        field = self.kernels.new_zeros((height + 2) * pitch + 2, c)
        return field, field[pitch + 1 : -1].view(height + 1, pitch, c)[:height, :width]

    def forward(self, field: Tensor, height: int, width: int) -> Tensor:
        """What `padded` gave, filled -> [2 height, 2 width, d], contiguous.

        Rows are a zero pixel apart, so a step to the left or up is a step in the flat list of pixels, and all products are plain ones.
        """
        pitch, (c, d), k = width + 1, self.kernels.shape[2:], self.kernels
        rows = min(height, -(-max(CHUNK // c, PIXELS) // pitch))
        out = field.new_empty(height, 2, width, 2, d)
        n = rows * pitch
        across, down, both = (field.new_empty(n + more, c) for more in (1, pitch + 2, pitch + 1))
        even, odd, lower, phase = (field.new_empty(n, d) for _ in range(4))
        for top in range(0, height, rows):
            top = min(top, height - rows)  # the last chunk may overlap the one before it
            at = (top + 1) * pitch + 1
            torch.sub(field[at - 1 : at + n], field[at : at + n + 1], out=across)
            torch.sub(field[at - 1 - pitch : at + n + 1], field[at - 1 : at + n + pitch + 1], out=down)
            torch.sub(down[:-1], down[1:], out=both)
            torch.addmm(self.bias, field[at : at + n], k[1, 1], out=even)
            odd.copy_(even)
            even.addmm_(across[:n], k[1, 0])
            odd.addmm_(across[1:], k[1, 2])
            for p in (0, 1):
                first = p * pitch
                torch.mm(down[first + 1 : first + 1 + n], k[2 * p, 1], out=lower)
                for q, level in ((0, even), (1, odd)):
                    torch.add(level, lower, out=phase)
                    phase.addmm_(both[first + q : first + q + n], k[2 * p, 2 * q])
                    out[top : top + rows, p, :, q] = phase.view(rows, pitch, d)[:, :width]
        return out.view(2 * height, 2 * width, d)
