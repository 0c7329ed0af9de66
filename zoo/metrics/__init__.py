"""Scores. Importing this imports no torch; the functions live in `segmentation`, `images`, `agreement` and `shapes`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.metrics.agreement import parser_agreement
    from zoo.metrics.images import image_l1
    from zoo.metrics.segmentation import ConfusionMatrix, segmentation_scores
    from zoo.metrics.shapes import PartStatistics, compare_parts

_WHERE = {
    "ConfusionMatrix": "segmentation",
    "segmentation_scores": "segmentation",
    "image_l1": "images",
    "parser_agreement": "agreement",
    "PartStatistics": "shapes",
    "compare_parts": "shapes",
}
__all__ = ["ConfusionMatrix", "PartStatistics", "compare_parts", "image_l1", "parser_agreement", "segmentation_scores"]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"zoo.metrics.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
