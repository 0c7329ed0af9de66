"""CLVAE's protocols: how like its photo a picture is, how unlike the pictures of one map are, and how like the photo the nearest of them.

Each by LPIPS, and by features of MobileNetV2 under a name of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.evaluation.evidence import SubjectEvidence
from zoo.evaluation.images import BOOTSTRAP, draws_styles, knows_its_photo
from zoo.evaluation.made import styled_batches
from zoo.interfaces.metrics import Measured, Metric
from zoo.metrics.intervals import mean_interval
from zoo.metrics.perceptual import mean_perceptual_distance, nearest_of, perceptual_distance


@dataclass(frozen=True)
class Drawn:
    """Of the pictures of each map in drawn styles: mean distance of two, and distance of the L1-nearest to the photo, float64 [N]."""

    apart: Tensor
    nearest: Tensor


def measure_similarity(evidence: SubjectEvidence, network: str) -> Measured:
    """Distance of each picture from its photo: GT-similarity where the style is the photo's (CLVAE, section 4.1)."""
    perceptual, scores = evidence.perceptual[network](), dict[str, Any]()
    for name in [n for n in evidence.pictures if n != "random_style"]:
        found = []
        for start in range(0, len(evidence.photos), 16):
            part = slice(start, start + 16)
            pair = [perceptual.features(x[part]) for x in (evidence.pictures[name], evidence.photos)]
            found.append(perceptual_distance(*pair))
        scores[name] = mean_interval(torch.cat(found), evidence.seed)
    return Measured(scores, evidence.facts("counts", "resize", "seed") | {"distance": perceptual.facts, **BOOTSTRAP})


def drawn(evidence: SubjectEvidence, network: str) -> Drawn:
    """Both numbers of every measured map, made together and once."""

    def make() -> Drawn:
        perceptual = evidence.perceptual[network]()
        apart, nearest = list[Tensor](), list[Tensor]()
        for batch, pictures in styled_batches(evidence):
            features = [perceptual.features(images) for images in pictures]
            apart.append(mean_perceptual_distance(features))
            if batch.images is not None:
                chosen = nearest_of(torch.stack(pictures), batch.images)
                best = [torch.stack(layer)[chosen, torch.arange(len(batch))] for layer in zip(*features, strict=True)]
                nearest.append(perceptual_distance(best, perceptual.features(batch.images)))
        return Drawn(torch.cat(apart), torch.cat(nearest) if nearest else torch.empty(0))

    return evidence.keep(f"drawn styles, {network}", make)


def measure_diversity(evidence: SubjectEvidence, network: str) -> Measured:
    """Mean distance over all pairs of the pictures of a map, then over maps (CLVAE, section 4.2: 40 pictures of a map)."""
    found = drawn(evidence, network)
    return Measured(mean_interval(found.apart, evidence.seed), _protocol(evidence, network))


def measure_top1(evidence: SubjectEvidence, network: str) -> Measured:
    """Distance from its photo of that of the pictures of a map which is nearest to it by L1, mean over maps (CLVAE, section 4.2)."""
    found = drawn(evidence, network)
    return Measured(mean_interval(found.nearest, evidence.seed), _protocol(evidence, network) | {"nearest": "by L1"})


def _protocol(evidence: SubjectEvidence, network: str) -> dict[str, Any]:
    how = {"maps": min(evidence.styled, len(evidence.indices)), "pictures_of_a_map": evidence.styles}
    how |= {"distance": evidence.perceptual[network]().facts, **BOOTSTRAP}
    return evidence.facts("resize", "seed") | how


def several_and_photos(evidence: SubjectEvidence) -> str:
    """As `draws_styles`, and why there is no photo to be near to."""
    return draws_styles(evidence) or (
        "" if evidence.data.has_images else "compares with photos, and the data holds maps alone"
    )


BOTH, ONE = ("synthesizer", "folder"), ("synthesizer",)
GT_SIMILARITY, FEATURE_SIMILARITY = (
    Metric(
        f"{what} between picture and photo",
        BOTH,
        partial(measure_similarity, network=n),
        pairs=True,
        applies=knows_its_photo,
    )
    for what, n in (("LPIPS", "lpips"), ("distance of features", "features"))
)
LPIPS_DIVERSITY, FEATURE_DIVERSITY = (
    Metric(f"{what} between pictures of a map", ONE, partial(measure_diversity, network=n), applies=draws_styles)
    for what, n in (("LPIPS", "lpips"), ("distance of features", "features"))
)
TOP1_GT_SIMILARITY, TOP1_FEATURE_SIMILARITY = (
    Metric(f"{what} of a map's L1-nearest picture", ONE, partial(measure_top1, network=n), applies=several_and_photos)
    for what, n in (("LPIPS", "lpips"), ("distance of features", "features"))
)
