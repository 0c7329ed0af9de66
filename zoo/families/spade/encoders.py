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
    depth: another number of layers; grid: side of the map before the linear layers, average-pooled to it where the layers
    leave a larger one (default: what they leave).
    forward: images [B, 3, H, W] in [-1, 1] -> (mu, logvar), each [B, z_dim].
    """

    def __init__(
        self,
        width: int,
        z_dim: int,
        *,
        size: int = 256,
        norm: str = "spectralinstance",
        depth: int | None = None,
        grid: int | None = None,
    ) -> None:
        super().__init__()
        full_depth = int(math.log2(size)) - 2 if size >= 8 else 0
        depth = full_depth if depth is None else depth
        if full_depth < 1 or depth < 1 or size != 2 ** (full_depth + 2) or size < 2**depth:
            raise ConfigError(f"Encoder size {size}: expected a power of two, 8 or more (official: 256).")
        self.size = size
        self.grid = size >> depth if grid is None else grid
        self.widths = tuple(width * min(2**i, 8) for i in range(depth))
        self.layers = nn.ModuleList(conv_norm(norm, a, b, 3, 2, 1) for a, b in pairwise((3, *self.widths)))
        self.fc_mu = nn.Linear(self.widths[-1] * self.grid**2, z_dim)
        self.fc_var = nn.Linear(self.widths[-1] * self.grid**2, z_dim)

    def features(self, images: Tensor) -> list[Tensor]:
        """The outputs of all layers before their activation (leaky ReLU, 0.2), finest first."""
        x = images.to(self.fc_mu.weight.dtype)
        if tuple(x.shape[-2:]) != (self.size, self.size):
            x = F.interpolate(x, size=(self.size, self.size), mode="bilinear", align_corners=False)
        features: list[Tensor] = []
        for layer in self.layers:
            x = layer(F.leaky_relu(x, 0.2) if features else x)
            features.append(x)
        return features

    def head(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """(mu, logvar) from the last of `features`."""
        x = F.leaky_relu(feature, 0.2)
        if x.shape[-1] != self.grid:
            x = F.adaptive_avg_pool2d(x, self.grid)
        x = x.flatten(1)
        return self.fc_mu(x), self.fc_var(x)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.head(self.features(images)[-1])
