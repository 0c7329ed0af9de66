"""Training of CC-FPSE: SPADE's two-step iteration against the feature-pyramid discriminator."""

from __future__ import annotations

from torch import Tensor, nn

from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.fpse import FPSEDiscriminator
from zoo.families.spade.losses import Outputs
from zoo.families.spade.trainer import GanTrainer
from zoo_plugins.cc_fpse.config import CCFPSEOptions
from zoo_plugins.cc_fpse.model import CCFPSE


class CCFPSETrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the discriminator on a fresh fake (docs/papers/cc_fpse.md, "Training").

    Random: as `GanTrainer`.
    """

    gan: CCFPSE
    options: CCFPSEOptions

    def build_discriminator(self) -> nn.Module:
        if self.options.discriminator == "multiscale":
            return super().build_discriminator()
        return FPSEDiscriminator.of(self.gan.label_input, self.options)

    def opinion(self, planes: Tensor, images: Tensor, outputs: Outputs) -> Opinion:
        if isinstance(self.discriminator, FPSEDiscriminator):
            return self.discriminator.judge(images, planes)
        return super().opinion(planes, images, outputs)
