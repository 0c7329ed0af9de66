"""The graph of the face parser: a photo at its size to the map, and the scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo.interfaces.exports import Exports, Graph, Port

if TYPE_CHECKING:
    from zoo_plugins.face_parser.model import FaceParser


class _Parse(nn.Module):
    values: Tensor

    def __init__(self, model: FaceParser) -> None:
        super().__init__()
        self.network = model.network
        self.register_buffer("values", model._values("cpu"))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.network((image - 0.5) / 0.5)
        return self.values[scores.argmax(1)].int(), scores


def exports(model: FaceParser) -> Exports:
    """`parse`, at the model's own size: who has larger photos makes them that large, and scales the scores back where edges matter."""
    side = model.resolution
    image = Port("image", "image", (3, *side), ("channel", "height", "width"), "the photo, red, green, blue, 0 to 1")
    labels = Port("labels", "labels", side, ("height", "width"), f"class numbers of {model.label_space.name}")
    scores = Port(
        "scores", "scores", (len(model.channels), *side), ("class", "height", "width"), "scores of the channels"
    )

    def parse(photo: Tensor) -> tuple[Tensor, Tensor]:
        return model.parse(photo).labels.int(), model.logits(photo)

    return Exports((Graph("parse", _Parse(model), (image,), (labels, scores), "the map of a photo", parse),))
