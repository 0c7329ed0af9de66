"""The protocols of what is measured on pictures: distances to photos, fine detail, colours, diversity of styles."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from zoo.evaluation.evidence import SubjectEvidence
from zoo.evaluation.extractors import inception_classifier
from zoo.evaluation.made import styled_batches
from zoo.interfaces.metrics import Measured, Metric
from zoo.interfaces.models import ImageSynthesizer
from zoo.metrics.images import image_l1
from zoo.metrics.inception import inception_score
from zoo.metrics.intervals import mean_interval
from zoo.metrics.neighbours import mean_pairwise_distance
from zoo.metrics.realism import BAND, fid, fine_detail, kid_interval, odd_colours


def measure_distance(evidence: SubjectEvidence, distance: str) -> Measured:
    """KID x 1000 or FID of each kind of picture against the photos: of the measured pairs, of a translator those of the domain."""
    features = {
        n: (evidence.features(images), evidence.features(evidence.truth(n))) for n, images in evidence.pictures.items()
    }
    facts = evidence.facts("counts", "resize", "extractor", "seed")
    if distance == "kid":
        found = {name: kid_interval(*sides) for name, sides in features.items()}
        scores = {n: {k: v if k == "n" else 1000 * v for k, v in score.items()} for n, score in found.items()}
        how = {
            "estimator": "unbiased, all pairs, kernel (x y / D + 1)^3",
            "scale": 1000,
            "interval": "95 %, normal, jackknife",
        }
        return Measured(scores, facts | how)
    scores = {name: fid(*sides) for name, sides in features.items()}
    fewest, width = (
        min(len(side) for sides in features.values() for side in sides),
        evidence.features(evidence.photos).shape[1],
    )
    few = (
        f"{fewest} pictures do not determine the covariance of {width} features (it takes {width + 1}): the figure is too high and"
        " grows as pictures get fewer; compare it at equal counts only, or take kid."
    )
    how = {"features": width, "covariance": "divided by N - 1", "interval": None}
    how["photos"] = {name: len(sides[1]) for name, sides in features.items()}
    return Measured(scores, facts | how, (few,) if fewest <= width else ())


def measure_inception_score(evidence: SubjectEvidence) -> Measured:
    """exp(mean KL) of the classes that ImageNet's Inception sees in the pictures, and in the photos."""
    classify, facts = inception_classifier()
    scores, splits = dict[str, Any](), 10 if len(evidence.indices) >= 1000 else 1
    for name, images in {"real": evidence.photos, **evidence.pictures}.items():
        logits = torch.cat([classify(part) for part in images.split(16)])
        mean, deviation = inception_score(logits, splits)
        scores[name] = {"score": mean, "deviation": deviation}
    how = {"classifier": facts, "splits": splits, "interval": None}
    few = "An Inception score of few pictures is too low: compare it at equal counts only."
    return Measured(
        scores, evidence.facts("counts", "resize", "seed") | how, (few,) if len(evidence.indices) < 5000 else ()
    )


def two_or_more(evidence: SubjectEvidence) -> str:
    """Why there is no distribution to speak of, or ""."""
    made = len(evidence.source.pictures) if evidence.model is None and not evidence.paired else len(evidence.indices)
    fewest = min(made, len(evidence.indices), evidence.limit or made)
    return "" if fewest >= 2 else f"takes two pictures or more on each side, there is {fewest}"


def knows_its_photo(evidence: SubjectEvidence) -> str:
    """L1 is of pictures that should be the photo: those in its own style, and those of models without style, as of a folder."""
    model = evidence.model
    if model is None or "style:photo" in model.capabilities() or "style:prior" not in model.capabilities():
        return ""
    return "compares a picture with its photo, and this model knows nothing of the photo's style"


def measure_l1(evidence: SubjectEvidence) -> Measured:
    """Mean absolute difference on [-1, 1]."""
    names = [n for n in evidence.pictures if n != "random_style"]
    scores = {n: mean_interval(image_l1(evidence.pictures[n], evidence.photos), evidence.seed) for n in names}
    return Measured(scores, evidence.facts("counts", "resize", "seed") | {"scale": "[-1, 1]", **BOOTSTRAP})


