"""cIMLE behind the zoo's interface: semantic maps to photos, with a noise for every pixel as the style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from zoo.families.crn.synthesizer import CascadeSynthesizer, clipped
from zoo.families.spade.layouts import PlanLayout
from zoo.interfaces.models import as_map
from zoo.plugin import LabelSpace, Layout, RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.cimle.config import CIMLEConfig
from zoo_plugins.cimle.generator import Generator
from zoo_plugins.cimle.inference import FoldedGenerator


class CIMLEPlan(NamedTuple):
    """What depends on the map alone. labels: the planes of the map; in the inference form, what each first convolution makes of them."""

    labels: tuple[Tensor, ...]


@dataclass(eq=False)
class CIMLELayout(PlanLayout):
    """The map (at the model's resolution) and its planes."""

    plan: CIMLEPlan


class CIMLE(CascadeSynthesizer):
    """cIMLE (ICCV 2019). The style is a tensor `noise` [samples, noise, H, W] of the model's resolution, from N(0, I): two styles may be
    mixed, and the noise of a place may be kept while the map changes. A layer norm goes over the whole picture, so that noise that
    changes in one place changes all pixels a little.
    """

    title: ClassVar[str] = "cIMLE"
    layout_type: ClassVar[type[PlanLayout]] = CIMLELayout
    styles = frozenset({"prior", "mean"})
    config: CIMLEConfig
    generator: Generator

    def __init__(self, config: CIMLEConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.generator = Generator(config, self.label_input.channels)

    def _plan(self, small: SemanticMap) -> CIMLEPlan:
        if isinstance(self.generator, FoldedGenerator):
            return CIMLEPlan(self.generator.labels(self.label_input.values(small), self.label_input.content))
        return CIMLEPlan((self.label_input(small),))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` noise is drawn per map from `rng` (None: a fresh seed). Raises UsageError where counts or tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, CIMLELayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        noise = self.noise(style if len(layout) == 1 else style.expand(len(layout)))
        if isinstance(self.generator, FoldedGenerator):
            return clipped(self.generator.render(layout.plan.labels, noise)[:, 0])
        return clipped(self.generator(layout.plan.labels[0], noise)[:, 0])

    # --- styles ---------------------------------------------------------------------------------------------------

    @property
    def noise_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a style."""
        return self.config.noise, *self.resolution

    def noise(self, style: Style) -> Tensor:
        """A style's noise on the model's device. Raises UsageError for the style of another model."""
        noise = style.tensors.get("noise")
        if noise is None or tuple(noise.shape[1:]) != self.noise_shape:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(
                f"A style of this cIMLE holds noise [samples, {', '.join(map(str, self.noise_shape))}], got {got}."
            )
        return noise.to(self.device)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Noise per map: from N(0, I) (prior "normal" or None), or zeros ("mean", nothing random).

        Random: `rng.normal("noise")`. Raises UsageError for another prior.
        """
        count = len(semantic_map)
        if prior == "mean":
            return self.style(torch.zeros(count, *self.noise_shape))
        if prior not in (None, "normal"):
            raise UsageError(f"cIMLE has no prior {prior!r}: expected normal or mean.")
        return self.style(as_rng(rng, count).normal("noise", shape=self.noise_shape))

    def style(self, noise: Tensor) -> Style:
        """A Style from noise [samples, noise, H, W]."""
        return Style({"noise": noise}, {"noise": ("sample", "channel", "height", "width")})

    def _fold(self) -> None:
        """What the map gives each first convolution lies in the layout; kernels packed."""
        self.generator = FoldedGenerator(self.generator, self.config)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
