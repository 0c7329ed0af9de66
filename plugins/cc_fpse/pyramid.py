"""The label pyramid: features of the map at every scale that have seen its surroundings (docs/papers/cc_fpse.md, "Label pyramid")."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.norms import conv_norm


def layer(norm: str, c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution without bias, its norm and leaky ReLU."""
    return nn.Sequential(conv_norm(norm, c_in, c_out, kernel, stride, kernel // 2), nn.LeakyReLU(0.2))


class LabelPyramid(nn.Module):
    """forward: planes [B, planes, H, W] -> levels [B, width, h, w], coarsest first, as many as there are scales.

    levels: six from 1/32 to 1, or seven from 1/64. norm: a norm string without modulation. Downwards each layer halves the one before;
    upwards the coarser level is doubled (nearest), a 1x1 layer of the finer is added, and a 3x3 layer follows.
    """

    def __init__(self, planes: int, width: int, levels: int, norm: str) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            layer(norm, width if i else planes, width, stride=2 if i else 1) for i in range(levels)
        )
        self.laterals = nn.ModuleList(layer(norm, width, width, kernel=1) for _ in range(levels - 1))
        self.decoders = nn.ModuleList(layer(norm, width, width) for _ in range(levels - 1))

    def forward(self, planes: Tensor) -> list[Tensor]:
        down: list[Tensor] = []
        for encoder in self.encoders:
            down.append(encoder(down[-1] if down else planes))
        levels = [down.pop()]
        for lateral, decoder, finer in zip(self.laterals, self.decoders, reversed(down), strict=True):
            doubled = F.interpolate(levels[-1], scale_factor=2.0, mode="nearest")
            levels.append(decoder(doubled + lateral(finer)))
        return levels
