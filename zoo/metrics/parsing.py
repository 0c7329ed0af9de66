"""How a parser does on photos with maps, and what it looks like: for trainers of parsers."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.data import Batch, PairData
from zoo.interfaces.models import MaskParser
from zoo.metrics.segmentation import ConfusionMatrix


def parser_rows(model: MaskParser, batch: Batch) -> dict[str, Tensor]:
    """Photos, maps and what the parser reads, each [B, 3, H, W] in [0, 1]; nothing for a batch of maps alone."""
    if batch.images is None:
        return {}
    return {"photo": batch.images, "map": batch.maps.colorize(), "parsed": model.parse(batch.images).colorize()}


@torch.no_grad()
def parser_scores(model: MaskParser, data: PairData, batch_size: int) -> dict[str, float]:
    """miou over classes that at least 10 of the maps show, miou_all, accuracy: shares of 1, pooled, in eval mode; nothing where maps
    have no photos."""
    matrix, was_training = ConfusionMatrix(model.label_space), model.training
    model.eval()
    try:
        for batch in data.batches(batch_size):
            if batch.images is None:
                return {}
            same = batch.maps.space.names == matrix.space.names
            matrix.add(
                model.parse(batch.images.to(model.device)), batch.maps if same else batch.maps.to_space(matrix.space)
            )
    finally:
        model.train(was_training)
    return matrix.scores()
