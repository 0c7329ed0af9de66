"""Distances among many things: between the pictures of one map, and from a map to the nearest of a collection."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from zoo.errors import DataError, LabelError
from zoo.maps import SemanticMap

SIDE = 64
"""Maps are compared at this size (nearest), so that a collection of thousands takes seconds."""


def mean_pairwise_distance(features: Sequence[Tensor]) -> Tensor:
    """Mean Euclidean distance between the k pictures of each map, float64 [N]: features of k >= 2 pictures each, k times [N, D]."""
    if len(features) < 2 or len({f.shape for f in features}) > 1:
        raise DataError(f"Diversity takes two pictures or more of every map, got {[list(f.shape) for f in features]}.")
    distances = [(a.double() - b.double()).norm(dim=1) for a, b in combinations(features, 2)]
    return torch.stack(distances).mean(0)


def nearest_maps(maps: SemanticMap, collection: SemanticMap) -> Tensor:
    """For each map the share of pixels in which it differs from the most similar one of `collection`, float64 [N]; 0: it is one of them.

    Both are compared at 64 x 64 pixels. Raises LabelError for two label spaces, DataError for an empty side.
    """
    if maps.space.names != collection.space.names:
        raise LabelError(f"Maps of {maps.space.name!r} and {collection.space.name!r} cannot be compared: use to_space.")
    if not len(maps) or not len(collection):
        raise DataError(f"The nearest map takes maps on both sides, got {len(maps)} and {len(collection)}.")
    rows, others = (m.resize((SIDE, SIDE)).labels.to(torch.uint8).flatten(1).cpu() for m in (maps, collection))
    return torch.stack([(others != row).sum(1).min().double() / row.numel() for row in rows])
