"""The inference form of DMIT: spectral norms folded, convolutions laid out for the CPU's kernels."""

from __future__ import annotations

import torch
from torch import nn

from zoo.inference.packed import pack
from zoo.nn.spectral import fold_spectral


@torch.no_grad()
def fold(model: nn.Module) -> None:
    """Fold a model in evaluation mode in place; outputs are the plain model's to rounding."""
    fold_spectral(model)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d | nn.ConvTranspose2d):
                setattr(module, name, pack(child))
