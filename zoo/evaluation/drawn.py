"""The protocols of what mask generators draw: reconstruction, requested classes, layouts, and the nearest training map."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from zoo.data.pairs import PairData
from zoo.data.specs import parse_spec, splits_of
from zoo.errors import DataError
from zoo.evaluation.evidence import SubjectEvidence
from zoo.evaluation.reading import POOLED, table
from zoo.evaluation.shapes import BATCH, NamedGenerator, drawn_classes, masked, measure, real_maps
from zoo.evaluation.shapes import scores as compared
from zoo.interfaces.capabilities import Reconstructs
from zoo.interfaces.label_sets import only
from zoo.interfaces.metrics import Measured, Metric
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSet
from zoo.maps import SemanticMap
from zoo.metrics.intervals import mean_interval
from zoo.metrics.neighbours import SIDE, nearest_maps
from zoo.metrics.segmentation import ConfusionMatrix
from zoo.metrics.shapes import PartStatistics, layout_distance, real_diversity
from zoo.rng import Rng
from zoo.training.session import open_pairs

DRAWINGS = 3
"""Maps of each label set in `layout`."""
AT_ONCE = 25
"""Label sets that are drawn together."""


def generator_of(evidence: SubjectEvidence) -> MaskGenerator:
    """The model of a subject that is a generator."""
    assert isinstance(evidence.model, MaskGenerator)
    return evidence.model


# --- reconstruction -----------------------------------------------------------------------------------------------


def reconstructs(evidence: SubjectEvidence) -> str:
    """Why a model cannot encode maps, or ""."""
    can = "reconstruct" in generator_of(evidence).capabilities()
    return "" if can else "takes a model that encodes maps, and this one does not"


def measure_reconstruction(evidence: SubjectEvidence) -> Measured:
    """Held-out maps through encoder and decoder, by the mean code and by a sampled one."""
    model, space = generator_of(evidence), evidence.data.label_space
    assert isinstance(model, Reconstructs)
    matrices = {name: ConfusionMatrix(space, singly=True) for name in ("mean_code", "sampled")}
    seen = 0
    for batch in evidence.batches(16):
        maps = batch.maps.to(model.device)
        rng = Rng(evidence.seed, range(seen, seen + len(batch)))
        seen += len(batch)
        # mask-vae: the plain network, not told which classes are there; SegVAE sees the map as its canvas
        for matrix, source in zip(matrices.values(), (None, rng), strict=True):
            codes = model.encode(maps, rng=source)
            decoded = model.decode(codes, label_sets=None, context=maps)  # type: ignore[arg-type]
            matrix.add(decoded.to("cpu"), batch.maps)
        evidence.watch("maps encoded", seen, len(evidence.indices))
    scores = {name: table(m, evidence.seed) for name, m in matrices.items()}
    how = POOLED | {"miou_all": "mask-vae's Table 1 as we read it: all classes that occur, pooled"}
    return Measured(scores, evidence.facts("counts", "resize", "seed", "classes") | how)


# --- drawn from the label sets of the training data ---------------------------------------------------------------


def has_label_sets(evidence: SubjectEvidence) -> str:
    """Why a model knows no label sets of its training data, or ""."""
    there = "label_sets" in generator_of(evidence).assets
    return (
        ""
        if there
        else "draws label sets as in the training data, and this model has no such list (zoo fit MODEL label_sets)"
    )


def drawn(evidence: SubjectEvidence) -> tuple[list[LabelSet], SemanticMap]:
    """`samples` label sets with the frequencies of the training data, and a map of each, on the CPU; made once for all metrics."""
    return evidence.keep("drawn label sets", lambda: _drawn(evidence))


def _drawn(evidence: SubjectEvidence) -> tuple[list[LabelSet], SemanticMap]:
    model, sets, parts = generator_of(evidence), list[LabelSet](), list[SemanticMap]()
    for first in range(0, evidence.samples, AT_ONCE):
        rng = Rng(evidence.seed, range(first, min(first + AT_ONCE, evidence.samples)))
        asked = model.sample_label_sets(len(rng.samples), rng)
        parts.append(model.generate(asked, latents=model.sample_latents(asked, rng, prior=evidence.prior)).to("cpu"))
        sets += asked
        evidence.watch("maps drawn", len(sets), evidence.samples)
    return sets, SemanticMap.cat(parts)


def measure_requests(evidence: SubjectEvidence) -> Measured:
    """How often a requested class appears."""
    sets, maps = drawn(evidence)
    asked, shown, shares = Counter[str](), Counter[str](), list[float]()
    for wanted, found in zip(sets, maps.label_sets(), strict=True):
        met = [name for name in wanted if name in found.names]
        asked.update(wanted)
        shown.update(met)
        if wanted.names:
            shares.append(len(met) / len(wanted.names))
    if not asked:
        raise DataError("The label sets that were drawn ask for nothing: no share of requests can be had.")
    classes = {n: {"asked": c, "appeared": shown[n], "share": round(shown[n] / c, 3)} for n, c in asked.items()}
    scores = {
        "share_of_requests_met": sum(shown.values()) / sum(asked.values()),
        "share_per_map": mean_interval(torch.tensor(shares), evidence.seed),
        "classes": classes,
    }
    how = {"label_sets": "drawn with the frequencies of the training data", "maps": len(sets)}
    return Measured(scores, evidence.facts("seed") | how)


# --- beside real maps ---------------------------------------------------------------------------------------------


def measure_layout(evidence: SubjectEvidence) -> Measured:
    """Layouts and parts of drawings of the real maps' label sets, beside the real maps."""
    model, space = generator_of(evidence), evidence.data.label_space
    names = drawn_classes(model, space)
    maps = evidence.maps
    sets = [only(s, names) for s in maps.label_sets()]
    kept = [i for i, s in enumerate(sets) if s.names]
    if len(kept) < 2:
        raise DataError(f"Layouts take two real maps or more that show what the model draws, got {len(kept)}.")
    maps, sets = masked(maps[kept], names), [sets[i] for i in kept]
    real = PartStatistics(space)
    real.add(maps)
    found = measure(
        NamedGenerator(evidence.source.name, model, evidence.prior),
        sets,
        real,
        maps,
        DRAWINGS,
        first_seed=evidence.seed,
    )
    for timing in ("seconds_per_map", "resolution"):
        found.pop(timing)
    found["real_pixel_diversity"], found["pairs_of_equal_label_sets"] = real_diversity(maps, sets)
    other, floor = evidence_floor(evidence, real, maps, names)
    if other:
        found["other_real_maps"] = floor
    how: dict[str, Any] = {"other_real_maps": other or "the data has no other split"}
    how |= {
        "label_sets": len(sets),
        "drawings_of_each": DRAWINGS,
        "seeds": [evidence.seed + d for d in range(DRAWINGS)],
    }
    how |= {"layout": "16 x 16 cells, 10 principal components of the real layouts", "interval": None}
    return Measured(found, evidence.facts("resize") | how | {"classes": [n for n in space.names if n in names]})


