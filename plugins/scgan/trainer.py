"""Training of SC-GAN: the official two-step iteration, with the options of our small variant beside it."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo.plugin import Batch, Model, RngLike
from zoo_plugins.scgan.config import SCGANOptions
from zoo_plugins.scgan.discriminators import build_discriminator
from zoo_plugins.scgan.losses import GeneratorOutputs, scgan_generator_losses
from zoo_plugins.scgan.model import SCGAN


class SCGANTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (docs/papers/scgan.md, "Losses" and "Training").

    Random: as `GanTrainer`.
    """

    gan: SCGAN
    options: SCGANOptions

    def __init__(self, model: Model, options: SCGANOptions) -> None:
        super().__init__(model, options)

    def build_discriminator(self) -> nn.Module:
        return build_discriminator(self.gan.config, self.options, self.gan.label_input.channels)

    def opinion(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        if isinstance(self.discriminator, MultiscaleDiscriminator):
            return super().opinion(planes, images, outputs)
        return self.discriminator(images, planes, cast(GeneratorOutputs, outputs).logits)

    def outputs(self, planes: Tensor, z: Tensor | None) -> GeneratorOutputs:
        fake, plan = self.gan.generator(planes, z)
        return GeneratorOutputs(fake, svg_image=plan.svg_image, logits=plan.logits)

    def losses(self, outputs: Outputs, real: Tensor, on_fake: Opinion, on_real: Opinion) -> dict[str, Tensor]:
        made = cast(GeneratorOutputs, outputs)
        return scgan_generator_losses(made, real, on_fake, on_real, self.options, self.perceptual)

    def preview(self, batch: Batch, rng: RngLike) -> dict[str, Tensor]:
        """Map, photo, fake with the photo's style, fake with a random style, and the SVG's own picture."""
        plan = self.gan.layout(batch.maps).plan
        return super().preview(batch, rng) | {"svg": (plan.svg_image.float() + 1) / 2}
