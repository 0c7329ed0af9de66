"""sg2im behind the zoo's interface: label sets and scene graphs to maps, and to pictures of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from zoo.graphs import SceneGraph
from zoo.interfaces.label_sets import LABEL_SETS, fit_label_sets, label_sets_fault
from zoo.plugin import (
    Asset,
    Conditions,
    LabelSpace,
    Latents,
    LayeredMap,
    MaskGenerator,
    PairData,
    RngLike,
    SemanticMap,
    TrainingOptions,
    UsageError,
    as_rng,
)
from zoo_plugins.sg2im.config import Sg2imConfig, Sg2imOptions
from zoo_plugins.sg2im.flatten import recipe
from zoo_plugins.sg2im.graphs import IMAGE
from zoo_plugins.sg2im.layouts import LAYOUTS, draw_boxes, fit_layouts, layouts_fault
from zoo_plugins.sg2im.network import Graphs, Read, Sg2imNetwork
from zoo_plugins.sg2im.pictures import shown
from zoo_plugins.sg2im.placing import compose, flat_masks, spread
from zoo_plugins.sg2im.vocabulary import Vocabulary


class Placed(NamedTuple):
    """Graphs read, with the boxes that are used: read: of all objects, the pictures' own included; real: places of the others among
    them; values: the label value of each of these."""

    graphs: Graphs
    read: Read
    boxes: Tensor
    real: Tensor
    values: Tensor


class Sg2im(MaskGenerator):
    """sg2im (CVPR 2018). A label set is the simplest graph: an object for each class, without relations (SegVAE's comparison).

    Latents: `boxes` [B, channels, 4], x0, y0, x1, y1 in shares of the picture, of training maps that show the classes (prior "fitted",
    needs the asset `layouts`), or of no size (prior "normal"), where the network's own take their place; masks are a function of
    the graph. Boxes of a scene graph are always the network's.
    """

    ASSETS: ClassVar[Mapping[str, Asset]] = {
        LABEL_SETS: Asset(
            "json", "label sets of the training data with counts", fault=lambda m, v: label_sets_fault(m.label_space, v)
        ),
        LAYOUTS: Asset("tensors", "boxes of training maps by class", fault=layouts_fault),
    }
    OPTIONS: ClassVar[type | None] = Sg2imOptions

    config: Sg2imConfig

    def __init__(self, config: Sg2imConfig, space: LabelSpace) -> None:
        """Raises LabelError if the space lacks one of the config's classes, ConfigError."""
        super().__init__(config, space)
        self.vocabulary = Vocabulary(config, space)
        self.generator = Sg2imNetwork(config, self.vocabulary.objects, len(config.predicates) + 1)

    @property
    def channels(self) -> tuple[str, ...]:
        """The classes of objects, in the order of their numbers from 1 on."""
        return self.vocabulary.channels

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) of maps and pictures."""
        return self.config.size

    @property
    def predicates(self) -> tuple[str, ...]:
        """What relations of a scene graph may be."""
        return self.config.predicates

    def _fold(self) -> None:
        """Batch norms folded into the convolutions in front of them, kernels packed."""
        from zoo_plugins.sg2im.inference import fold_network

        fold_network(self.generator)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        """`label_sets` over the maps and, with `flip`, their mirror images; `layouts` as many as the options say."""
        if name == LABEL_SETS:
            return fit_label_sets(data, self.channels, mirror=options.flip) or None
        count = getattr(options, LAYOUTS, 0)
        return fit_layouts(data, self.vocabulary, count) if name == LAYOUTS and count else None

    # --- latents --------------------------------------------------------------------------------------------------

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        """`boxes`; see the class. Random: as `draw_boxes`. Raises UsageError for prior "fitted" without the asset."""
        asset = self.assets.get(LAYOUTS)
        if prior == "fitted" and asset is None:
            raise UsageError(
                'This sg2im keeps no boxes of training maps: leave <<prior="fitted">> out, or zoo fit layouts.'
            )
        # a graph's boxes are the network's
        if prior == "normal" or asset is None or all(isinstance(c, SceneGraph) for c in conditions):
            return {"boxes": torch.zeros(len(conditions), len(self.channels), 4)}
        places = {value: place for place, value in enumerate(self.vocabulary.values)}
        wanted = [[places[v] for v in self.vocabulary.classes_of(c)] for c in conditions]
        return {"boxes": draw_boxes(asset["boxes"].cpu().float(), wanted, as_rng(rng, len(conditions)))}

    def _boxes(self, conditions: Conditions, latents: Latents | None, rng: RngLike | int | None) -> Tensor:
        latents = self.sample_latents(conditions, rng) if latents is None else latents
        if "boxes" not in latents:
            raise UsageError(f"sg2im's latents are 'boxes', got {sorted(latents)}.")
        expected, got = [len(conditions), len(self.channels), 4], list(latents["boxes"].shape)
        if got != expected:
            raise UsageError(f"{len(conditions)} label sets take latents boxes {expected}, got {got}.")
        return latents["boxes"]

    # --- graphs to objects in their places ------------------------------------------------------------------------

    def place(self, conditions: Conditions, latents: Latents | None, rng: RngLike | int | None) -> Placed:
        """The network's reading of the graphs; boxes of the latents for the objects of label sets where these have a size."""
        given = self._boxes(conditions, latents, rng)
        graphs, rows = self.vocabulary.encode(conditions)
        real = (graphs.objects != IMAGE).nonzero()[:, 0]
        values = torch.tensor([v for row in rows for v in row], dtype=torch.long)
        places = {value: place for place, value in enumerate(self.vocabulary.values)}
        wanted = torch.zeros(len(graphs.objects), 4)
        pairs = [(i, places[v]) for i, row in enumerate(rows) for v in row]
        related = [isinstance(c, SceneGraph) for c in conditions]
        for spot, (row, place) in zip(real.tolist(), pairs, strict=True):
            if not related[row]:
                wanted[spot] = given[row, place].float()
        graphs, wanted = graphs.to(self.device), wanted.to(self.device)
        read = self.generator.read(graphs)
        has_size = (wanted[:, 2] > wanted[:, 0]) & (wanted[:, 3] > wanted[:, 1])
        boxes = torch.where(has_size[:, None], wanted, read.boxes.float())
        return Placed(graphs, read, boxes, real.to(self.device), values.to(self.device))

    def _in_boxes(self, placed: Placed) -> Tensor:
        """The masks of the real objects, each in its box: [O, H, W]; nothing of a box without width or height."""
        masks = flat_masks(placed.boxes) if placed.read.masks is None else placed.read.masks.float()
        return spread(
            masks[placed.real], placed.boxes[placed.real], self.resolution, align_corners=self.config.align_corners,
            degenerate="drop",
        )  # fmt: skip

    @torch.no_grad()
    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None,
        options: Sg2imOptions | None = None,
    ) -> SemanticMap:  # fmt: skip
        """One map [B, H, W] per label set or scene graph. Without `latents` they are drawn from `rng` (None: a fresh seed).

        An object whose mask nowhere exceeds 1/2, or that others cover, is not seen. Raises UsageError if counts differ or there are no
        conditions, LabelError for classes that are no channels and for unknown predicates.
        """
        placed = self.place(conditions, latents, rng)
        rule = (options or Sg2imOptions()).flatten
        labels = recipe(
            rule, self._in_boxes(placed), placed.values, placed.boxes[placed.real], placed.graphs.images[placed.real],
            placed.graphs.count, len(self.label_space), self.label_space.background_index,
        )  # fmt: skip
        return SemanticMap(labels, self.label_space)

    @torch.no_grad()
    def generate_layers(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> LayeredMap:
        """The masks as they overlap: of each class the sum over its objects, at most 1. Arguments and errors as of `generate`."""
        placed = self.place(conditions, latents, rng)
        planes = torch.nn.functional.one_hot(placed.values, len(self.label_space)).float()
        layers = compose(planes, self._in_boxes(placed), placed.graphs.images[placed.real], placed.graphs.count)
        return LayeredMap(layers.clamp(0, 1), self.label_space)

    @torch.no_grad()
    def generate_pictures(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None,
        options: Sg2imOptions | None = None,
    ) -> Tensor:  # fmt: skip
        """The network's own picture of each condition, float32 [B, 3, H, W] in [0, 1], with the boxes and masks of the map that
        `generate` gives for the same latents.

        Random: besides the latents the layout's noise, `rng.normal("noise")`. Errors as of `generate`.
        """
        source = as_rng(rng, len(conditions))
        placed = self.place(conditions, latents, source)
        layout = self.generator.layout(
            placed.graphs, placed.read.vectors, placed.boxes, placed.read.masks, degenerate="drop"
        )
        return self.paint(layout, source, rescale=(options or Sg2imOptions()).rescale)

    def paint(self, layout: Tensor, rng: RngLike, *, rescale: bool = True) -> Tensor:
        """Pictures in [0, 1] of layouts [B, D, H, W]."""
        return paint(self.generator, self.config, layout, rng, rescale=rescale)


def paint(generator: Sg2imNetwork, config: Sg2imConfig, layout: Tensor, rng: RngLike, *, rescale: bool) -> Tensor:
    """Pictures [B, 3, H, W] in [0, 1] of layouts [B or 1, D, H, W]. Random: `rng.normal("noise")`, where the network takes any."""
    count = len(rng.samples)
    noise = rng.normal("noise", shape=(config.noise_dim, *config.size)) if config.noise_dim else None
    layout = layout.expand(count, -1, -1, -1)
    return shown(generator.paint(layout, None if noise is None else noise.to(layout)).float(), rescale=rescale)
