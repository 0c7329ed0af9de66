"""Weight initialisation of the SPADE family."""

from __future__ import annotations

import torch
from torch import nn

from zoo.nn.spectral import SpectralMixin


@torch.no_grad()
def init_xavier(module: nn.Module, gain: float = 0.02) -> None:
    """Xavier-normal weights (std gain * sqrt(2 / (fan_in + fan_out))) and zero biases in every convolution and linear layer.

    Random: from torch's global generator, as all initialisation here; seed it for repeatable networks.
    """
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.xavier_normal_(layer.weight, gain)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
            if isinstance(layer, SpectralMixin):
                layer.begin()
