"""The training losses of SC-GAN (paper section 3.4, dossier section 6), weighted."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo.nn.losses import feature_matching, gan_loss, kl_divergence
from zoo.nn.perceptual import perceptual_loss
from zoo_plugins.scgan.config import SCGANOptions

Scales = list[list[Tensor]]


class GeneratorOutputs(NamedTuple):
    """fake and svg_image: [B, 3, H, W] in [-1, 1]; mu, logvar: [B, z_dim], None without VAE."""

    fake: Tensor
    svg_image: Tensor
    mu: Tensor | None
    logvar: Tensor | None


def svg_reconstruction(svg_image: Tensor, real: Tensor, kind: str, network: nn.Module | None) -> Tensor:
    """L_s, Eq. 10: distance of the SVG's own picture to the photo. kind: l1, l2 (means) or vgg (perceptual)."""
    if kind == "l1":
        return F.l1_loss(svg_image, real)
    if kind == "l2":
        return F.mse_loss(svg_image, real)
    if network is None:
        raise ConfigError(
            "recon_loss=vgg needs a perceptual network: set perceptual=vgg or a parser, or recon_loss=l1."
        )
    return perceptual_loss(network, svg_image, real)


def generator_losses(
    outputs: GeneratorOutputs,
    real: Tensor,
    pred_fake: Scales,
    pred_real: Scales,
    options: SCGANOptions,
    network: nn.Module | None,
) -> dict[str, Tensor]:
    """All terms of the generator step, weighted, by name. real: [-1, 1]; network: the perceptual features, or None."""
    o = options
    losses = {"gan": gan_loss(pred_fake, True, for_discriminator=False, mode=o.gan_mode)}
    if outputs.mu is not None and outputs.logvar is not None:
        kld = kl_divergence(outputs.mu, outputs.logvar)
        losses["kld"] = o.lambda_kld * (kld / len(real) if o.kld_mean else kld)
    if o.lambda_feat:
        losses["gan_feat"] = o.lambda_feat * feature_matching(pred_fake, pred_real)
    if o.lambda_recon:
        losses["w_recon"] = o.lambda_recon * svg_reconstruction(outputs.svg_image, real, o.recon_loss, network)
    if network is not None and o.lambda_perceptual:
        losses["perceptual"] = o.lambda_perceptual * perceptual_loss(network, outputs.fake, real)
    if o.lambda_l1:
        losses["l1"] = o.lambda_l1 * F.l1_loss(outputs.fake, real)
    return losses


def discriminator_losses(pred_fake: Scales, pred_real: Scales, options: SCGANOptions) -> dict[str, Tensor]:
    """Both terms of the discriminator step."""
    return {
        "d_fake": gan_loss(pred_fake, False, for_discriminator=True, mode=options.gan_mode),
        "d_real": gan_loss(pred_real, True, for_discriminator=True, mode=options.gan_mode),
    }
