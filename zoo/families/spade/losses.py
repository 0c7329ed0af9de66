"""What a forward of the generator gives its losses, and the losses of SPADE's two steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.options import GanOptions
from zoo.nn.losses import feature_l1, gan_loss, kl_divergence
from zoo.nn.one_batch import batch_sum
from zoo.nn.perceptual import VGG_WEIGHTS, perceptual_loss


@dataclass
class Outputs:
    """fake: [B, 3, H, W] in [-1, 1]; mu, logvar: [B, z_dim], None without VAE; weights: [B, 1, H, W] of the perceptual loss's
    pixels, None for 1; own: how many of B, the first ones, have their photo's style (None: all). Subclasses add what their losses
    need."""

    fake: Tensor
    mu: Tensor | None = None
    logvar: Tensor | None = None
    weights: Tensor | None = None
    own: int | None = None


def generator_losses(
    outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion, options: GanOptions, network: nn.Module | None,
    *, vgg_weights: Sequence[float] = VGG_WEIGHTS,
) -> dict[str, Tensor]:  # fmt: skip
    """All terms of the generator step, weighted, by name. real: [-1, 1]; network: the perceptual features, or None; vgg_weights: of
    its features where it is VGG."""
    o, own = options, slice(outputs.own)
    fake, real = outputs.fake[own], real[own]
    gan = on_fake.verdict
    if gan is None:
        gan = gan_loss(on_fake.scores, True, for_discriminator=False, mode=o.gan_mode)
    losses = {"gan": gan}
    if outputs.mu is not None and outputs.logvar is not None:
        kld = kl_divergence(outputs.mu, outputs.logvar)
        losses["kld"] = o.lambda_kld * (kld / len(real) if o.kld_mean else batch_sum(kld))
    if o.lambda_feat and on_fake.features:  # a discriminator of another system may have none
        losses["gan_feat"] = o.lambda_feat * feature_l1(
            *([[f[own] for f in g] for g in on.features] for on in (on_fake, on_real))
        )
    if network is not None and o.lambda_perceptual:
        losses["perceptual"] = o.lambda_perceptual * perceptual_loss(
            network, fake, real, None if outputs.weights is None else outputs.weights[own], vgg_weights=vgg_weights
        )
    if o.lambda_l1:
        losses["l1"] = o.lambda_l1 * F.l1_loss(fake, real)
    return losses


def discriminator_losses(on_fake: Opinion, on_real: Opinion, options: GanOptions) -> dict[str, Tensor]:
    """Both terms of the discriminator step (their sum, no 1/2)."""
    return {
        "d_fake": gan_loss(on_fake.scores, False, for_discriminator=True, mode=options.gan_mode),
        "d_real": gan_loss(on_real.scores, True, for_discriminator=True, mode=options.gan_mode),
    }
