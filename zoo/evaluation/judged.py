"""SegVAE's protocols by judges of maps: diversity over pairs, compatibility and reconstruction error; and what a judge itself is worth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from zoo.api import load
from zoo.errors import DataError, UsageError
from zoo.evaluation.evidence import SubjectEvidence
from zoo.evaluation.images import BOOTSTRAP
from zoo.evaluation.parsers import model_facts, open_map_judge
from zoo.evaluation.shapes import NamedGenerator, draw, drawn_classes, masked
from zoo.interfaces.capabilities import Codes
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.label_sets import only
from zoo.interfaces.metrics import Measured, Metric
from zoo.interfaces.models import MaskGenerator
from zoo.maps import SemanticMap
from zoo.metrics.intervals import mean_interval
from zoo.metrics.maps import draw_pairs, told_apart
from zoo.metrics.perceptual import perceptual_distance, unit

PAIRS = 3000
"""As in the paper."""
AT_ONCE = 32


def judge_of(evidence: SubjectEvidence, ability: str, what: str) -> tuple[str, MapJudge]:
    """The judge with codes ("codes") or without (""): of those that were named the one that fits, else the published one."""

    def make() -> tuple[str, MapJudge]:
        named = [n for n in evidence.judges if ("codes" in load(n).capabilities()) == bool(ability)]
        if len(named) > 1:
            raise UsageError(f"Two of the judges are {what}s ({', '.join(named)}): name one.")
        return open_map_judge(named[0] if named else None, ability, evidence.data.label_space, what)

    return evidence.keep(f"judge, {what}", make)


def of_test_sets(evidence: SubjectEvidence) -> tuple[SemanticMap, SemanticMap]:
    """A drawing of each real map's label set, and these real maps with the same classes, on the CPU.

    Maps that show nothing that the model draws are left out. Raises DataError if fewer than two are left.
    """

    def make() -> tuple[SemanticMap, SemanticMap]:
        model, space = cast(MaskGenerator, evidence.model), evidence.data.label_space
        names = drawn_classes(model, space)
        sets = [only(s, names) for s in evidence.maps.label_sets()]
        kept = [i for i, s in enumerate(sets) if s.names]
        if len(kept) < 2:
            raise DataError(f"This takes two real maps or more that show what the model draws, got {len(kept)}.")
        real = masked(evidence.maps[kept], names)
        made = draw(
            NamedGenerator(evidence.source.name, model, evidence.prior), [sets[i] for i in kept], space, evidence.seed
        )
        evidence.watch("maps drawn", len(kept), len(kept))
        return made.resize(real.size), real

    return evidence.keep("drawings of test label sets", make)


def errors_of(judge: MapJudge, maps: SemanticMap) -> Tensor:
    """Errors of any number of maps, float64 [N] on the CPU."""
    parts = [
        judge.errors(maps[list(range(s, min(s + AT_ONCE, len(maps))))].to(judge.device))
        for s in range(0, len(maps), AT_ONCE)
    ]
    return torch.cat(parts).cpu()


def known(errors: Tensor, seed: int) -> dict[str, Any]:
    """Mean and interval of the errors that can be had. A set of maps that all show nothing has none: NaN."""
    there = errors[~errors.isnan()]
    nan = float("nan")
    return dict(mean_interval(there, seed)) if len(there) else {"mean": nan, "low": nan, "high": nan, "n": 0}


def measure_errors(evidence: SubjectEvidence, ability: str, what: str, unit_of: str) -> Measured:
    """The judge's error of drawings of the real maps' label sets, and of these real maps."""
    name, judge = judge_of(evidence, ability, what)
    made, real = of_test_sets(evidence)
    scores = {key: known(errors_of(judge, maps), evidence.seed) for key, maps in (("drawn", made), ("real", real))}
    how = {
        "maps": len(made),
        "judge": model_facts(name),
        "judged_at": list(judge.resolution),
        "error": unit_of,
        **BOOTSTRAP,
    }
    return Measured(scores, evidence.facts("resize", "seed") | how)


def measure_map_diversity(evidence: SubjectEvidence) -> Measured:
    """Distance of the auto-encoder's features over 3,000 pairs of drawings of real label sets; the same of the real maps."""
    name, judge = judge_of(evidence, "codes", "mask auto-encoder")
    made, real = of_test_sets(evidence)
    pairs = draw_pairs(len(made), PAIRS, evidence.seed)
    scores = {}
    for key, maps in (("drawn", made), ("real", real)):
        distances = pair_distances(codes_of(judge, maps), pairs)
        scores[key] = {**mean_interval(distances, evidence.seed), "n": len(pairs)}
    how = {
        "maps": len(made), "pairs": len(pairs), "judge": model_facts(name), "judged_at": list(judge.resolution),
        "distance": "LPIPS' formula without learned weights, summed over four layers of the encoder",
        "interval": "95 %, percentile bootstrap over pairs, 1000 resamples",
    }  # fmt: skip
    few = () if len(pairs) == PAIRS else (f"{len(made)} maps make {len(pairs)} pairs; the paper takes {PAIRS}.",)
    return Measured(scores, evidence.facts("resize", "seed") | how, few)


