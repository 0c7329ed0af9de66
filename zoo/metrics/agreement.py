"""How well a parser reads the maps back from pictures: the judge of synthesised images, and of the parser on real ones."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.interfaces.models import MaskParser
from zoo.maps import SemanticMap
from zoo.metrics.segmentation import ConfusionMatrix


def parser_agreement(
    parser: MaskParser, images: Tensor, maps: SemanticMap, *, batch_size: int = 16
) -> dict[str, float]:
    """Parses the pictures and compares with the maps they should show: miou, miou_all, accuracy, pooled over all.

    images: float [N, 3, H, W] in [0, 1]; maps: [N, H, W]. The parser's maps are brought into the maps' space by names.
    It says how well a layout is followed, not how real a picture looks. Put the parser into eval mode first: raises
    DataError if it is in training mode, or if the numbers of pictures and maps differ.
    """
    matrix = ConfusionMatrix(maps.space)
    add_agreement(matrix, parser, images, maps, batch_size=batch_size)
    return matrix.scores()


def add_agreement(
    matrix: ConfusionMatrix, parser: MaskParser, images: Tensor, maps: SemanticMap, *, batch_size: int = 16
) -> None:
    """The same for one part of a data set: adds to a pooled confusion matrix."""
    if parser.training:
        raise DataError(
            "The parser is in training mode, where batch norm mixes the pictures: call parser.eval() first."
        )
    if len(images) != len(maps):
        raise DataError(f"{len(images)} pictures for {len(maps)} maps.")
    same = parser.label_space.names == maps.space.names
    with torch.no_grad():
        for start in range(0, len(images), batch_size):
            part = slice(start, start + batch_size)
            parsed = parser.parse(images[part].to(parser.device))
            matrix.add(parsed if same else parsed.to_space(maps.space), maps[part])
