"""shape-predictor: the shape of one class from the map of all others; what cannot be inferred does not go together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import DataError, LabelSpace, MapJudge, SemanticMap
from zoo_plugins.judges.blocks import conv, filled, labels_at, one_hot, stem, up
from zoo_plugins.judges.config import ShapePredictorConfig


class ShapePredictor(MapJudge):
    """Nothing is random. The paper says what goes in and what comes out; network and error measure are ours.

    The class that is asked for is taken out of the map and its pixels get the class that lies nearest, because the bare hole
    would show the shape.
    """

    def __init__(self, config: ShapePredictorConfig, space: LabelSpace) -> None:
        super().__init__(config, space)
        self.config: ShapePredictorConfig = config
        w = config.width
        self.stem = stem(len(space), w)
        self.asked = nn.Embedding(len(space), 4 * w)
        self.down1, self.down2, self.down3 = (
            conv(w, 2 * w, stride=2),
            conv(2 * w, 3 * w, stride=2),
            conv(3 * w, 3 * w, stride=2),
        )
        self.low = conv(3 * w, 3 * w)
        self.up1, self.up2, self.up3 = conv(6 * w, 2 * w), conv(4 * w, 2 * w), conv(3 * w, w)
        self.head = nn.Conv2d(w, 16, 1)

    @property
    def channels(self) -> tuple[str, ...]:
        return self.label_space.names

    @property
    def resolution(self) -> tuple[int, int]:
        return self.config.side, self.config.side

    def logits(self, labels: Tensor, classes: Tensor) -> Tensor:
        """labels int64 [B, side, side], classes int64 [B] that are to be found -> logits of their shapes [B, side, side].

        The shape itself does not go in: its pixels take the nearest other class.
        """
        context = filled(labels, labels == classes[:, None, None])
        count = len(self.label_space)
        context = context.where(
            context != classes[:, None, None], torch.full_like(context, count)
        )  # a map of one class
        early, late = self.asked(classes)[..., None, None].split([self.config.width, 3 * self.config.width], 1)
        a = self.stem(one_hot(context, count)) + early
        b = self.down1(a)
        c = self.down2(b)
        d = self.low(self.down3(c) + late)
        h = self.up1(torch.cat([up(d), c], 1))
        h = self.up2(torch.cat([up(h), b], 1))
        h = self.up3(torch.cat([up(h), a], 1))
        return F.pixel_shuffle(self.head(h), 4)[:, 0]

    def parts(self, labels: Tensor) -> Tensor:
        """Which classes a map shows that have a shape of their own, bool [B, C]: all but the background."""
        count = len(self.label_space)
        shown = one_hot(labels, count).flatten(2).any(2)
        if self.label_space.background_index is not None:
            shown[:, self.label_space.background_index] = False
        return shown

    @torch.no_grad()
    def predict(self, semantic_map: SemanticMap, names: Sequence[str]) -> Tensor:
        """Probability of each pixel to be of the named class of its map, float32 [B, side, side]. Raises DataError unless one name a map."""
        if len(names) != len(semantic_map):
            raise DataError(f"{len(names)} classes for {len(semantic_map)} maps: name one for each.")
        labels = labels_at(semantic_map, self.config.side)
        classes = torch.tensor([self.label_space.index(n) for n in names], device=labels.device)
        return self.logits(labels, classes).sigmoid()

    @torch.no_grad()
    def errors(self, semantic_map: SemanticMap) -> Tensor:
        """Compatibility error: 1 - soft IoU of predicted and real shape, mean over the parts of the map, float64 [B]; NaN without parts."""
        labels = labels_at(semantic_map, self.config.side)
        shown = self.parts(labels)
        rows, classes = shown.nonzero().unbind(1)
        total = torch.zeros(len(labels), dtype=torch.float64, device=labels.device)
        for part in torch.arange(len(rows), device=labels.device).split(32):
            total.index_add_(0, rows[part], self.misses(labels[rows[part]], classes[part]).double())
        return total / shown.sum(1)

    def misses(self, labels: Tensor, classes: Tensor) -> Tensor:
        """1 - soft IoU of each class's predicted shape with its own in the map, [B]."""
        shape = (labels == classes[:, None, None]).float()
        guess = self.logits(labels, classes).float().sigmoid()
        both = (shape * guess).flatten(1).sum(1)
        return 1 - both / (shape + guess - shape * guess).flatten(1).sum(1)
