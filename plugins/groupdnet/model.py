"""GroupDNet behind the zoo's interface: semantic maps to photos, with a style per class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.init import init_xavier
from zoo.nn.labels import LabelInput
from zoo.nn.resample import fit_photos
from zoo.plugin import ImageSynthesizer, LabelSpace, Layout, RngLike, SemanticMap, Style, as_rng
from zoo_plugins.groupdnet import styles
from zoo_plugins.groupdnet.config import GroupDNetConfig
from zoo_plugins.groupdnet.encoder import GroupEncoder, class_crops
from zoo_plugins.groupdnet.generator import Generator, GroupDNetPlan


@dataclass(eq=False)
class GroupDNetLayout(PlanLayout):
    """The map (at the model's resolution) and the scales and shifts that it gives every norm."""

    plan: GroupDNetPlan


class GroupDNet(ImageSynthesizer):
    """GroupDNet (CVPR 2020). Style: `codes` [samples, classes, code_width, height, width], a small map for each class, from N(0, I) or
    the encoder; `present` says which classes have one.

    Maps of another size are resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come
    out at `resolution`. Codes of a class that a map shows and a style lacks are drawn from the prior. A class's code acts on its
    region most of all, and through the groups that become fewer on the rest too; codes of classes that a map does not show do as well.
    """

    title: ClassVar[str] = "GroupDNet"
    partial_styles = True
    styles = frozenset({"prior", "mean", "photo"})

    def __init__(self, config: GroupDNetConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        self.label_input = LabelInput(space, names, ignore_channel=len(names) - 1, edges=config.edges)
        self._channels = names
        self.generator = Generator(config, len(names))
        self.encoder = GroupEncoder(
            len(names), config.encoder_width, config.doublings, config.code_width, config.encoder_norm
        )
        # quirk left out: on a GPU the official initialisation never reaches spectrally normalised weights (docs/papers/spade.md, "Quirks left out")
        init_xavier(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def code_shape(self) -> tuple[int, int, int, int]:
        """Shape of a sample's codes: classes, channels, height, width."""
        return len(self._channels), self.config.code_width, *self.config.grid

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """One-hot planes float32 [B, C (+ 1, edges), H, W] at the model's resolution, on its device."""
        return self.label_input(semantic_map.to(self.device).resize(self.resolution))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> GroupDNetLayout:
        """All that the generator derives from the map alone. `reuse`: rows whose maps are equal are taken from it.

        Meant for evaluation mode. Raises LabelError for a map of another label space.
        """
        small = semantic_map.to(self.device).resize(self.resolution)
        old, inputs = reuse if isinstance(reuse, GroupDNetLayout) else None, self.label_input
        plan = plan_with(old, small, lambda rows: self.generator.plan(inputs(small[rows])), edges=inputs.edges)
        return old if old is not None and plan is old.plan else GroupDNetLayout(small, plan, inputs.notes(small))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style`, and for classes that it lacks, codes are drawn per map from `rng` (None: a fresh seed; with a style
        of several samples for one map, one stream each). Raises UsageError where the counts or the tensors do not fit.
        """
        layout = semantic_map if isinstance(semantic_map, GroupDNetLayout) else self.layout(as_map(semantic_map))
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        else:
            styles.check_style(self, style)
            style = style if len(layout) == 1 else style.expand(len(layout))
            style = self.complete_style(style, layout.semantic_map, rng)
        return (self.generator.render(layout.plan, styles.latents(self, style)) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """Codes of all classes, for each map. prior: "normal" (the paper's N(0, I), also None) or "mean" (zeros; nothing random).

        Random: `rng.normal("codes", class)` for each class by its name, so that a class's code depends on nothing but its name. Raises
        UsageError for another prior.
        """
        return styles.sample_prior(self, semantic_map, rng, prior)

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """Codes of photos [B, 3, H, W] in [0, 1] and of the classes that their maps show; other classes are absent.

        rng None gives the means, else mu + eps * sigma with draws keyed as in `sample_style`. Raises UsageError for a map of another
        size than its photo, or of another count; LabelError for a map of another label space.
        """
        check_photos(image, semantic_map)
        source = None if rng is None else as_rng(rng, len(image))
        return styles.read_style(self, self.fit_image(image) * 2 - 1, semantic_map, source)

    def encode(self, images: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """(mu, logvar), each [B, classes * code_width, *grid], of images in [-1, 1] with their planes [B, C, H, W], no edges."""
        classes = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
        return self.encoder(class_crops(images, planes.index_select(1, classes)), classes)

    def shown(self, semantic_map: SemanticMap) -> Tensor:
        """Which channels each map shows: bool [B, C]. Raises LabelError for a map of another label space."""
        return self.planes(semantic_map)[:, : len(self._channels)].flatten(2).any(2)

    def complete_style(self, style: Style, semantic_map: SemanticMap, rng: RngLike | int | None = None) -> Style:
        """The style with classes that it lacks and the maps show taken from the prior; one map serves several samples.

        Random: as `sample_style`, and only where something is lacking (rng None: a fresh seed).
        """
        if style.present is None:
            return style
        shown = self.shown(semantic_map).to(style.present.device)
        if bool((style.present | ~shown).all()):
            return style
        maps = semantic_map.repeat_interleave(len(style)) if len(semantic_map) == 1 else semantic_map
        drawn = self.sample_style(maps, rng).to(style.present.device)
        return style.fill(styles.make(self, drawn.tensors["codes"], shown.expand(len(maps), -1).clone()))

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _fold(self) -> None:
        """Spectral norms folded, each CG-Norm two convolutions with its batch norm inside, those of classes that a map lacks left out."""
        from zoo_plugins.groupdnet.inference import fold_generator

        fold_generator(self, self.generator)
