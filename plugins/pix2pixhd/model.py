"""pix2pixHD behind the zoo's interface: semantic maps to photos; with features a few numbers per object are its style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from zoo.families.spade.layouts import PlanLayout, check_photos, plan_with
from zoo.interfaces.models import as_map
from zoo.nn.init import init_normal
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
from zoo_plugins.pix2pixhd.clusters import clusters_fault, drawn_styles, fit_clusters, mean_styles
from zoo_plugins.pix2pixhd.colours import ColourInput
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig
from zoo_plugins.pix2pixhd.encoder import Encoder
from zoo_plugins.pix2pixhd.generator import Generator, Plan
from zoo_plugins.pix2pixhd.inference import FoldedGenerator
from zoo_plugins.pix2pixhd.regions import number_regions, paint_regions, region_means


@dataclass(eq=False)
class Pix2PixHDLayout(PlanLayout):
    """The map (at the model's resolution), the network's planes of it and its objects."""

    plan: Plan


class Pix2PixHD(ImageSynthesizer):
    """pix2pixHD (CVPR 2018). Without `features` there is no style, and images are functions of the map.

    With them the style is a tensor `features` [samples, classes, slots * feat_num]: for each class the numbers of its objects one after
    the other (features=label: of the class). They come from a photo with its map, or from the asset `clusters`: one of a class's centres
    for each object ("prior"), or the centres' mean ("mean"). Classes that a style lacks get zeros. Maps of another size are
    resized (nearest, pixel centres) and photos too (bicubic, antialiased) to `resolution`; images come out at `resolution`.
    """

    title = "pix2pixHD"
    partial_styles = True
    ASSETS: ClassVar[Mapping[str, Asset]] = {
        "clusters": Asset(
            "tensors",
            "centres [classes, clusters, feat_num] of the training objects' features, and objects behind each",
            fault=clusters_fault,
        )
    }
    config: Pix2PixHDConfig
    generator: Generator

    def __init__(self, config: Pix2PixHDConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        names = tuple(config.channels or space.names)
        kind = ColourInput if config.input == "colours" else LabelInput
        self.label_input = kind(space, names, ignore_channel=len(names) - 1, edges=config.edges)
        self._channels = names
        self.generator = Generator(config, self.label_input.channels)
        self.encoder = None if config.features == "none" else Encoder(config)
        init_normal(self)

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.size

    @property
    def styles(self) -> frozenset[str]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A photo where there is an encoder; prior and mean where there are clusters too."""
        if self.encoder is None:
            return frozenset()
        return frozenset({"photo", "prior", "mean"} if "clusters" in self.assets else {"photo"})

    @property
    def style_count(self) -> int:
        """Styles of all classes together."""
        return len(self._channels) * self.config.slots

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`clusters` over the photos; None for a model without features. Raises DataError for data without photos, or without a single
        object large enough."""
        if name != "clusters" or self.encoder is None:
            return None
        return fit_clusters(cast(Any, self), data, getattr(options, "n_clusters", 10))

    # --- maps -----------------------------------------------------------------------------------------------------

    def planes(self, semantic_map: SemanticMap) -> Tensor:
        """The network's input planes without the style [B, planes, H, W], at the model's resolution, on the model's device."""
        return self.label_input(self._small(semantic_map))

    def regions(self, semantic_map: SemanticMap) -> Tensor:
        """Whose style each pixel takes, int64 [B, H, W] below `style_count`, at the model's resolution (`number_regions`)."""
        small = self._small(semantic_map)
        return number_regions(self.label_input.read(small), small.instances, self.config.slots)

    def _small(self, semantic_map: SemanticMap) -> SemanticMap:
        return semantic_map.to(self.device).resize(self.resolution)

    def _plan(self, small: SemanticMap) -> Plan:
        if isinstance(self.generator, FoldedGenerator):
            first = self.generator.first(self.label_input.values(small), self.label_input.content)
            return Plan(None, self.regions(small), first)
        return Plan(self.label_input(small), self.regions(small))

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> Pix2PixHDLayout:
        """What depends on the map alone. `reuse`: rows whose maps are equal are taken from it.

        Raises LabelError for a map of another label space.
        """
        small, inputs = self._small(semantic_map), self.label_input
        old = reuse if isinstance(reuse, Pix2PixHDLayout) else None
        objects = inputs.edges or self.config.slots > 1
        plan = plan_with(old, small, lambda rows: self._plan(small[rows]), edges=objects)
        return old if old is not None and plan is old.plan else Pix2PixHDLayout(small, plan, inputs.notes(small))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        """Images float32 [B, 3, H, W] in [0, 1]; a single map (or layout) serves a style of any number of samples.

        Without `style` one is drawn per map from `rng` (None: a fresh seed). Raises UsageError where counts or tensors do not fit,
        for a style given to a model that has none, and where none can be drawn.
        """
        layout = semantic_map if isinstance(semantic_map, Pix2PixHDLayout) else self.layout(as_map(semantic_map))
        if self.encoder is None:
            if style is not None:
                self._require_style()
            return self._image(layout.plan, None)
        if style is None:
            style = self.sample_style(layout.semantic_map, rng)
        styles = self.style_rows(style if len(layout) == 1 else style.expand(len(layout)))
        return self._image(layout.plan, paint_regions(styles, layout.plan.regions))

    def _image(self, plan: Plan, style: Tensor | None) -> Tensor:
        return (self.generator.render(plan, style) + 1) / 2

    # --- styles ---------------------------------------------------------------------------------------------------

    def style_rows(self, style: Style) -> Tensor:
        """A style as rows [samples, style_count, feat_num] on the model's device, zeros for absent classes.

        Raises UsageError for the style of another model.
        """
        features, c = style.tensors.get("features"), self.config
        width = c.slots * c.feat_num
        if features is None or features.shape[1:] != (len(self._channels), width) or style.classes != self._channels:
            got = ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())
            raise UsageError(
                f"A style of this pix2pixHD holds features [samples, {len(self._channels)}, {width}] of its classes, got {got}."
            )
        if style.present is not None:
            features = features * style.present[:, :, None].to(features)
        return features.to(self.device).reshape(len(features), self.style_count, c.feat_num)

    def style(self, rows: Tensor, present: Tensor) -> Style:
        """A Style from rows [samples, style_count, feat_num] and the classes that have one [samples, classes]."""
        features = rows.reshape(len(rows), len(self._channels), -1) * present[:, :, None]
        return Style({"features": features}, {"features": ("sample", "class", "channel")}, self._channels, (), present)

    def sample_style(
        self, semantic_map: SemanticMap, rng: RngLike | int | None = None, *, prior: str | None = None
    ) -> Style:
        """One of its class's centres for each object, all equally likely (prior "fitted" or None), or the mean of the centres by the
        objects behind them ("mean", nothing random). Classes that the training photos did not show are absent.

        Random: `rng.uniform("cluster", class)`, by the class's name. Raises UsageError for another prior, a model without features,
        and without the asset `clusters`.
        """
        self._require_style()
        if prior not in (None, "fitted", "mean"):
            raise UsageError(f"pix2pixHD has no prior {prior!r}: expected fitted (centres of clusters) or mean.")
        if "clusters" not in self.assets:
            raise UsageError(
                "pix2pixHD draws styles from the asset clusters, which this model lacks: take the style from a photo"
                ' (<<style="PHOTO::MASK.png">>), or make it (`zoo fit MODEL clusters --data …`).'
            )
        count, clusters = len(semantic_map), self.assets["clusters"]
        if prior == "mean":
            return self.style(*mean_styles(clusters, count, self.config.slots))
        return self.style(*drawn_styles(clusters, self._channels, as_rng(rng, count), self.config.slots))

    @torch.no_grad()
    def encode_style(self, image: Tensor, semantic_map: SemanticMap, *, rng: RngLike | int | None = None) -> Style:
        """The features of photos [B, 3, H, W] in [0, 1], averaged over each object of their maps; classes not shown are absent. Not random.

        Where a class has fewer objects than the style has places, they follow one another again. Raises UsageError for maps of another
        count or size than their photos, or a model without features; LabelError for another label space.
        """
        self._require_style()
        check_photos(image, semantic_map)
        rows, pixels = self.pooled(self.fit_image(image) * 2 - 1, self.regions(semantic_map))
        slots = self.config.slots
        objects = (pixels > 0).view(len(image), -1, slots)
        count = objects.sum(2, keepdim=True)
        order = torch.sort((~objects).byte(), dim=2, stable=True).indices  # places that are taken come first
        taken = order.gather(2, torch.arange(slots, device=order.device).expand_as(order) % count.clamp_min(1))
        rows = rows.view(*objects.shape, -1)
        rows = rows.gather(2, taken[..., None].expand_as(rows))
        return self.style(rows.flatten(1, 2), objects.any(2))

    def pooled(self, images: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's features of images in [-1, 1], averaged over each region: ([B, style_count, feat_num], pixels [B, style_count])."""
        assert self.encoder is not None
        step = 1 << self.config.encoder_halvings
        half = regions[
            :, step // 2 :: step, step // 2 :: step
        ]  # as `resize` takes them: a centre between two takes the later
        return region_means(self.encoder(images), half, self.style_count)

    def fit_image(self, image: Tensor) -> Tensor:
        """Photos at the model's resolution, on its device (bicubic, antialiased, clipped to [0, 1])."""
        return fit_photos(image.to(self.device), self.resolution)

    def _require_style(self) -> None:
        if self.encoder is None:
            raise UsageError(
                "This pix2pixHD has no style (it was built without features): its image depends on the map alone."
            )

    def _fold(self) -> None:
        """Batch norms folded, the first convolutions split into the map's part (gathered columns) and the style's."""
        self.generator = FoldedGenerator(self.generator)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
