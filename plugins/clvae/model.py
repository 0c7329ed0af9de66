"""CLVAE behind the zoo's interface: semantic maps to photos, with a style per class and per layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from zoo.families.spade.blocks import BlockAffine
from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.init import init_xavier
from zoo.nn.labels import LabelInput, one_hot
from zoo.nn.latents import reparameterize
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
from zoo_plugins.clvae import fitting, styles
from zoo_plugins.clvae.config import CLVAEConfig
from zoo_plugins.clvae.encoder import ClassEncoder, Codes
from zoo_plugins.clvae.generator import Generator
from zoo_plugins.clvae.regions import Regions, find_regions
from zoo_plugins.clvae.windows import WindowPlans, plan_by_window

if TYPE_CHECKING:
    from zoo.interfaces.exports import Exports


@dataclass(eq=False)
class CLVAELayout(PlanLayout):
    """The map (at the model's resolution), by name what the finest blocks make of it (`plan`), and where its classes lie (None where the plan says it).

    shown: bool [B, C] on the CPU, the channels that each map shows: whether a style has what a picture needs is known without a look at
    the map, which on a GPU would be waited for.
    """

    plan: dict[str, BlockAffine] | WindowPlans
    regions: Regions | None = field(kw_only=True)
    shown: Tensor = field(kw_only=True)


class CLVAE(ImageSynthesizer):
    """CLVAE (CGF 2020). Style: `z` [samples, z_dim] for the whole picture and `codes` [samples, classes, layers, n] (without
    class-wise latents: [samples, layers, n]), layers from the coarsest; `present` says which classes have one.

    Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come
    out at `resolution`. Latents of a class that a map shows and a style lacks are drawn from the prior.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "latent_prior": Asset("tensors", "Gaussians over the encoder's codes of the training photos: the picture's, and each class's",
                              fault=fitting.code_prior_fault)
    }  # fmt: skip
    styles = frozenset({"prior", "mean", "photo"})
    title: ClassVar[str] = "CLVAE"

    def __init__(self, config: CLVAEConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        last = names.index(space.background) if space.background in names else len(names) - 1
        self.label_input = LabelInput(space, names, ignore_channel=last if space.ignore else None)
        self._channels = names
        self.n_local = config.z_dim_local or len(names)
        self.generator = Generator(config, len(names), self.n_local)
        self.encoder = ClassEncoder(config, self.n_local)
        self.partial_styles = config.classwise
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`latent_prior` over the photos. Raises DataError for data without photos."""
        return fitting.fit_code_prior(self, data) if name == "latent_prior" else None

    def exports(self) -> Exports:
        """See `exporting`."""
        from zoo_plugins.clvae.exporting import exports

        return exports(self)

    # --- maps -----------------------------------------------------------------------------------------------------

    def channel_map(self, semantic_map: SemanticMap) -> Tensor:
        """The map as channels int64 [B, H, W] at the model's resolution, on its device. Raises LabelError for another space."""
        return self.label_input.read(semantic_map.to(self.device).resize(self.resolution))

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, C, H, W] at the model's resolution, on its device: what the discriminator sees of a map."""
        return one_hot(self.channel_map(semantic_map), len(self._channels))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> CLVAELayout:
        """Regions of the classes, and scales and shifts of the blocks that read the map itself. `reuse`: rows whose maps are equal
        are taken from it. Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        channels = self.label_input.read(small)
        old = reuse if isinstance(reuse, CLVAELayout) else None
        if self.generator.windowed:
            before = old.plan if old is not None and old.semantic_map.space.names == small.space.names else None
            made = plan_by_window(self.generator, channels, before if isinstance(before, WindowPlans) else None)
            if old is not None and made is before:
                return old
            return CLVAELayout(small, made, regions=None, shown=styles.occurring(channels, len(self.channels)).cpu())
        regions = find_regions(channels)

        def make(rows: list[int]) -> dict[str, BlockAffine] | WindowPlans:
            return self.generator.map_plans(regions if len(rows) == len(small) else find_regions(channels[rows]))

        plan = plan_with(old, small, make)
        if old is not None and plan is old.plan:
            return old
        return CLVAELayout(small, plan, regions=regions, shown=styles.occurring(channels, len(self.channels)).cpu())

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style`, and for classes that it lacks, latents are drawn per map from `rng` (None: a fresh seed; with a style
        of several samples for one map, one stream each). Raises UsageError where the counts or the tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, CLVAELayout) else self.layout(as_map(semantic_map))
        maps = layout.semantic_map
        if style is None:
            style = self.sample_style(maps, rng)
        else:
            styles.check_style(self, style)
            style = style if len(layout) == 1 else style.expand(len(layout))
            style = self._complete(style, maps, layout.shown, rng)
        codes, z = styles.latents(self, style)
        return (self.generator.render(layout.regions, layout.plan, codes.to(self.device), z.to(self.device)) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Latents of the classes that each map shows, and one for the picture. prior: "normal" (the paper's N(0, I)), "fitted"
        (needs the asset `latent_prior`), "mean" (the centre of the fitted prior, else zeros; nothing random), None: fitted if
        the asset exists.

        Random: `rng.normal("z")`, and `rng.normal(class, layer)` for each class by its name, layers from 1, the coarsest: a class's
        numbers depend on nothing but its name. Raises UsageError for an unknown prior or a missing asset.
        """
        return styles.sample_prior(self, semantic_map, rng, prior)

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """Latents of photos [B, 3, H, W] in [0, 1] and of the classes that their maps show; other classes are absent.

        A class too small to have a pixel at a layer has zeros there (as in the code), and is not `visible`. rng None gives the mean, else
        mu + eps * sigma with eps = `rng.normal("eps", …)`, keyed as in `sample_style`. Raises UsageError for a map of another
        size than its photo, or of another count; LabelError for a map of another label space.
        """
        check_photos(image, semantic_map)
        posterior = self.encoder(self.fit_image(image) * 2 - 1, self.channel_map(semantic_map))
        return styles.from_codes(self, posterior, None if rng is None else as_rng(rng, len(image)))

    def complete_style(self, style: Style, semantic_map: SemanticMap, rng: RngLike | int | None = None) -> Style:
        """The style with classes that it lacks and the maps show taken from the prior; one map serves several samples.

        Random: as `sample_style`, and only where something is lacking (rng None: a fresh seed).
        """
        return self._complete(style, semantic_map, styles.shown_channels(self, semantic_map), rng)

    def _complete(self, style: Style, semantic_map: SemanticMap, shown: Tensor, rng: RngLike | int | None) -> Style:
        """`complete_style` for maps that show the channels `shown`, bool [B, C]."""
        present = style.present
        if not self.config.classwise or present is None or bool((present | ~shown.to(present.device)).all()):
            return style
        maps = semantic_map.repeat_interleave(len(style)) if len(semantic_map) == 1 else semantic_map
        return style.fill(self.sample_style(maps, rng).to(present.device))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def dense(self, values: Tensor, classes: Tensor) -> Tensor:
        """Latents of the channels `classes` [B, K, L, N] among all channels [B, C, L, N], zeros elsewhere; without class-wise latents
        the one there is, for all channels."""
        if not self.config.classwise:
            return values.expand(-1, len(self._channels), -1, -1)
        shape = (len(values), len(self._channels), *values.shape[2:])
        return values.new_zeros(shape).index_copy(1, classes, values)

    def _fold(self) -> None:
        """Spectral norms folded, SPADE folded with its norm, its first convolution over class tables."""
        from zoo_plugins.clvae.inference import fold_model

        fold_model(self)


def draw_codes(posterior: Codes, class_eps: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """(class latents [B, K, L, N], z [B, z_dim]) = mu + eps * exp(logvar / 2); where a class is not visible that is eps alone."""
    codes = reparameterize(posterior.class_mu, posterior.class_logvar, class_eps)
    return codes, reparameterize(posterior.mu, posterior.logvar, eps)
