"""The losses of pix2pixHD (paper section 3.2 and equation 5; docs/papers/pix2pixhd.md, "Losses")."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.losses import Outputs
from zoo.families.spade.options import GanOptions
from zoo.nn.losses import feature_l1, gan_loss
from zoo.nn.perceptual import perceptual_loss


def summed_gan_loss(scores: list[Tensor], real: bool, mode: str, *, for_discriminator: bool) -> Tensor:
    """`gan_loss` summed over the scales, where others take their mean."""
    return gan_loss(scores, real, for_discriminator=for_discriminator, mode=mode) * len(scores)


def generator_losses(
    outputs: Outputs,
    real: Tensor,
    on_fake: Opinion,
    on_real: Opinion,
    options: GanOptions,
    network: nn.Module | None,
) -> dict[str, Tensor]:
    """All terms of the generator step, weighted, by name. real: [-1, 1]; network: the perceptual features, or None."""
    o, fake = options, outputs.fake
    losses = {"gan": summed_gan_loss(on_fake.scores, True, o.gan_mode, for_discriminator=False)}
    if o.lambda_feat:
        # by four layers, whatever their number: 1 officially
        losses["gan_feat"] = o.lambda_feat * 4 / o.n_layers_d * feature_l1(on_fake.features, on_real.features)
    if network is not None and o.lambda_perceptual:
        losses["perceptual"] = o.lambda_perceptual * perceptual_loss(network, fake, real)
    if o.lambda_l1:
        losses["l1"] = o.lambda_l1 * (fake - real).abs().mean()
    return losses


def discriminator_losses(on_fake: Opinion, on_real: Opinion, options: GanOptions) -> dict[str, Tensor]:
    """Both terms of the discriminator step, half of each."""
    mode = options.gan_mode
    return {
        "d_fake": summed_gan_loss(on_fake.scores, False, mode, for_discriminator=True) / 2,
        "d_real": summed_gan_loss(on_real.scores, True, mode, for_discriminator=True) / 2,
    }
