"""SC-GAN behind the zoo's interface: semantic maps to photos, with one latent per image as its style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.layouts import PlanLayout
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.nn.init import init_xavier
from zoo.nn.labels import background_last
from zoo.plugin import LabelSpace
from zoo_plugins.scgan.config import SCGANConfig
from zoo_plugins.scgan.generator import Generator, SCGANPlan


@dataclass(eq=False)
class SCGANLayout(PlanLayout):
    """The map (at the model's resolution) and what the generator derives from it: semantic vectors, SVG image, SPADE scales."""

    plan: SCGANPlan


class SCGAN(LatentSynthesizer):
    """SC-GAN (ICCV 2021). Style: tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian or the encoder.

    A config without VAE has no style; its images are functions of the map.
    """

    title: ClassVar[str] = "SC-GAN"
    layout_type: ClassVar[type[PlanLayout]] = SCGANLayout

    def __init__(self, config: SCGANConfig, space: LabelSpace) -> None:
        names = config.channels or (background_last(space) if config.background_last else space.names)
        super().__init__(config, space, names)
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = None
        if config.use_vae:
            self.encoder = ConvEncoder(config.nef, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
        self._set_styles()
        init_xavier(self)

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def _fold(self) -> None:
        """Spectral norms folded, one convolution per SCC, SCN and SPADE folded with their norms."""
        from zoo_plugins.scgan.inference import fold_generator

        fold_generator(self)
