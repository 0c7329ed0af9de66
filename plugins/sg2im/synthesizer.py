"""sg2im as a synthesizer: pictures of given maps, whose regions are the objects (the paper's "GT layout")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from zoo.interfaces.models import as_map
from zoo.interfaces.presence import check_space
from zoo.plugin import ImageSynthesizer, LabelSpace, Layout, Rng, RngLike, SemanticMap, Style, UsageError, as_rng
from zoo_plugins.sg2im.config import GEOMETRIC, PictureOptions, Sg2imConfig
from zoo_plugins.sg2im.drawn import scene_graphs
from zoo_plugins.sg2im.model import paint
from zoo_plugins.sg2im.network import Sg2imNetwork
from zoo_plugins.sg2im.scenes import scenes_of
from zoo_plugins.sg2im.vocabulary import Vocabulary


@dataclass(eq=False)
class Sg2imLayout(Layout):
    """The map (at the model's resolution), and the network's layout of its objects [B, gconv_dim, H, W]."""

    semantic_map: SemanticMap
    planes: Tensor
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.semantic_map)


class Sg2imPainter(ImageSynthesizer):
    """Every region of the map is an object, with its box and mask: an instance where the map numbers them, else all of a class. Their
    relations are drawn as in training, from streams that the map alone decides. Classes that are no objects of the network, and the
    background, are where no object is. Has no style; noise is drawn for each picture."""

    OPTIONS: ClassVar[type | None] = PictureOptions
    draws_noise = True

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
        """(height, width) of the pictures."""
        return self.config.size

    @torch.no_grad()
    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> Sg2imLayout:
        """See the class. Nothing of `reuse` is kept. Raises LabelError for a map of another label space."""
        del reuse
        check_space(semantic_map, self.label_space)
        maps = semantic_map.resize(self.resolution)
        scenes = scenes_of(maps, self.vocabulary.values, self.config.mask_size, objects="instances")
        # one stream for every map, so that a map's layout depends on nothing but itself
        drawn = scene_graphs(scenes, self.vocabulary, Rng(0, [0] * len(scenes)), relations=self.relates)
        graphs = drawn.graphs.to(self.device)
        vectors = self.generator.convolve(graphs)
        planes = self.generator.layout(graphs, vectors, drawn.boxes.to(vectors), drawn.masks.to(vectors))
        return Sg2imLayout(maps, planes)

    @property
    def relates(self) -> bool:
        """Whether the predicates are those that can be told from where regions lie."""
        return self.config.predicates == GEOMETRIC

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Style | None = None, *, rng: RngLike | int | None = None,
        options: PictureOptions | None = None,
    ) -> Tensor:  # fmt: skip
        """Images float32 [B, 3, H, W] in [0, 1]. Random: the layout's noise, `rng.normal("noise")` (None: a fresh seed).

        Raises UsageError for a style, and where `rng` has other samples than there are maps.
        """
        if style is not None:
            raise UsageError("sg2im has no style: its pictures of a map differ by the noise of the seed.")
        layout = semantic_map if isinstance(semantic_map, Sg2imLayout) else self.layout(as_map(semantic_map))
        source = as_rng(rng, len(layout))
        return paint(self.generator, self.config, layout.planes, source, rescale=(options or PictureOptions()).rescale)

    def _fold(self) -> None:
        """As of `Sg2im`."""
        from zoo_plugins.sg2im.inference import fold_network

        fold_network(self.generator)
