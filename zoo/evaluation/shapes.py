"""Mask generators on the label sets of real maps: parts that appear, layouts, areas and centres, and how much drawings differ."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo.data.pairs import PairData
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import SemanticMap
from zoo.metrics.shapes import PartStatistics, compare_parts, layout_distance, pixel_diversity
from zoo.rng import Rng

BATCH = 20


@dataclass
class NamedGenerator:
    """A model and what it is called in the tables."""

    name: str
    model: MaskGenerator
    prior: str | None = None


def drawn_classes(model: MaskGenerator, space: LabelSpace) -> set[str]:
    """The classes of `space` that the model draws, by name."""
    mapping = dict(model.label_space.mapping_to(space).pairs)
    names = (
        model.label_space.names[model.label_space.index(n)] for n in getattr(model, "channels", model.label_space.names)
    )
    return {mapping[n] for n in names if n in mapping} - {space.background or ""}


def draw(
    named: NamedGenerator,
    sets: Sequence[LabelSet],
    space: LabelSpace,
    seed: int,
    *,
    samples: Sequence[int] | None = None,
) -> SemanticMap:
    """One map per label set, in the data's space; map i draws from sample i of the seed, or from samples[i]."""
    numbers = range(len(sets)) if samples is None else samples
    model, parts = named.model, []
    back = dict(space.mapping_to(model.label_space).pairs)
    for first in range(0, len(sets), BATCH):
        asked = [model.label_space.label_set(back[n] for n in s) for s in sets[first : first + BATCH]]
        latents = model.sample_latents(asked, Rng(seed, numbers[first : first + len(asked)]), prior=named.prior)
        maps = model.generate(asked, latents=latents).to("cpu")
        parts.append(maps if maps.space.names == space.names else maps.to_space(space))
    return SemanticMap.cat(parts)


def measure(
    named: NamedGenerator,
    sets: Sequence[LabelSet],
    real: PartStatistics,
    maps: SemanticMap,
    seeds: int,
    *,
    first_seed: int = 0,
) -> dict[str, Any]:
    """All figures of one model. maps: the real ones; each seed's drawings have a layout distance, whose mean is taken.
    seeds: how many, from `first_seed` on."""
    started = time.perf_counter()
    drawings = [draw(named, sets, real.space, first_seed + seed) for seed in range(seeds)]
    seconds = time.perf_counter() - started
    generated = PartStatistics(real.space)
    for drawn in drawings:
        generated.add(drawn, sets)
    report = {**scores(generated, real), "resolution": list(named.model.resolution)}
    report["layout_distance"] = (
        sum(layout_distance(maps, drawn) for drawn in drawings) / seeds if len(sets) > 1 else math.nan
    )
    report["pixel_diversity"] = float(pixel_diversity(drawings).mean()) if seeds > 1 else math.nan
    return report | {"seconds_per_map": seconds / (len(sets) * seeds)}


def scores(generated: PartStatistics, real: PartStatistics) -> dict[str, Any]:
    """What holds for any set of maps."""
    asked = {n for n, row in real.met().items() if row["asked"]}
    return {
        "share_of_requests_met": generated.share_met(),
        "requested": generated.met(),
        **compare_parts(real, generated, names=[n for n in real.space.names if n in asked]),
    }


def real_maps(data: PairData) -> SemanticMap:
    """All maps of a data set."""
    return SemanticMap.cat([batch.maps for batch in data.batches(BATCH)])


def masked(maps: SemanticMap, names: set[str]) -> SemanticMap:
    """The maps with classes that are not measured turned into background (unlabeled where there is none)."""
    space = maps.space
    table = torch.full((256,), 255 if space.background_index is None else space.background_index)
    for name in names:
        table[space.index(name)] = space.index(name)
    return SemanticMap(table[maps.labels], space)
