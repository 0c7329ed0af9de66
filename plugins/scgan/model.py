"""SC-GAN behind the zoo's interface: semantic maps to photos, with one latent per image as its style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.layouts import PlanLayout
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.interfaces.models import Layout
from zoo.maps import SemanticMap
from zoo.nn.init import init_xavier
from zoo.nn.labels import background_last
from zoo.plugin import LabelSpace
from zoo_plugins.scgan.config import SCGANConfig
from zoo_plugins.scgan.generator import Generator, SCGANPlan
from zoo_plugins.scgan.tiled_plan import TiledPlan, plan_map


@dataclass(eq=False)
class SCGANLayout(PlanLayout):
    """The map (at the model's resolution) and what the generator derives from it: semantic vectors, SVG image, SPADE scales."""

    plan: SCGANPlan | TiledPlan


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

        fold_generator(self, self.generator)

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> PlanLayout:
        """As the base class's; a batch that differs in some pixels takes from `reuse` what these do not reach."""
        if not self.generator.tiled:
            return super().layout(semantic_map, reuse=reuse)
        small = semantic_map.to(self.device).resize(self.resolution)
        old = reuse if isinstance(reuse, SCGANLayout) and reuse.semantic_map.space.names == small.space.names else None
        before = old.plan if old is not None and isinstance(old.plan, TiledPlan) else None
        inputs = self.label_input
        plan = plan_map(self.generator, inputs.values(small), inputs.edges, inputs.content, before)
        return old if old is not None and plan is before else SCGANLayout(small, plan, inputs.notes(small))
