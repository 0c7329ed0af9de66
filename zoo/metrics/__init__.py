"""Scores. Importing this imports no torch; the functions live in `segmentation`, `images`, `agreement`,
`realism`, `shapes`, `intervals` and `neighbours`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.metrics.agreement import parser_agreement
    from zoo.metrics.images import image_l1
    from zoo.metrics.intervals import mean_interval
    from zoo.metrics.neighbours import mean_pairwise_distance, nearest_maps
    from zoo.metrics.realism import fid, fine_detail, judge_features, kid, odd_colours
    from zoo.metrics.segmentation import ConfusionMatrix, segmentation_scores
    from zoo.metrics.shapes import PartStatistics, compare_parts

_WHERE = {
    "ConfusionMatrix": "segmentation",
    "segmentation_scores": "segmentation",
    "image_l1": "images",
    "parser_agreement": "agreement",
    "mean_interval": "intervals",
    "mean_pairwise_distance": "neighbours",
    "nearest_maps": "neighbours",
    "fid": "realism",
    "fine_detail": "realism",
    "judge_features": "realism",
    "kid": "realism",
    "odd_colours": "realism",
    "PartStatistics": "shapes",
    "compare_parts": "shapes",
}
__all__ = [
    "ConfusionMatrix", "PartStatistics", "compare_parts", "fid", "fine_detail", "image_l1", "judge_features", "kid", "mean_interval",
    "mean_pairwise_distance", "nearest_maps", "odd_colours", "parser_agreement", "segmentation_scores",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"zoo.metrics.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
