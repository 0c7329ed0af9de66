"""CC-FPSE behind the zoo's interface: semantic maps to photos; with a VAE one latent per image is its style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.layouts import PlanLayout, plan_with
from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.interfaces.models import Layout
from zoo.maps import SemanticMap
from zoo.nn.init import init_xavier
from zoo.plugin import LabelSpace
from zoo_plugins.cc_fpse.config import CCFPSEConfig
from zoo_plugins.cc_fpse.generator import CCFPSEPlan, Generator

KEPT = 3 << 28
"""Numbers (3 GB in float32) up to which a layout keeps what its maps predict; it is predicted anew for every picture beyond. One
official map of 256 px has a third of that, one of Cityscapes two thirds."""


@dataclass(eq=False)
class CCFPSELayout(PlanLayout):
    """The map (at the model's resolution) and what the blocks read of it, or all that they predict. kept: which of the two."""

    plan: CCFPSEPlan
    kept: bool = False


class CCFPSE(LatentSynthesizer):
    """CC-FPSE (NeurIPS 2019). With `use_vae` the style is a tensor `z` [samples, z_dim], from N(0, I), a fitted Gaussian or the
    encoder; without it there is no style, and the images are functions of the map.
    """

    title: ClassVar[str] = "CC-FPSE"
    layout_type: ClassVar[type[PlanLayout]] = CCFPSELayout
    generator: Generator

    def __init__(self, config: CCFPSEConfig, space: LabelSpace) -> None:
        super().__init__(config, space, config.channels or space.names)
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = None
        if config.use_vae:
            width = config.nef or config.ngf
            self.encoder = ConvEncoder(width, config.z_dim, size=config.encoder_size, norm=config.encoder_norm)
        self._set_styles()
        # quirk left out: on a GPU the official initialisation never reaches spectrally normalised weights (docs/papers/spade.md, "Quirks left out")
        init_xavier(self, norms=0.02)

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> CCFPSELayout:
        """All that the generator derives from the map alone: what the blocks predict, or of many or large maps (`KEPT`) what they
        predict it from. `reuse`: rows whose maps are equal are taken from it.

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        inputs, kept = self.label_input, self.generator.predicted * len(semantic_map) <= KEPT
        old = reuse if isinstance(reuse, CCFPSELayout) and kept and reuse.kept else None
        plan = plan_with(
            old, small, lambda rows: self.generator.plan(inputs(small[rows]), keep=kept), edges=inputs.edges
        )
        return old if old is not None and plan is old.plan else CCFPSELayout(small, plan, inputs.notes(small), kept)

    def _fold(self) -> None:
        """Spectral and batch norms of the pyramid folded; a block's hidden layers are one, its kernels by taps."""
        from zoo_plugins.cc_fpse.inference import fold_generator

        fold_generator(self, self.generator)
