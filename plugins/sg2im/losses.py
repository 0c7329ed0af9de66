"""Losses of sg2im (docs/papers/sg2im.md, "Losses")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

GanMode = Literal["gan", "lsgan", "wgan"]


def generator_loss(fake: Tensor, mode: GanMode) -> Tensor:
    """The mean over all scores of a fake: taken for real (gan, lsgan), or high (wgan)."""
    return -fake.mean() if mode == "wgan" else _towards(fake, 1.0, mode)


def discriminator_loss(real: Tensor, fake: Tensor, mode: GanMode) -> Tensor:
    """The means over all scores: real ones towards 1 and fakes towards 0, or (wgan) fakes low against real ones."""
    if mode == "wgan":
        return fake.mean() - real.mean()
    return _towards(real, 1.0, mode) + _towards(fake, 0.0, mode)


def _towards(scores: Tensor, target: float, mode: GanMode) -> Tensor:
    """Binary cross entropy of logits; lsgan: squares of the sigmoid's distance (the authors')."""
    targets = torch.full_like(scores, target)
    if mode == "gan":
        return F.binary_cross_entropy_with_logits(scores, targets)
    return F.mse_loss(scores.sigmoid(), targets)


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, share: Tensor, gamma: float = 1.0
) -> Tensor:
    """(|gradient| - gamma)^2 at share * real + (1 - share) * fake, mean over the batch, of a critic's mean score (no option uses it).

    share: [B, 1, 1, 1]; the authors draw it from N(0, 1).
    """
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    scores = critic(between).flatten(1).mean(1)
    (gradient,) = torch.autograd.grad(scores.sum(), between, create_graph=True)
    return ((gradient.flatten(1).norm(2, 1) - gamma) ** 2).mean()
