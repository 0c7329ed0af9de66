"""How MUNIT's networks start (the authors' `weights_init`). Random: from torch's global generator; seed it for repeatable networks."""

from __future__ import annotations

import math

import torch
from torch import nn


@torch.no_grad()
def initialise(module: nn.Module, kind: str) -> None:
    """Weights of every convolution and linear layer, biases 0. kaiming: normal, std sqrt(2 / fan_in); gaussian: std 0.02; xavier: normal
    with gain sqrt(2); orthogonal with that gain; default: torch's own weights. Layers under spectral norm keep torch's own start
    (quirk: the authors' initialisation passes them by)."""
    for layer in module.modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        if kind == "kaiming":
            nn.init.kaiming_normal_(layer.weight, a=0, mode="fan_in")
        elif kind == "gaussian":
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif kind == "xavier":
            nn.init.xavier_normal_(layer.weight, gain=math.sqrt(2))
        elif kind == "orthogonal":
            nn.init.orthogonal_(layer.weight, gain=math.sqrt(2))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def start_discriminator(module: nn.Module) -> None:
    """As discriminators start whatever `init` says."""
    initialise(module, "gaussian")
