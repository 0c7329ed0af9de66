"""Scores. Importing this imports no torch; each function lives in the module that `_WHERE` names."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoo.metrics.agreement import parser_agreement
    from zoo.metrics.frechet import frechet_distance
    from zoo.metrics.images import image_l1
    from zoo.metrics.inception import inception_score
    from zoo.metrics.intervals import mean_interval, pooled_intervals
    from zoo.metrics.maps import draw_pairs, told_apart
    from zoo.metrics.neighbours import mean_pairwise_distance, nearest_maps
    from zoo.metrics.perceptual import mean_perceptual_distance, nearest_of, perceptual_distance
    from zoo.metrics.realism import fid, fine_detail, judge_features, kid, kid_interval, odd_colours
    from zoo.metrics.segmentation import ConfusionMatrix, segmentation_scores
    from zoo.metrics.shapes import PartStatistics, compare_parts

_WHERE = {
    "parser_agreement": "agreement",
    "frechet_distance": "frechet",
    "image_l1": "images",
    "inception_score": "inception",
    "mean_interval": "intervals",
    "pooled_intervals": "intervals",
    "draw_pairs": "maps",
    "told_apart": "maps",
    "mean_pairwise_distance": "neighbours",
    "nearest_maps": "neighbours",
    "mean_perceptual_distance": "perceptual",
    "nearest_of": "perceptual",
    "perceptual_distance": "perceptual",
    "fid": "realism",
    "fine_detail": "realism",
    "judge_features": "realism",
    "kid": "realism",
    "kid_interval": "realism",
    "odd_colours": "realism",
    "ConfusionMatrix": "segmentation",
    "segmentation_scores": "segmentation",
    "PartStatistics": "shapes",
    "compare_parts": "shapes",
}
__all__ = [
    "ConfusionMatrix", "PartStatistics", "compare_parts", "draw_pairs", "fid", "fine_detail", "frechet_distance", "image_l1",
    "inception_score", "judge_features", "kid", "kid_interval", "mean_interval", "mean_pairwise_distance", "mean_perceptual_distance",
    "nearest_maps", "nearest_of", "odd_colours", "parser_agreement", "perceptual_distance", "pooled_intervals", "segmentation_scores",
    "told_apart",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"zoo.metrics.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