def codes_of(judge: MapJudge, maps: SemanticMap) -> list[Tensor]:
    """Features of any number of maps by layer, of unit length over the channels, on the CPU."""
    assert isinstance(judge, Codes)
    parts = []
    for start in range(0, len(maps), AT_ONCE):
        rows = list(range(start, min(start + AT_ONCE, len(maps))))
        parts.append([unit(layer).cpu() for layer in judge.codes(maps[rows].to(judge.device))])
    return [torch.cat(layer) for layer in zip(*parts, strict=True)]


def pair_distances(codes: list[Tensor], pairs: Tensor) -> Tensor:
    """Distances of pairs [n, 2] of maps, float64 [n], some at a time."""
    found = [
        perceptual_distance([c[part[:, 0]] for c in codes], [c[part[:, 1]] for c in codes])
        for part in pairs.split(AT_ONCE)
    ]
    return torch.cat(found)


# --- a judge ------------------------------------------------------------------------------------------------------


def measure_judge(evidence: SubjectEvidence) -> Measured:
    """What a judge finds in real held-out maps, and in the same maps with one part from another map, which it should tell apart."""
    assert isinstance(evidence.model, MapJudge)
    real = evidence.maps
    found = {
        "real": errors_of(evidence.model, real),
        "one_part_of_another_map": errors_of(evidence.model, exchanged(real)),
    }
    scores: dict[str, Any] = {name: known(errors, evidence.seed) for name, errors in found.items()}
    low, high = (errors[~errors.isnan()] for errors in found.values())
    scores["told_apart"] = told_apart(low, high)
    how = {
        "exchanged": "the second largest part that a map shares with the next one, by the next one's",
        **BOOTSTRAP,
    }
    return Measured(scores, evidence.facts("counts", "resize", "seed", "classes") | how)


def exchanged(maps: SemanticMap) -> SemanticMap:
    """Each map with a part of the next one in place of its own: the second largest that both show (of one shared part, that one).

    Where the old part lay and the new one does not, the most frequent other class among the map's own takes its place. A map that shares
    no part with the next stays as it is.
    """
    labels, rows = maps.labels, maps.labels.clone()
    for i in range(len(maps)):
        mine, other = labels[i], labels[(i + 1) % len(maps)]
        sizes = torch.bincount(mine.flatten(), minlength=256)[: len(maps.space)]
        shared = (sizes > 0) & (torch.bincount(other.flatten(), minlength=256)[: len(maps.space)] > 0)
        if maps.space.background_index is not None:
            shared[maps.space.background_index] = False
        if not bool(shared.any()):
            continue
        order = (sizes * shared).argsort(descending=True)
        part = int(order[min(1, int(shared.sum()) - 1)])
        sizes[part] = 0
        rows[i][mine == part] = int(sizes.argmax())
        rows[i][other == part] = part
    return SemanticMap(rows, maps.space)


def judges(ability: str, what: str) -> Callable[[Any], str]:
    """Why no such judge can be asked, or ""."""

    def refusal(evidence: SubjectEvidence) -> str:
        try:
            judge_of(evidence, ability, what)
        except UsageError as error:
            return f"takes a {what}: {str(error.args[0]).rstrip('.')}"
        return ""

    return refusal


AUTOENCODER, PREDICTOR = ("codes", "mask auto-encoder"), ("", "shape predictor")
NATS = "cross entropy of the map behind the bottleneck, nats per pixel"
MISSED = "1 - soft IoU of each part with its shape as predicted from the others, mean over parts"
GENERATOR = ("generator",)
AUTOENCODER_DIVERSITY = Metric(
    "distance between drawn maps by an auto-encoder", GENERATOR, measure_map_diversity, applies=judges(*AUTOENCODER)
)
RECONSTRUCTION_ERROR = Metric(
    "how badly an auto-encoder of real maps reconstructs drawn ones", GENERATOR,
    partial(measure_errors, ability="codes", what=AUTOENCODER[1], unit_of=NATS), applies=judges(*AUTOENCODER),
)  # fmt: skip
COMPATIBILITY_ERROR = Metric(
    "how badly a part's shape follows from the others", GENERATOR,
    partial(measure_errors, ability="", what=PREDICTOR[1], unit_of=MISSED), applies=judges(*PREDICTOR),
)  # fmt: skip
JUDGE = Metric("errors of real maps and of maps with an exchanged part", ("judge",), measure_judge)
