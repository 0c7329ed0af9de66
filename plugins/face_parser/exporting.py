"""The graph of the face parser: a photo at its size to the map, and the scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from zoo.interfaces.exports import Exports, of_parser

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
    """`parse`."""
    return of_parser(model, _Parse(model), model.logits)
