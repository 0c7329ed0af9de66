"""CLADE behind the zoo's interface: semantic maps to photos; with a VAE one latent per image is its style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.folded import fold_family
from zoo.families.spade.layouts import PlanLayout
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.nn.init import init_xavier
from zoo.plugin import LabelSpace, SemanticMap
from zoo_plugins.clade.config import CladeConfig
from zoo_plugins.clade.generator import CLADEPlan, Generator
from zoo_plugins.clade.norms import fold_norms


@dataclass(eq=False)
class CladeLayout(PlanLayout):
    """The map (at the model's resolution), and at each scale its classes, edges and positions."""

    plan: CLADEPlan


class CLADE(LatentSynthesizer):
    """CLADE (TPAMI 2021). With `use_vae` the style is a tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian or the encoder;
    without it there is no style, and the images are functions of the map. Positions are computed of the map at the model's resolution.
    """

    title: ClassVar[str] = "CLADE"
    layout_type: ClassVar[type[PlanLayout]] = CladeLayout
    generator: Generator

    def __init__(self, config: CladeConfig, space: LabelSpace) -> None:
        super().__init__(config, space, config.channels or space.names)
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = None
        if config.use_vae:
            width = config.nef or config.ngf
            self.encoder = ConvEncoder(width, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
        self._set_styles()
        # the convolutions on positions do not start at zero: the official initialisation overwrites the zeros too
        init_xavier(self)

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def plan(self, small: SemanticMap) -> CLADEPlan:
        """The generator's plan, from class numbers instead of planes."""
        return self.generator.plan_values(self.label_input.values(small))

    def _fold(self) -> None:
        """Spectral norms folded, each norm one look-up with its batch norm inside, convolutions packed."""
        fold_family(self, self.generator)
        fold_norms(self.generator)
