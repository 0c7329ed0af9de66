"""Losses of mask-vae: KL, weighted cross entropy and its class weights (paper eq. 1-3)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from zoo.nn.losses import pixel_weights
from zoo.nn.one_batch import batch_mean
from zoo.plugin import UsageError


def mean_kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL to N(0, I): summed over parts and dimensions, mean over the batch. mu, log_var [B, P, E] -> scalar, float32."""
    mu, log_var = mu.float(), log_var.float()
    return -0.5 * (1 + log_var - mu.square() - log_var.exp()).flatten(1).sum(1).mean()


def weighted_cross_entropy(
    logits: Tensor, target: Tensor, weights: Tensor | None = None, *, reduction: str = "mean"
) -> Tensor:
    """Cross entropy of [B, C, H, W] logits against integer channels [B, H, W] (255: no label) -> scalar, float32.

    `mean` is the code's: sum(w_y * nll) / sum(w_y) over the batch. `sum` is the paper's eq. 2: the weighted sum, per sample.
    """
    logits = logits.float()
    if reduction == "sum":
        return F.cross_entropy(logits, target, weights, ignore_index=255, reduction="sum") / len(logits)
    loss = F.cross_entropy(logits, target, weights, ignore_index=255)
    return batch_mean(loss, lambda: pixel_weights(target.masked_fill(target == 255, -100), weights).sum())


def frequency_weights(counts: Tensor) -> Tensor:
    """Paper eq. 1: w_c = 1 - share of class c, from pixel counts [C] (maps of one size) -> [C] float32.

    The shipped constants (`config.CLASS_WEIGHTS`) do not follow it exactly; see docs/papers/mask_vae.md, "Class weights".
    """
    return (1 - _shares(counts)).float()


def power_weights(counts: Tensor, power: float = 0.5, least: float = 1e-3) -> Tensor:
    """share of class c to the power of -`power`, shares below `least` counted as `least`, scaled to a mean of 1 over the pixels (ours)."""
    shares = _shares(counts)
    weights = shares.clamp(min=least).pow(-power)
    return (weights / (weights * shares).sum()).float()


def _shares(counts: Tensor) -> Tensor:
    if not bool(counts.sum() > 0):
        raise UsageError("Class weights from frequencies need at least one labeled pixel.")
    return counts.double() / counts.sum()
