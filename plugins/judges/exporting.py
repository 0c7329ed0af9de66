"""The graph of the parser: a photo at its size to the map, and the scores of all classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.interfaces.exports import Exports, of_parser

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
    """`parse`."""
    network = _Parse(model)
    return of_parser(model, network, lambda photo: network(photo)[1])
