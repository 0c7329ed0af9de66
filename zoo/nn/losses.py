"""Losses that several systems share: GAN objectives, feature matching, KL divergence. All return 0-d tensors, unweighted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import ConfigError

Scores = Tensor | Sequence["Tensor | Sequence[Tensor]"]


def _hinge(scores: Tensor, real: bool, for_discriminator: bool) -> Tensor:
    if for_discriminator:
        return F.relu(1 - scores if real else 1 + scores).mean()
    if not real:
        raise ValueError("The generator's hinge loss is defined for the target 'real' only.")
    return -scores.mean()


def _least_squares(scores: Tensor, real: bool, for_discriminator: bool) -> Tensor:
    return (scores - float(real)).square().mean()


def _original(scores: Tensor, real: bool, for_discriminator: bool) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, float(real)))


def _wasserstein(scores: Tensor, real: bool, for_discriminator: bool) -> Tensor:
    return -scores.mean() if real else scores.mean()


_MODES: dict[str, Callable[[Tensor, bool, bool], Tensor]] = {
    "hinge": _hinge, "ls": _least_squares, "original": _original, "w": _wasserstein,
}  # fmt: skip


def gan_loss(scores: Scores, real: bool, *, for_discriminator: bool, mode: str = "hinge") -> Tensor:
    """Adversarial loss towards "real" or "fake".

    scores: one score map, or one entry per scale; an entry that is a list of layer outputs counts by its last one.
    Mean over the pixels of a scale, then mean over the scales. mode: hinge | ls | original (cross entropy) | w.
    """
    if mode not in _MODES:
        raise ConfigError(f"GAN mode {mode!r}: expected one of {', '.join(_MODES)}.")
    if isinstance(scores, Tensor):
        return _MODES[mode](scores.float(), real, for_discriminator)
    last = [s if isinstance(s, Tensor) else s[-1] for s in scores]
    return torch.stack([_MODES[mode](s.float(), real, for_discriminator) for s in last]).mean()


def feature_matching(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """L1 between the discriminator's inner layers (all but the last output) on fake and real, no gradient to the real side.

    Mean within a layer, sum over layers, mean over scales (pix2pixHD; SPADE's and SC-GAN's multi-scale form).
    """
    return feature_l1([scale[:-1] for scale in fake], [scale[:-1] for scale in real])


def feature_l1(fake: Sequence[Sequence[Tensor]], real: Sequence[Sequence[Tensor]]) -> Tensor:
    """`feature_matching` where all given layers count: mean within a layer, sum over a group's layers, mean over groups."""
    terms = [
        F.l1_loss(f.float(), r.detach().float())
        for fake_group, real_group in zip(fake, real, strict=True)
        for f, r in zip(fake_group, real_group, strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mu, exp(logvar)) || N(0, I)), summed over dimensions and over the batch (as SPADE's code has it)."""
    mu, logvar = mu.float(), logvar.float()
    return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()


def weighted_feature_l1(fake: Sequence[Tensor], real: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """sum_k w_k * mean |fake_k - real_k|, no gradient to the real side: the perceptual loss's sum over layers."""
    terms = [w * F.l1_loss(f.float(), r.detach().float()) for f, r, w in zip(fake, real, weights, strict=True)]
    return torch.stack(terms).sum()


def pixel_weights(labels: Tensor, weights: Tensor | None) -> Tensor:
    """What each pixel counts in a weighted cross entropy: the weight of its class (None: 1), 0 for labels below 0; float32 as `labels`."""
    known = (labels >= 0).float()
    return known if weights is None else weights[labels.clamp_min(0)].float() * known
