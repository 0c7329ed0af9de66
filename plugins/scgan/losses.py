"""The training losses of SC-GAN (paper section 3.3; docs/papers/scgan.md, "Losses"), weighted: SPADE's, and that of the SVG's own picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade import losses as spade
from zoo.families.spade.discriminators import Opinion
from zoo.nn.perceptual import perceptual_loss
from zoo.plugin import ConfigError
from zoo_plugins.scgan.config import SCGANOptions


@dataclass
class GeneratorOutputs(spade.Outputs):
    """svg_image: [B, 3, H, W] in [-1, 1]; logits: the SVG's, per scale [B, n, h, w], coarsest first."""

    svg_image: Tensor | None = None
    logits: Sequence[Tensor] = ()


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


def scgan_generator_losses(
    outputs: GeneratorOutputs,
    real: Tensor,
    on_fake: Opinion,
    on_real: Opinion,
    options: SCGANOptions,
    network: nn.Module | None,
) -> dict[str, Tensor]:
    """All terms of the generator step, weighted, by name. real: [-1, 1]; network: the perceptual features, or None."""
    losses = spade.generator_losses(outputs, real, on_fake, on_real, options, network)
    if options.lambda_recon and outputs.svg_image is not None:
        distance = svg_reconstruction(outputs.svg_image, real, options.recon_loss, network)
        losses["w_recon"] = options.lambda_recon * distance
    return losses
