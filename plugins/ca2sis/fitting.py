"""What CA2SIS computes from a data set with finished weights: the mean tokens of its photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from zoo.families.spade.mean_styles import class_mean_fault, fit_class_means
from zoo.plugin import PairData, SemanticMap

if TYPE_CHECKING:
    from zoo_plugins.ca2sis.model import CA2SIS


def mean_style_fault(model: CA2SIS, tensors: Mapping[str, Tensor]) -> str:
    """What is wrong with an asset that should be one of `fit_mean_style`, or ""."""
    config = model.config
    return class_mean_fault(tensors, "tokens", (len(model.channels), config.scales, config.style_dim))


def fit_mean_style(model: CA2SIS, data: PairData) -> dict[str, Tensor]:
    """tokens [classes, scales, style_dim] float32: the mean over the photos that show the class (zeros where none does);
    photos [classes] int64: how many do. Not random. Ours. Raises DataError for data without photos.
    """

    def read(photos: Tensor, maps: SemanticMap) -> tuple[Tensor, Tensor]:
        style = model.encode_style(photos, maps)
        assert style.present is not None
        return style.tensors["tokens"], style.present

    return fit_class_means(data, "tokens", read, model.title)
