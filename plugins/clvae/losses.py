"""The regularisation of CLVAE (paper eq. 18; docs/papers/clvae.md, "Losses"); the other losses are SPADE's (`zoo.families.spade.trainer`)."""

from __future__ import annotations

from torch import Tensor

from zoo.nn.losses import kl_divergence
from zoo.nn.one_batch import batch_sum
from zoo_plugins.clvae.config import CLVAEOptions
from zoo_plugins.clvae.encoder import Codes


def class_divergence(codes: Codes, divisor: str) -> Tensor:
    """The class-wise term of eq. 18, [B]: KL summed over layers and classes, over the number of classes.

    divisor: "visible", those with a pixel at the layer in that image (the code); "mask", those of the image's mask (the paper).
    """
    mu, logvar = codes.class_mu.float(), codes.class_logvar.float()
    # entries that are not visible hold mu = logvar = 0, whose divergence is 0
    divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum(3)
    if divisor == "mask":
        return divergence.sum((1, 2)) / codes.present.sum(1)
    return (divergence.sum(1) / codes.visible.sum(1).clamp_min(1)).sum(1)


def divergence(codes: Codes, options: CLVAEOptions) -> Tensor:
    """Eq. 18, unweighted: the global KL plus `class_divergence`, summed over the batch (as in the code), or its mean."""
    total = kl_divergence(codes.mu, codes.logvar) + class_divergence(codes, options.kld_classes).sum()
    return total / len(codes.mu) if options.kld_mean else batch_sum(total)
