"""SEAN behind the zoo's interface: semantic maps to photos, with a style code per class that a photo gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.families.spade.mean_styles import class_mean_fault, fit_class_means
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
    as_rng,
)
from zoo_plugins.sean import styles
from zoo_plugins.sean.config import SEANConfig
from zoo_plugins.sean.generator import Generator, plan_by_window
from zoo_plugins.sean.style_encoder import Codes, StyleEncoder

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


@dataclass(eq=False)
class SEANLayout(PlanLayout):
    """The map (at the model's resolution), the scales and shifts that it gives every norm, and its regions."""


def mean_style_fault(model: Any, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be a mean style, or ""."""
    return class_mean_fault(tensors, "codes", (model.label_input.channels, model.config.style_dim))


class SEAN(ImageSynthesizer):
    """SEAN (CVPR 2020). Style: `codes` [samples, classes, layers, style_dim] in (-1, 1), a layer for each styled block from the
    coarsest; `present` says which classes the photo showed. With instance edges also `edges` [samples, layers, style_dim].

    A style comes from a photo with its map; "mean" is the average of the training photos (asset `mean_style`), and there is no
    prior. Classes that a map shows and the style lacks take the mean where the asset has them, else zeros (what the authors' code
    does where it has no mean). Random: the noise of every norm, in evaluation too, from the style's `rng` or else the call's. Maps of
    another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come out at it.
    """

    title: ClassVar[str] = "SEAN"
    partial_styles = True
    draws_noise = True
    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "mean_style": Asset("tensors", "mean style codes [planes, style_dim] of the training photos, and photos per plane",
                            fault=mean_style_fault)
    }  # fmt: skip

    def __init__(self, config: SEANConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        ignore = len(names) - 1 if space.ignore else None
        self.label_input = LabelInput(space, names, ignore_channel=ignore, edges=config.edges)
        self._channels = names
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = StyleEncoder(config)
        # quirk left out: on a GPU the official initialisation never reaches spectrally normalised weights (docs/papers/spade.md, "Quirks left out")
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def styles(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A photo; the mean where the asset is there."""
        return frozenset({"photo", "mean"} if "mean_style" in self.assets else {"photo"})

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`mean_style` over the photos: the authors' mean codes. Raises DataError for data without photos."""
        return fit_class_means(data, "codes", self.encode, self.title) if name == "mean_style" else None

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.sean.exporting import exports

        return exports(self)

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, planes, H, W] at the model's resolution, on the model's device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> SEANLayout:
        """All that the generator derives from the map alone. `reuse`: rows whose maps are equal are taken from it; by distinct
        window also what pixels have that see no change (equal to rounding, and its memory is shared).

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small, inputs = semantic_map.to(self.device).resize(self.resolution), self.label_input
        old = reuse if isinstance(reuse, SEANLayout) else None
        if self.generator.windowed:
            usable = old is not None and old.semantic_map.space.names == small.space.names
            before = old.plan if old is not None and usable else None
            made = plan_by_window(self.generator, inputs, small, before)
            return old if old is not None and made is before else SEANLayout(small, made, inputs.notes(small))
        plan = plan_with(old, small, lambda rows: self.generator.plan(inputs(small[rows])), edges=inputs.edges)
        return old if old is not None and plan is old.plan else SEANLayout(small, plan, inputs.notes(small))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` the mean is taken where the asset is there. Random: `normal("noise")` of the style's own rng, or where it has
        none of `rng` (None: a fresh seed). Raises UsageError without a style and a mean, and where counts or tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, SEANLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        styles.check_style(self, style)
        if len(layout) != 1:
            style = style.expand(len(layout))
        noise = self.noise(as_rng(rng if style.rng is None else style.rng, len(style)))
        codes = styles.region_codes(self, style).to(self.device)
        return (self.generator.render(layout.plan, codes, noise.to(self.device)) + 1) / 2

    def noise(self, rng: RngLike) -> Tensor:
        """The noise of all norms, [samples, noise_count]; random: `normal("noise")`, in the order of `Generator.split_noise`."""
        return rng.normal("noise", shape=(self.generator.noise_count,))

    # --- styles ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """The codes of photos [B, 3, H, W] in [0, 1] and of the classes that their maps show at half the resolution; others are
        absent. Not random; `rng`, where there is one, becomes the style's own: the noise of its pictures.

        Raises UsageError for maps of another count or size than their photos, LabelError for another label space.
        """
        codes, present = self.encode(image, semantic_map)
        return styles.from_codes(self, codes, present, None if rng is None else as_rng(rng, len(image)))

    def encode(self, image: Tensor, semantic_map: SemanticMap) -> Codes:
        """The codes of photos [B, 3, H, W] in [0, 1] for all planes, edges last; errors as `encode_style`."""
        check_photos(image, semantic_map)
        codes, present = self.encoder(self.fit_image(image) * 2 - 1, self.planes(semantic_map))
        return Codes(codes.float(), present)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """The mean of the training photos for each map (prior "mean" or None), classes that none of them showed absent.

        The style keeps `rng` (None: a fresh seed) for the noise of its pictures; nothing else is random. Raises UsageError for any
        other prior, which SEAN does not have, and without the asset `mean_style`.
        """
        return styles.mean_style(self, len(semantic_map), rng, prior)

    def _fold(self) -> None:
        """Spectral norms folded, each norm one scale and shift with its batch norm inside, the map's part of it by distinct window."""
        from zoo_plugins.sean.inference import fold_model

        fold_model(self)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)
