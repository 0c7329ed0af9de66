"""CA2SIS behind the zoo's interface: semantic maps to photos, with a style per class and scale that a photo gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.init import init_xavier
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
)
from zoo_plugins.ca2sis.attention import StyleAttention
from zoo_plugins.ca2sis.config import CA2SISConfig
from zoo_plugins.ca2sis.fitting import fit_mean_style, mean_style_fault
from zoo_plugins.ca2sis.generator import CA2SISPlan, Generator
from zoo_plugins.ca2sis.style_encoder import StyleEncoder


@dataclass(eq=False)
class CA2SISLayout(PlanLayout):
    """The map (at the model's resolution) and what the generator derives from it alone."""

    plan: CA2SISPlan


class CA2SIS(ImageSynthesizer):
    """The bundled synthesizer of Semantic-VAE. Style: `tokens` [samples, classes, scales, style_dim] in (-1, 1), the coarsest
    scale first; `present` says which classes the photo showed.

    Nothing is random. A style comes from a photo with its map; "mean" is the average of the training photos (asset
    `mean_style`), and there is no prior. Classes that the layout shows and the style lacks get the tokens that the style
    encoder has for absent classes (as in the authors' demo). Maps of another size are resized (nearest, pixel centres) and
    photos too (bicubic, antialiased) to `resolution`; images come out at `resolution`.
    """

    title = "CA2SIS"
    partial_styles = True
    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "mean_style": Asset("tensors", "mean tokens [classes, scales, style_dim] of the training photos, and photos per class",
                            fault=mean_style_fault)
    }  # fmt: skip

    def __init__(self, config: CA2SISConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1 if space.ignore else None)
        self._channels = names
        parts = tuple(i for i, name in enumerate(names) if name != space.background)
        self.generator = Generator(config, parts)
        self.encoder = StyleEncoder(config, self.label_input.channels)
        init_xavier(self)
        for layer in self.modules():
            if isinstance(layer, StyleAttention):
                layer.zero()

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.resolution, self.config.resolution

    @property
    def styles(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A photo; the mean where the asset is there."""
        return frozenset({"photo", "mean"} if "mean_style" in self.assets else {"photo"})

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the style's scales by their share of the picture's side."""
        return tuple(f"1/{2 ** (self.config.scales - i)}" for i in range(self.config.scales))

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`mean_style` over the photos. Raises DataError for data without photos."""
        return fit_mean_style(self, data) if name == "mean_style" else None

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, classes, H, W] at the model's resolution, on the model's device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> CA2SISLayout:
        """Layout codes and the first features. `reuse`: rows whose maps are equal are taken from it.

        Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        old = reuse if isinstance(reuse, CA2SISLayout) else None
        plan = plan_with(old, small, lambda rows: self.generator.plan(self.label_input(small[rows])))
        return old if old is not None and plan is old.plan else CA2SISLayout(small, plan)

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1] (clipped); a single map (or layout) serves a style of any number of samples.

        Not random, `rng` is not used. Without `style` the mean is taken where the asset is there. Raises UsageError without
        both, and where counts or tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, CA2SISLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map)
        if len(layout) != 1:
            style = style.expand(len(layout))
        return ((self.generator.render(layout.plan, self.tokens(style)) + 1) / 2).float().clamp(0, 1)

    # --- styles ---------------------------------------------------------------------------------------------------

    def tokens(self, style: Style) -> Tensor:
        """The context of the generator's attention [samples, classes, scales * style_dim], absent classes filled in.

        Raises UsageError for the style of another model.
        """
        tokens, c = style.tensors.get("tokens"), self.config
        shape = (len(self.channels), c.scales, c.style_dim)
        if tokens is None or tuple(tokens.shape[1:]) != shape or style.classes != self.channels:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(
                f"A style of this CA2SIS holds tokens [samples, {', '.join(map(str, shape))}] of its classes, got {got}."
            )
        tokens = tokens.to(self.device)
        if style.present is not None:
            tokens = torch.where(style.present.to(self.device)[:, :, None, None], tokens, self.encoder.absent())
        return tokens.flatten(2)

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """The tokens of photos [B, 3, H, W] in [0, 1] and of the classes that their maps show; others are absent. Not random.

        Raises UsageError for maps of another count or size than their photos, LabelError for another label space.
        """
        check_photos(image, semantic_map)
        planes = self.planes(semantic_map)
        present = planes.flatten(2).any(2)
        return self.style(self.encoder(self.fit_image(image) * 2 - 1, planes).float(), present)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """The mean of the training photos for each map (prior "mean" or None), classes that none of them showed absent.

        Not random. Raises UsageError for any other prior, which CA2SIS does not have, and without the asset `mean_style`.
        """
        if prior not in (None, "mean"):
            raise UsageError(
                f'CA2SIS has no prior {prior!r}: its style comes from a photo (<<style="PHOTO::MASK.png">>).'
            )
        if "mean_style" not in self.assets:
            raise UsageError(
                'CA2SIS takes its style from a photo (<<style="PHOTO::MASK.png">>): it has no prior, and no asset mean_style'
                " (`zoo fit MODEL mean_style --data …` makes it)."
            )
        mean = self.assets["mean_style"]
        count = len(semantic_map)
        tokens = mean["tokens"].float().cpu()
        present = mean["photos"].cpu() > 0
        return self.style(tokens.expand(count, *tokens.shape).clone(), present.expand(count, -1).clone())

    def style(self, tokens: Tensor, present: Tensor | None = None) -> Style:
        """A Style from tokens [samples, classes, scales, style_dim]; absent entries become zeros."""
        if present is not None:
            tokens = tokens * present[:, :, None, None]
        axes = {"tokens": ("sample", "class", "layer", "channel")}
        return Style({"tokens": tokens}, axes, self.channels, self.layers, present)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """Queries meet the few tokens' keys before the pixels, feed-forwards go some pixels at a time, the layout's linear layer
        sums one column per pixel. A quarter faster on a CPU (equal within 1e-5)."""
        from zoo_plugins.ca2sis.inference import fold_generator

        fold_generator(self)
