"""Weight initialisations that several systems share."""

from __future__ import annotations

import torch
from torch import nn

from zoo.nn.spectral import SpectralMixin


@torch.no_grad()
def init_xavier(module: nn.Module, gain: float = 0.02, *, norms: float = 0.0) -> None:
    """Xavier-normal weights (std gain * sqrt(2 / (fan_in + fan_out))) and zero biases in every convolution and linear layer.

    norms: standard deviation of the scales of batch norms around 1; 0: they stay as they are.

    Random: from torch's global generator, as all initialisation here; seed it for repeatable networks.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if isinstance(layer, SpectralMixin):
                layer.begin()
        elif norms and isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, norms)
            nn.init.zeros_(layer.bias)


@torch.no_grad()
def init_normal(module: nn.Module, std: float = 0.02, *, zero_biases: bool = False) -> None:
    """pix2pixHD's start: weights of all convolutions from N(0, std), scales of batch norms from N(1, std) with zero shifts.

    Biases of convolutions keep torch's own start, as in the authors' code. zero_biases: linear layers too, all biases 0, and batch norms
    as they are (DMIT's). Random: from torch's global generator.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)) or (zero_biases and isinstance(layer, nn.Linear)):
            nn.init.normal_(layer.weight, 0.0, std)
            if zero_biases and layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if isinstance(layer, SpectralMixin):
                layer.begin()
        elif zero_biases:
            continue
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, std)
            nn.init.zeros_(layer.bias)
