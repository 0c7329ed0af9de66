"""What CA2SIS computes from a data set with finished weights: the mean tokens of its photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import DataError, PairData, shape_fault

if TYPE_CHECKING:
    from zoo_plugins.ca2sis.model import CA2SIS

BATCH = 8


def mean_style_fault(model: CA2SIS, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_mean_style`, or ""."""
    classes, config = len(model.channels), model.config
    shapes = {"tokens": (classes, config.scales, config.style_dim), "photos": (classes,)}
    return shape_fault(tensors, shapes, counts=("photos",))


@torch.no_grad()
def fit_mean_style(model: CA2SIS, data: PairData) -> dict[str, Tensor]:
    """tokens [classes, scales, style_dim] float32: the mean over the photos that show the class (zeros where none does);
    photos [classes] int64: how many do. Not random. Ours. Raises DataError for data without photos.
    """
    config = model.config
    sums = torch.zeros(len(model.channels), config.scales, config.style_dim, dtype=torch.float64)
    counts = torch.zeros(len(model.channels), dtype=torch.int64)
    for batch in data.batches(BATCH):
        if batch.images is None:
            raise DataError("The mean style of CA2SIS is that of photos, and this data set holds maps alone.")
        style = model.encode_style(batch.images, batch.maps)
        assert style.present is not None
        sums += style.tensors["tokens"].double().sum(0).cpu()  # absent classes hold zeros
        counts += style.present.sum(0).cpu()
    return {"tokens": (sums / counts.clamp_min(1)[:, None, None]).float(), "photos": counts}
