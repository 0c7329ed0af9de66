"""INADE behind the zoo's interface: semantic maps to photos, with a style per instance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.folded import fold_family
from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.init import init_xavier
from zoo.nn.labels import LabelInput
from zoo.nn.resample import fit_photos
from zoo.plugin import ImageSynthesizer, LabelSpace, Layout, RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.inade import styles
from zoo_plugins.inade.config import InadeConfig
from zoo_plugins.inade.encoder import InstanceEncoder
from zoo_plugins.inade.generator import Generator, INADEPlan
from zoo_plugins.inade.instances import places
from zoo_plugins.inade.norms import fold_norms

ONE_EACH = (
    "The map has no instance numbers: each class is one instance, so its objects look alike (a PNG of numbers as `instances` tells"
    " them apart)."
)


@dataclass(eq=False)
class InadeLayout(PlanLayout):
    """The map (at the model's resolution), and which code each of its pixels takes."""

    plan: INADEPlan


class INADE(ImageSynthesizer):
    """INADE (CVPR 2021). Style: `z` [samples, z_dim] for the whole picture, and for each instance a code of its scales and one of its
    shifts, `scale` and `shift` [samples, classes, instances, noise_dim]; `present` says which classes have any.

    Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come
    out at `resolution`. Codes of a class that a map shows and a style lacks are drawn from the prior.
    """

    title: ClassVar[str] = "INADE"
    partial_styles = True

    def __init__(self, config: InadeConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1, edges=True)
        self._channels = names
        self.generator = Generator(config, len(names))
        self.encoder = InstanceEncoder(config.ngf, config.noise_dim) if config.use_vae else None
        self.styles = frozenset({"prior", "mean"} | ({"photo"} if config.use_vae else set()))
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def codes(self) -> int:
        """How many codes a style has: classes times instances of each."""
        return len(self._channels) * self.config.instances

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes and edges float32 [B, C + 1, H, W] at the model's resolution, on its device: what the discriminator sees."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    def places(self, semantic_map: SemanticMap) -> Tensor:
        """Each pixel's place among the codes [classes, instances], flattened: int64 [B, H, W] at the model's resolution."""
        small = semantic_map.to(self.device).resize(self.resolution)
        return places(self.label_input.read(small), small.instances, self.config.instances)

    def shown(self, semantic_map: SemanticMap) -> Tensor:
        """Which channels each map shows: bool [B, C]. Raises LabelError for a map of another label space."""
        channels = self.label_input.read(semantic_map.resize(self.resolution)).flatten(1)
        shown = torch.zeros(len(channels), len(self._channels), dtype=torch.bool, device=channels.device)
        return shown.scatter_(1, channels, True)

    def plan(self, values: Tensor, sketch: Tensor | None = None) -> INADEPlan:
        """The generator's plan of what `places` gives."""
        return self.generator.plan(values // self.config.instances, values, self.codes, sketch)

    @torch.no_grad()
    def layout(
        self, semantic_map: SemanticMap, *, reuse: Layout | None = None, sketch: Tensor | None = None
    ) -> InadeLayout:
        """Which code each pixel takes. `reuse`: rows whose maps are equal (and have no instance numbers) are taken from it.

        sketch: float [B, 1, H, W] in [0, 1] of any size, lines white on black, for a model whose config reads one; without it there are
        no lines. Raises LabelError for a map of another label space, UsageError for a sketch that the model does not read or that does not
        fit the maps.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        notes = (ONE_EACH,) if small.instances is None and self.config.instances > 1 else ()
        if self.config.sketch or sketch is not None:
            return InadeLayout(small, self.plan(self.places(small), self._fitted(sketch, len(small))), notes)
        old = reuse if isinstance(reuse, InadeLayout) else None
        plan = plan_with(old, small, lambda rows: self.plan(self.places(small[rows])), edges=True)
        return old if old is not None and plan is old.plan else InadeLayout(small, plan, notes)

    def _fitted(self, sketch: Tensor | None, count: int) -> Tensor | None:
        if sketch is None:
            return None
        if not self.config.sketch:
            raise UsageError("This INADE reads no sketch: give the map alone, or take a config with sketch=true.")
        if sketch.dim() != 4 or sketch.shape[:2] != (count, 1):
            raise UsageError(f"A sketch is a tensor [{count}, 1, H, W] in [0, 1], got {list(sketch.shape)}.")
        return resize_planes(sketch.to(self.device).float(), self.resolution)

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style`, and for classes that it lacks, codes are drawn per map from `rng` (None: a fresh seed; with a style
        of several samples for one map, one stream each). Raises UsageError where the counts or the tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, InadeLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        else:
            styles.check_style(self, style)
            style = style if len(layout) == 1 else style.expand(len(layout))
            style = self.complete_style(style, layout.semantic_map, rng)
        z, noise = styles.latents(style)
        return (self.generator.render(layout.plan, z.to(self.device), noise.to(self.device)) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Codes of the classes that each map shows, and a latent of the picture. prior: "normal" (the paper's N(0, I), also None) or
        "mean" (zeros; nothing random).

        Random: `rng.normal("z")`, and `rng.normal("noise", class)` for each class by its name, all its instances at once, so that a
        class's codes depend on nothing but its name. Raises UsageError for another prior.
        """
        return styles.sample_prior(self, semantic_map, rng, prior)

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """Codes of photos [B, 3, H, W] in [0, 1] and of the instances that their maps show; other classes are absent.

        rng None gives the means, and zeros for `z`, which no photo tells; else mu + noise * sigma, and `z` from the prior, with draws
        keyed as in `sample_style`. Codes beyond a photo's instances of a class repeat those in turn. Raises UsageError for a map of
        another size than its photo, or of another count, and for a model without encoder; LabelError for a map of another label space.
        """
        if self.encoder is None:
            raise UsageError("This INADE reads no styles off photos (it was built without encoder): use the prior.")
        check_photos(image, semantic_map)
        images = fit_photos(image.to(self.device), self.resolution) * 2 - 1
        source = None if rng is None else as_rng(rng, len(image))
        return styles.read_style(self, images, self.places(semantic_map), source)

    def complete_style(self, style: Style, semantic_map: SemanticMap, rng: RngLike | int | None = None) -> Style:
        """The style with classes that it lacks and the maps show taken from the prior; one map serves several samples.

        Random: as `sample_style`, and only where something is lacking (rng None: a fresh seed).
        """
        shown = self.shown(semantic_map).to(style.tensors["z"].device)
        if style.present is None or bool((style.present | ~shown).all()):
            return style
        maps = semantic_map.repeat_interleave(len(style)) if len(semantic_map) == 1 else semantic_map
        return style.fill(self.sample_style(maps, rng).to(style.present.device))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """Spectral norms folded, each norm one look-up with its batch norm inside, convolutions packed."""
        fold_family(self, self.generator)
        fold_norms(self.generator)