def evidence_floor(
    evidence: SubjectEvidence, real: PartStatistics, maps: SemanticMap, names: set[str]
) -> tuple[str, dict[str, Any]]:
    """What the same figures are between the measured maps and other real ones, of another split of the data ("val", else "train"), and
    that split's name; "" where there is none. No generator is to be nearer than that."""
    spec, space = parse_spec(evidence.spec), evidence.data.label_space
    splits = splits_of(spec, space=space)
    other = next((s for s in ("val", "validation", "train") if s in splits and s != spec.split), "")
    if not other or not spec.split:
        return "", {}
    data = open_pairs(spec.with_split(other), generator_of(evidence), generator_of(evidence).resolution)
    others = masked(real_maps(data), names)
    if len(others) < 2:
        return "", {}
    parts = PartStatistics(space)
    parts.add(others)
    found = compared(parts, real)
    found.pop("requested")
    found.pop("classes")
    return other, found | {"layout_distance": layout_distance(maps, others)}


def measure_memorising(evidence: SubjectEvidence) -> Measured:
    """Distance from what is drawn to the nearest training map, beside that of the real maps that are measured."""
    model, (_, maps) = generator_of(evidence), drawn(evidence)
    spec, space = parse_spec(evidence.spec), evidence.data.label_space
    train, warnings = "train" if "train" in splits_of(spec, space=space) else spec.split, list[str]()
    collection: PairData = open_pairs(spec.with_split(train), model, model.resolution)
    known = SemanticMap.cat([small(batch.maps) for batch in collection.batches(BATCH)])
    scores: dict[str, Any] = {"drawn": mean_interval(nearest_maps(maps, known), evidence.seed)}
    if train == spec.split:
        warnings.append(
            "The measured maps are the training maps themselves, so nothing tells how near new real maps are."
        )
    else:
        names = set(collection.names)
        if twice := sum(evidence.data.names[i] in names for i in evidence.indices):
            warnings.append(f"{twice} measured pairs have names of training pairs.")
        scores["held_out"] = mean_interval(nearest_maps(evidence.maps, known), evidence.seed)
        whole = scores["held_out"]["mean"]
        scores["ratio"] = scores["drawn"]["mean"] / whole if whole else float("nan")
    how = {"training_maps": len(known), "split": train or "all", "maps": len(maps), "compared_at": [SIDE, SIDE]}
    how |= {
        "distance": "share of pixels that differ",
        "interval": "95 %, percentile bootstrap over maps, 1000 resamples",
    }
    return Measured(scores, evidence.facts("seed") | how, warnings)


def small(maps: SemanticMap) -> SemanticMap:
    """Maps at the size at which they are compared."""
    return SemanticMap(maps.labels, maps.space).resize((SIDE, SIDE))


GENERATOR = ("generator",)
RECONSTRUCTION = Metric("maps through encoder and decoder", GENERATOR, measure_reconstruction, applies=reconstructs)
REQUESTS = Metric("how often a requested class appears", GENERATOR, measure_requests, applies=has_label_sets)
LAYOUT = Metric("layouts and parts beside real maps", GENERATOR, measure_layout)
MEMORISING = Metric("distance to the nearest training map", GENERATOR, measure_memorising, applies=has_label_sets)
