"""OASIS behind the zoo's interface: semantic maps to photos, with noise per picture, per class or per region as the style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from zoo.families.spade.folded import fold_family
from zoo.families.spade.layouts import PlanLayout, plan_with
from zoo.families.spade.synthesizer import choose_prior
from zoo.interfaces.models import as_map
from zoo.nn.init import init_xavier
from zoo.nn.labels import LabelInput, background_first
from zoo.nn.resample import fit_photos
from zoo.plugin import ImageSynthesizer, LabelSpace, Layout, RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.oasis import styles
from zoo_plugins.oasis.config import OasisConfig
from zoo_plugins.oasis.generator import Generator
from zoo_plugins.oasis.noise import NoisyMap, by_class, by_region
from zoo_plugins.oasis.windows import Sites, noise_sites

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


@dataclass(eq=False)
class OasisLayout(PlanLayout):
    """The map (at the model's resolution) as channels int64 [B, H, W] (`plan`), and in the inference form by window its windows."""

    plan: Tensor
    sites: Sites | None = field(default=None, kw_only=True)


class OASIS(ImageSynthesizer):
    """OASIS (ICLR 2021). The style is noise, a tensor `z`: [samples, classes, z_dim], what each class has everywhere (one vector for
    all of them is the paper's noise of a picture), or [samples, regions, z_dim] with `regions` [samples, height, width], which says
    whose noise each pixel has. Without noise (`use_noise`) there is no style, and the images are functions of the map.

    Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come
    out at `resolution`.
    """

    title: ClassVar[str] = "OASIS"
    encoder: ClassVar[None] = None

    def __init__(self, config: OasisConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or background_first(space))
        self.label_input = LabelInput(space, names, ignore_channel=0 if space.ignore else None)
        self._channels = names
        self.generator = Generator(config, len(names))
        if config.use_noise:
            self.styles = frozenset({"prior", "mean"})
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.oasis.exporting import exports

        return exports(self)

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, classes, H, W] at the model's resolution, on its device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> OasisLayout:
        """The map's channels, and by distinct window their windows. `reuse`: what is equal is taken from it.

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        old = reuse if isinstance(reuse, OasisLayout) else None
        plan = plan_with(old, small, lambda rows: self.label_input.read(small[rows]))
        if old is not None and plan is old.plan:
            return old
        if not self.generator.windowed:
            return OasisLayout(small, plan)
        noisy = by_class(plan, len(self._channels), None)
        sites = noise_sites(self.generator, noisy.numbers, noisy.count, None if old is None else old.sites)
        return OasisLayout(small, plan, sites=sites)

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` noise is drawn per map from `rng` (None: a fresh seed). Raises UsageError where the counts or the tensors
        do not fit, and for a style given to a model that has none.
        """
        layout = semantic_map if isinstance(semantic_map, OasisLayout) else self.layout(as_map(semantic_map))
        if style is not None:
            self._require_style()
            style = style if len(layout) == 1 else style.expand(len(layout))
        elif self.config.use_noise:
            style = self.sample_style(layout.semantic_map, rng)
        regional = style is not None and styles.is_regional(self, style)
        images = self.generator.render(self.noisy(layout.plan, style), None if regional else layout.sites)
        return (images + 1) / 2

    def noisy(self, channels: Tensor, style: Style | None) -> NoisyMap:
        """Maps int64 [B, H, W] of channels (or one for all samples) with the noise of a style. Raises UsageError for another model's."""
        if style is None:
            return by_class(channels, len(self._channels), None)
        z = style.tensors["z"]
        if styles.is_regional(self, style):
            return by_region(channels, len(self._channels), z, style.tensors["regions"])
        return by_class(channels, len(self._channels), z)

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self,
        semantic_map: SemanticMap,
        rng: RngLike | int | None = None,
        *,
        prior: str | None = None,
        noise: str | None = None,
    ) -> Style:
        """Noise from N(0, 1). prior: "normal", "mean" (zeros; nothing random), None: normal. noise: what shares a vector, "image",
        "class" or "region" (an instance where the map numbers them, else an area of one class that hangs together); None: as the config
        says.

        Random: `rng.normal("z")` for a picture, `rng.normal("z", class)` for a class and `rng.normal("z", class, i)` for its region i,
        counted in reading order: noise depends on nothing but these. Raises UsageError for another prior or word, and for a model
        without noise.
        """
        self._require_style()
        prior, noise = choose_prior(prior, None), noise or self.config.noise
        if noise not in ("image", "class", "region"):
            raise UsageError(f"Noise {noise!r}: expected image, class or region.")
        if prior == "mean":
            return styles.of_classes(self, torch.zeros(len(semantic_map), len(self._channels), self.config.z_dim))
        source = as_rng(rng, len(semantic_map))
        if noise == "region":
            return styles.draw_regions(self, semantic_map, source)
        return styles.of_classes(self, styles.draw(self, source, "z", noise=noise))

    def region_style(self, z: Tensor, regions: Tensor) -> Style:
        """Noise by free regions: z [samples, regions, z_dim], and regions [samples, h, w], the row of z of each pixel, of any size (its
        nearest pixel counts). Raises UsageError where they do not fit each other or the model."""
        self._require_style()
        return styles.of_regions(self, z, regions)

    def image_style(self, z: Tensor) -> Style:
        """Noise z [samples, z_dim] that all pixels of a picture share. Raises UsageError for another size."""
        self._require_style()
        return styles.of_classes(self, z[:, None].expand(-1, len(self._channels), -1).contiguous())

    def resample(
        self,
        style: Style,
        semantic_map: SemanticMap,
        *,
        classes: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        rng: RngLike | int | None = None,
    ) -> Style:
        """As of every synthesizer: the authors' local resampling where classes are named. Noise of regions is drawn anew as a whole."""
        self._require_style()
        if styles.is_regional(self, style) and classes is None and layers is None:
            return self.sample_style(semantic_map, rng, noise="region")
        return super().resample(style, semantic_map, classes=classes, layers=layers, rng=rng)

    def _require_style(self) -> None:
        if not self.config.use_noise:
            raise UsageError(
                f"This {self.title} has no style (it was built without noise): its image depends on the map alone."
            )

    def _fold(self) -> None:
        """Spectral norms folded; SPADEs by distinct window, or in narrow generators one convolution each, by class."""
        fold_family(self, self.generator)
        self.generator.by_table = not self.generator.windowed