BOOTSTRAP = {"interval": "95 %, percentile bootstrap over the means' items, 1000 resamples"}


def measure_detail(evidence: SubjectEvidence) -> Measured:
    """Energy of the luma in the band as a share of the photos'."""
    truth = fine_detail(evidence.photos)
    scores = {n: _share(fine_detail(images), truth) for n, images in evidence.pictures.items()}
    how = {"band": list(BAND), "unit": "cycles per side", "window": "Hann", "interval": None}
    return Measured(scores, evidence.facts("counts", "resize", "seed") | how)


def large_enough(evidence: SubjectEvidence) -> str:
    """Why pictures hold no fine detail, or ""."""
    side, least = min(evidence.data.resolution), int(2 * BAND[0] + 2)  # type: ignore[type-var]
    return "" if side >= least else f"takes pictures of {least} pixels or more a side, these have {side}"


def measure_odd_colours(evidence: SubjectEvidence) -> Measured:
    """Share of pixels of a colour that their class never has in the photos, over all and by class."""
    maps, scores = evidence.maps, dict[str, Any]()
    for name, images in evidence.pictures.items():
        odd = odd_colours(images, evidence.photos, maps)
        pixels = {n: int((maps.labels == maps.space.index(n)).sum()) for n in odd}
        total = sum(pixels.values())
        whole = sum(odd[n] * pixels[n] for n in odd) / total if total else float("nan")
        scores[name] = {"all": whole, "classes": odd}
    none = "No class has the 2000 pixels in the photos from which its colours would be known."
    empty = all(not s["classes"] for s in scores.values())
    how = {"colours": "Cb, Cr (BT.601)", "quantiles": [0.0005, 0.9995], "fewest_pixels": 2000, "interval": None}
    return Measured(scores, evidence.facts("counts", "resize", "seed", "classes") | how, (none,) if empty else ())


def draws_styles(evidence: SubjectEvidence) -> str:
    """Why a model has but one picture of a map, or ""."""
    model = evidence.model
    assert isinstance(model, ImageSynthesizer)
    if "style:prior" not in model.capabilities() and not model.draws_noise:
        return "takes several pictures of one map, and this model draws nothing"
    return "" if evidence.styles > 1 else "takes two styles of a map or more (<<styles>>)"


def measure_style_diversity(evidence: SubjectEvidence) -> Measured:
    """Mean distance of the extractor's features between pictures of one map in styles drawn."""
    drawn: list[list[Tensor]] = [[] for _ in range(evidence.styles)]
    for _, pictures in styled_batches(evidence):
        for style, images in zip(drawn, pictures, strict=True):
            style.append(images)
    distances = mean_pairwise_distance([evidence.features(torch.cat(images)) for images in drawn])
    how = {
        "maps": len(distances),
        "styles": evidence.styles,
        "distance": "Euclidean, of the extractor's features",
        **BOOTSTRAP,
    }
    return Measured(mean_interval(distances, evidence.seed), evidence.facts("resize", "extractor", "seed") | how)


def _share(found: float, truth: float) -> float:
    return found / truth if truth else float("nan")


PICTURES = ("synthesizer", "folder", "composition")
ALL_PICTURES = (*PICTURES, "translator")
KID = Metric(
    "kernel distance to photos x 1000", ALL_PICTURES, partial(measure_distance, distance="kid"), applies=two_or_more
)
FID = Metric("Fréchet distance to photos", ALL_PICTURES, partial(measure_distance, distance="fid"), applies=two_or_more)
INCEPTION_SCORE = Metric("classes that ImageNet's Inception sees", ALL_PICTURES, measure_inception_score)
L1 = Metric("difference from the photo on [-1, 1]", PICTURES, measure_l1, pairs=True, applies=knows_its_photo)
DETAIL = Metric("fine detail as a share of the photos'", PICTURES, measure_detail, applies=large_enough)
ODD_COLOURS = Metric("share of colours that photos lack", PICTURES, measure_odd_colours, pairs=True)
STYLE_DIVERSITY = Metric(
    "distance between styles of a map", ("synthesizer",), measure_style_diversity, applies=draws_styles
)
