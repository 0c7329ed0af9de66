"""The mean style of a class over the photos that show it: an asset of synthesizers whose style is per class and comes from photos."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from zoo.data import PairData
from zoo.errors import DataError
from zoo.interfaces.models import shape_fault
from zoo.maps import SemanticMap

FIT_BATCH = 8
Read = Callable[[Tensor, SemanticMap], tuple[Tensor, Tensor]]
"""From photos [B, 3, H, W] in [0, 1] and their maps to (styles [B, classes, …], zeros where absent; which are present, bool
[B, classes])."""


def class_mean_fault(tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...]) -> str:
    """What is wrong with an asset that should be one of `fit_class_means`, or "". shape: of the tensor `name`, classes first."""
    return shape_fault(tensors, {name: shape, "photos": shape[:1]}, counts=("photos",))


@torch.no_grad()
def fit_class_means(data: PairData, name: str, read: Read, title: str) -> dict[str, Tensor]:
    """`name` [classes, …] float32: the plain mean of the styles over the photos that show the class (zeros where none does); photos
    [classes] int64: how many do. Not random. Raises DataError for data without photos, naming the system by `title`.
    """
    sums: Tensor | None = None
    counts: Tensor | None = None
    for batch in data.batches(FIT_BATCH):
        if batch.images is None:
            raise DataError(f"The mean style of {title} is that of photos, and this data set holds maps alone.")
        styles, present = read(batch.images, batch.maps)
        total, seen = styles.double().sum(0).cpu(), present.sum(0).cpu()
        sums, counts = (total, seen) if sums is None or counts is None else (sums + total, counts + seen)
    if sums is None or counts is None:
        raise DataError(f"The mean style of {title} is that of photos, and this data set is empty.")
    share = counts.clamp_min(1).view(-1, *[1] * (sums.dim() - 1))
    return {name: (sums / share).float(), "photos": counts}
