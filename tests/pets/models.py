"""Two systems with a handful of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.interfaces.label_sets import fit_label_sets
from zoo.interfaces.models import as_map
from zoo.interfaces.presence import check_space, presence
from zoo.plugin import (
    Asset,
    Conditions,
    ImageSynthesizer,
    LabelSpace,
    Latents,
    Layout,
    MaskGenerator,
    Model,
    PairData,
    RngLike,
    SemanticMap,
    TrainingOptions,
    as_rng,
)
from zoo.registry import registry


class Planes(nn.Module):
    """Learned scores [classes, side, side]."""

    def __init__(self, classes: int, side: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(classes, side, side))


class _Square(Model):
    """What both share: all classes of the space, maps of one side."""

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side


class PetMaps(_Square, MaskGenerator):
    """One learned map with a little noise."""

    ASSETS: ClassVar[Mapping[str, Asset]] = {"label_sets": Asset("json", "label sets of the training data")}

    def __init__(self, config: Any, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.planes = registry().get("networks", "pets.planes")(len(space), config.side)

    def fit_asset(self, name: str, data: PairData, options: TrainingOptions) -> Any | None:
        return fit_label_sets(data, [n for n in self.channels if n != self.label_space.background])

    def sample_latents(self, conditions: Conditions, rng: RngLike | int | None, *, prior: str | None = None) -> Latents:
        del prior
        return {"z": as_rng(rng, len(conditions)).normal("z", shape=(len(self.label_space), *self.resolution))}

    @torch.no_grad()
    def generate(
        self, conditions: Conditions, *, latents: Latents | None = None, rng: RngLike | int | None = None
    ) -> SemanticMap:
        z = (latents or self.sample_latents(conditions, rng))["z"].to(self.device)
        scores = self.planes.scores + 0.1 * z
        asked = presence(conditions, self.label_space, self.channels, "pet-maps").to(self.device)
        asked[:, 0] = True
        return SemanticMap(scores.masked_fill(~asked[..., None, None], -torch.inf).argmax(1), self.label_space)


@dataclass(eq=False)
class MapLayout(Layout):
    """The map at the model's size."""

    semantic_map: SemanticMap


class PetPaint(_Square, ImageSynthesizer):
    """One learned colour per class; no style."""

    def __init__(self, config: Any, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.colors = nn.Parameter(torch.zeros(len(space), 3))

    def paint(self, labels: Tensor) -> Tensor:
        """Labels [B, H, W] -> [B, 3, H, W]."""
        return F.embedding(labels, self.colors).permute(0, 3, 1, 2)

    def layout(self, semantic_map: SemanticMap, *, reuse: Layout | None = None) -> MapLayout:
        del reuse
        check_space(semantic_map, self.label_space)
        return MapLayout(semantic_map.to(self.device).resize(self.resolution))

    @torch.no_grad()
    def synthesize(
        self, semantic_map: SemanticMap | Layout, style: Any = None, *, rng: RngLike | int | None = None
    ) -> Tensor:
        del style, rng
        layout = semantic_map if isinstance(semantic_map, MapLayout) else self.layout(as_map(semantic_map))
        return self.paint(layout.semantic_map.labels).clamp(0, 1)
