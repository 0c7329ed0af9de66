"""Image encoders of the SPADE family."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.nn.norms import conv_norm


class ConvEncoder(nn.Module):
    """VAE encoder: stride-2 3x3 convolutions to a 4x4 map, then two linear layers.

    width: channels of the first layer; then 2, 4, 8, 8, … times that. size: side to which images are resized (bilinear);
    a power of two, the number of layers is log2(size) - 2 (256: the official six). norm: a norm string without modulation.
    forward: images [B, 3, H, W] in [-1, 1] -> (mu, logvar), each [B, z_dim].
    """

    def __init__(self, width: int, z_dim: int, *, size: int = 256, norm: str = "spectralinstance") -> None:
        super().__init__()
        depth = int(math.log2(size)) - 2 if size >= 8 else 0
        if depth < 1 or size != 2 ** (depth + 2):
            raise ConfigError(f"Encoder size {size}: expected a power of two, 8 or more (official: 256).")
        self.size = size
        widths = [3] + [width * min(2**i, 8) for i in range(depth)]
        self.layers = nn.ModuleList(conv_norm(norm, a, b, 3, 2, 1) for a, b in pairwise(widths))
        self.fc_mu = nn.Linear(widths[-1] * 16, z_dim)
        self.fc_var = nn.Linear(widths[-1] * 16, z_dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = images.to(self.fc_mu.weight.dtype)
        if tuple(x.shape[-2:]) != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)
