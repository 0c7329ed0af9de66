"""The networks of MaskVAE: a convolutional encoder to one code per map, and a decoder to class scores. Nothing in here is random."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.maskgan.vae_config import GRID, MaskVAEConfig

SLOPE = 0.2
DECODER_EPS = 1e-3
"""Quirk: the decoder's batch norms have another eps than the encoder's 1e-5."""


class MapEncoder(nn.Module):
    """One-hot planes [B, classes, side, side] -> mean and log variance of the code, each [B, latent]."""

    def __init__(self, config: MaskVAEConfig, classes: int) -> None:
        super().__init__()
        self.classes = classes
        widths = [classes, *(config.ndf << i for i in range(config.halvings))]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, d, 4, 2, 1), nn.BatchNorm2d(d), nn.LeakyReLU(SLOPE)) for c, d in pairwise(widths)
        )
        self.mu, self.log_var = (nn.Linear(widths[-1] * GRID**2, config.latent) for _ in range(2))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        x = planes.to(self.mu.weight.dtype)
        for layer in self.layers:
            x = layer(x)
        x = x.flatten(1)
        return self.mu(x), self.log_var(x)

    def of_channels(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The same from channels int64 [B, side, side]."""
        return self(planes_of(numbers, self.classes))


class MapDecoder(nn.Module):
    """Codes [B, latent] -> class scores [B, classes, side, side], no activation at the end."""

    def __init__(self, config: MaskVAEConfig, classes: int) -> None:
        super().__init__()
        widths = [config.ngf << i for i in reversed(range(config.halvings))]
        self.start = nn.Linear(config.latent, widths[0] * GRID**2)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c, d, 3), nn.BatchNorm2d(d, eps=DECODER_EPS), nn.LeakyReLU(SLOPE))
            for c, d in pairwise(widths)
        )
        self.out: nn.Module = nn.Conv2d(widths[-1], classes, 3)

    def spread(self, z: Tensor) -> Tensor:
        """The coarsest features [B, ngf * 2**(halvings - 1), 4, 4]; quirk: ReLU and no norm here."""
        return F.relu(self.start(z.to(self.start.weight.dtype))).unflatten(1, (-1, GRID, GRID))

    def forward(self, z: Tensor) -> Tensor:
        x = self.spread(z)
        for layer in self.layers:
            x = layer(doubled(x))
        return self.out(doubled(x)).float()


def planes_of(numbers: Tensor, classes: int) -> Tensor:
    """Channels int64 [B, H, W] -> one-hot planes float32 [B, classes, H, W]."""
    return F.one_hot(numbers, classes).permute(0, 3, 1, 2).float()


def doubled(x: Tensor) -> Tensor:
    """Twice the side by the nearest pixel, and the border repeated once more around it."""
    return F.pad(F.interpolate(x, scale_factor=2.0, mode="nearest"), (1, 1, 1, 1), mode="replicate")
