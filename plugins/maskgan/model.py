"""MaskGAN's dense mapping network behind the zoo's interface: a semantic map, painted in the style of a photo with its own map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.labels import LabelInput
from zoo.nn.resample import fit_photos
from zoo.plugin import (
    Asset,
    ImageSynthesizer,
    LabelSpace,
    Layout,
    PairData,
    RngLike,
    SemanticMap,
    Style,
    TrainingOptions,
    UsageError,
    as_rng,
)
from zoo_plugins.maskgan.blocks import init_convolutions
from zoo_plugins.maskgan.config import MaskGANConfig
from zoo_plugins.maskgan.fitting import drawn_codes, fit_prior, prior_fault
from zoo_plugins.maskgan.generator import Generator, Plan
from zoo_plugins.maskgan.inference import FoldedGenerator


@dataclass(eq=False)
class MaskGANLayout(PlanLayout):
    """The map (at the model's resolution) and what the network makes of it in front of the first style."""

    plan: Plan


class MaskGAN(ImageSynthesizer):
    """The dense mapping network (CVPR 2020).

    A style is the tensor `adain` [samples, layers, 2C]: the shifts and then the scales of each modulated norm. It is of the whole
    picture: there are no styles of single classes. It comes from a photo with its map, or from the asset `latent_prior`: a draw
    ("prior") or its mean ("mean"). Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to
    `resolution`; images come out at `resolution`.
    """

    title = "MaskGAN"
    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "latent_prior": Asset(
            "tensors",
            "Gaussian over the style encoder's codes of the training photos: mean [K], factor [K, K] (ours)",
            fault=prior_fault,
        )
    }
    config: MaskGANConfig
    generator: Generator

    def __init__(self, config: MaskGANConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1)
        self._channels = names
        self.generator = Generator(config, len(names))
        init_convolutions(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def styles(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A photo; prior and mean where there is the asset."""
        return frozenset({"photo", "prior", "mean"} if "latent_prior" in self.assets else {"photo"})

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`latent_prior` over the photos. Raises DataError for data without photos."""
        return fit_prior(cast(Any, self), data) if name == "latent_prior" else None

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, channels, H, W] at the model's resolution, on the model's device."""
        return self.label_input(self._small(semantic_map))

    def _small(self, semantic_map: SemanticMap) -> SemanticMap:
        return semantic_map.to(self.device).resize(self.resolution)

    def _plan(self, small: SemanticMap) -> Plan:
        if isinstance(self.generator, FoldedGenerator):
            return self.generator.plan_of(self.label_input.values(small), self.label_input.content)
        return self.generator.plan(self.label_input(small))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> MaskGANLayout:
        """What depends on the map alone, up to the first modulated norm: a third of the work. `reuse`: rows whose maps are equal are
        taken from it.

        Raises LabelError for a map of another label space.
        """
        small = self._small(semantic_map)
        old = reuse if isinstance(reuse, MaskGANLayout) else None
        plan = plan_with(old, small, lambda rows: self._plan(small[rows]))
        return old if old is not None and plan is old.plan else MaskGANLayout(small, plan)

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` one is drawn per map from `rng` (None: a fresh seed). Raises UsageError where counts or tensors do not fit,
        and where none can be drawn.
        """
        layout = semantic_map if isinstance(semantic_map, MaskGANLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        rows = self._rows(style if len(layout) == 1 else style.expand(len(layout)))
        return (self.generator.render(layout.plan, rows) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def _rows(self, style: Style) -> Tensor:
        """A style's numbers [samples, layers, 2C] on the model's device. Raises UsageError for the style of another model."""
        adain, shape = style.tensors.get("adain"), (len(self.config.style_layers), 2 * self.config.bottleneck)
        if adain is None or tuple(adain.shape[1:]) != shape:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(f"A style of this MaskGAN holds adain [samples, {shape[0]}, {shape[1]}], got {got}.")
        return adain.to(self.device)

    def style(self, adain: Tensor) -> Style:
        """A Style from the norms' parameters [samples, layers, 2C]."""
        return Style({"adain": adain}, {"adain": ("sample", "layer", "channel")}, (), self.config.style_layers)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """One style per map from the asset `latent_prior` (prior "fitted" or None), or its mean ("mean", nothing random).

        Random: `rng.normal("code")`. Raises UsageError for another prior, and without the asset.
        """
        if prior not in (None, "fitted", "mean"):
            raise UsageError(f"MaskGAN has no prior {prior!r}: expected fitted (the asset latent_prior) or mean.")
        if "latent_prior" not in self.assets:
            raise UsageError(
                'MaskGAN takes its style from a photo with its map (<<style="PHOTO::MASK.png">>); to draw styles it needs the asset'
                " latent_prior, which this model lacks (`zoo fit MODEL latent_prior --data …` makes it)."
            )
        count = len(semantic_map)
        source = None if prior == "mean" else as_rng(rng, count)
        codes = drawn_codes(self.assets["latent_prior"], source, count)
        adain = self.generator.enc_style.exact_parameters_of(codes)
        return self.style(adain.unflatten(1, (len(self.config.style_layers), -1)))

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """The style of photos [B, 3, H, W] in [0, 1] with their maps; another map of the same photo gives another style. Not random.

        Raises UsageError for maps of another count or size than their photos, LabelError for another label space.
        """
        check_photos(image, semantic_map)
        return self.style(self.generator.style(self.fit_image(image) * 2 - 1, self.planes(semantic_map)))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """The first convolution over a map as sums of its columns (`inference`)."""
        self.generator = FoldedGenerator(self.generator)
