"""The graph of the parser: a photo at its size to the map, and the scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.interfaces.exports import Exports, Graph, Port

if TYPE_CHECKING:
    from zoo_plugins.judges.parser import MobileParser


class _Parse(nn.Module):
    def __init__(self, model: MobileParser) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = F.interpolate(self.model.logits(image), size=self.model.resolution, mode="bilinear", antialias=False)
        return scores.argmax(1).int(), scores


def exports(model: MobileParser) -> Exports:
    """`parse`, at the model's own size: who has larger photos makes them that large, and scales the scores back where edges matter."""
    side = model.resolution
    image = Port("image", "image", (3, *side), ("channel", "height", "width"), "the photo, red, green, blue, 0 to 1")
    labels = Port("labels", "labels", side, ("height", "width"), f"class numbers of {model.label_space.name}")
    scores = Port(
        "scores", "scores", (len(model.channels), *side), ("class", "height", "width"), "scores of the classes"
    )
    network = _Parse(model)

    def parse(photo: Tensor) -> tuple[Tensor, Tensor]:
        return model.parse(photo).labels.int(), network(photo)[1]

    return Exports((Graph("parse", network, (image,), (labels, scores), "the map of a photo", parse),))
