"""Losses of SegVAE (docs/papers/segvae.md, "Losses"): KL between posterior and prior, and the shape term, per class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-8


def gaussian_kl(mu1: Tensor, log_var1: Tensor, mu2: Tensor, log_var2: Tensor) -> Tensor:
    """KL(N1 || N2) per sample [B], summed over Z; all arguments [B, Z]. The two epsilons of 1e-8 are the code's."""
    s1, s2 = torch.exp(0.5 * log_var1), torch.exp(0.5 * log_var2)
    spread = (torch.exp(log_var1) + (mu1 - mu2) ** 2) / (2 * torch.exp(log_var2) + EPS)
    return (torch.log(s2 / s1 + EPS) + spread - 0.5).sum(1)


def standard_kl(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N || N(0, I)) per sample [B], summed over Z: for the models without learned prior."""
    return -0.5 * (1 + log_var - mu**2 - torch.exp(log_var)).sum(1)


def shape_difference(logits: Tensor, target: Tensor, kind: str = "l1") -> Tensor:
    """Mean over the pixels, per sample [B]: |sigmoid(logits) - target| ("l1", official), or binary cross entropy ("bce", ours).

    logits, target: [B, 1, R, R]; target in [0, 1].
    """
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)
    return (torch.sigmoid(logits) - target).abs().flatten(1).mean(1)
