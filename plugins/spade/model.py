"""SPADE behind the zoo's interface: semantic maps to photos; with a VAE one latent per image is its style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.folded import fold_family
from zoo.families.spade.layouts import PlanLayout
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.families.spade.window_plans import WindowPlan
from zoo.nn.init import init_xavier
from zoo.plugin import LabelSpace
from zoo_plugins.spade.config import SpadeConfig
from zoo_plugins.spade.generator import Generator, SPADEPlan


@dataclass(eq=False)
class SpadeLayout(PlanLayout):
    """The map (at the model's resolution) and the scales and shifts that it gives every norm."""

    plan: SPADEPlan | WindowPlan


class SPADE(LatentSynthesizer):
    """SPADE (CVPR 2019). With `use_vae` (GauGAN-VAE) the style is a tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian
    or the encoder; without it there is no style, and the images are functions of the map.
    """

    title: ClassVar[str] = "SPADE"
    layout_type: ClassVar[type[PlanLayout]] = SpadeLayout

    def __init__(self, config: SpadeConfig, space: LabelSpace) -> None:
        super().__init__(config, space, config.channels or space.names)
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = None
        if config.use_vae:
            width = config.nef or config.ngf
            self.encoder = ConvEncoder(width, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
        self._set_styles()
        # quirk left out: on a GPU the official initialisation never reaches spectrally normalised weights (docs/papers/spade.md, "Quirks left out")
        init_xavier(self)

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def _fold(self) -> None:
        """Spectral norms folded, each SPADE one convolution with its batch norm inside."""
        fold_family(self, self.generator)
