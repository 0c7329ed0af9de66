"""The protocols of what parsers read: a parser on real photos, and the judge's reading of pictures."""

from __future__ import annotations

from typing import Any

from zoo.evaluation.evidence import SubjectEvidence
from zoo.interfaces.metrics import Measured, Metric
from zoo.interfaces.models import MaskParser
from zoo.metrics.agreement import add_agreement
from zoo.metrics.segmentation import PRESENT_IN, ConfusionMatrix

POOLED = {
    "pooling": "one confusion matrix over all pictures", "miou_classes_in": PRESENT_IN,
    "interval": "95 %, percentile bootstrap over pictures, 1000 resamples",
}  # fmt: skip


def table(matrix: ConfusionMatrix, seed: int) -> dict[str, Any]:
    """The scores, their intervals, and the intersection over union and the share of right pixels of each class that occurs."""
    return {
        **matrix.scores(), "intervals": matrix.intervals(seed), "iou": matrix.per_class(), "class_accuracy": matrix.class_accuracy(),
    }  # fmt: skip


def measure_segmentation(evidence: SubjectEvidence) -> Measured:
    """A parser on photos."""
    assert isinstance(evidence.model, MaskParser)
    matrix, seen = ConfusionMatrix(evidence.data.label_space, singly=True), 0
    for batch in evidence.batches(16):
        images = evidence.photos[seen : seen + len(batch)]
        add_agreement(matrix, evidence.model, images, batch.maps)
        seen += len(batch)
        evidence.watch("photos read", seen, len(evidence.indices))
    return Measured(
        table(matrix, evidence.seed), evidence.facts("counts", "resize", "classes", "seed") | POOLED, blank(matrix)
    )


def measure_agreement(evidence: SubjectEvidence) -> Measured:
    """What the judge reads in the photos and in the pictures of their maps (of a composition: of the maps that it drew)."""
    scores, warnings = {}, list[str]()
    for name, images in {"real": evidence.photos, **evidence.pictures}.items():
        matrix = ConfusionMatrix(evidence.data.label_space, singly=True)
        add_agreement(matrix, evidence.parser, images, evidence.maps if name == "real" else evidence.shown)
        scores[name] = table(matrix, evidence.seed)
        warnings += blank(matrix)
    facts = evidence.facts("counts", "resize", "parser", "seed", "classes")
    return Measured(scores, facts | POOLED, list(dict.fromkeys(warnings)))


def blank(matrix: ConfusionMatrix) -> list[str]:
    """What is to be said of pictures whose map is unlabeled as a whole."""
    empty = sum(not bool(counts.any()) for counts in matrix.each or ())
    return (
        [f"{empty} of {matrix.images} maps have no labelled pixel: these pictures count for nothing."] if empty else []
    )


def maps_of_its_own(evidence: SubjectEvidence) -> str:
    """Why nobody knows what the pictures should show, or ""."""
    if evidence.paired or evidence.subject == "composition":
        return ""
    return (
        "compares each picture with the map that it should show, and these have names that the data set does not know"
    )


SEGMENTATION = Metric("IoU and accuracy on photos", ("parser",), measure_segmentation)
AGREEMENT = Metric(
    "what a parser reads in the pictures",
    ("synthesizer", "folder", "composition"),
    measure_agreement,
    applies=maps_of_its_own,
)
