"""Latents of VAEs."""

from __future__ import annotations

import torch
from torch import Tensor


def reparameterize(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
    """z = mu + eps * exp(logvar / 2) for given standard normal eps, all of one shape; float32 (Kingma and Welling 2014, 2.4)."""
    return mu.float() + eps * torch.exp(0.5 * logvar.float())
