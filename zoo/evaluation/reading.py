"""The protocols of what parsers read: a parser on real photos, and the judge's reading of pictures."""

from __future__ import annotations

from typing import Any

from zoo.evaluation.evidence import SubjectEvidence
from zoo.interfaces.metrics import Measured, Metric
from zoo.interfaces.models import MaskParser
from zoo.metrics.agreement import add_agreement
from zoo.metrics.segmentation import PRESENT_IN, ConfusionMatrix

POOLED = {"pooling": "one confusion matrix over all pictures", "miou_classes_in": PRESENT_IN, "interval": None}


def table(matrix: ConfusionMatrix) -> dict[str, Any]:
    """The scores, and the intersection over union and the share of right pixels of each class that occurs."""
    hits, truth = matrix.counts.diagonal().double(), matrix.counts.sum(1).double()
    right = dict(zip(matrix.space.names, (hits / truth).tolist(), strict=True))
    accuracy = {n: v for n, v in right.items() if v == v}
    return {**matrix.scores(), "iou": matrix.per_class(), "class_accuracy": accuracy}


def measure_segmentation(evidence: SubjectEvidence) -> Measured:
    """A parser on photos."""
    assert isinstance(evidence.model, MaskParser)
    matrix, seen = ConfusionMatrix(evidence.data.label_space), 0
    for batch in evidence.batches(16):
        images = evidence.photos[seen : seen + len(batch)]
        add_agreement(matrix, evidence.model, images, batch.maps)
        seen += len(batch)
        evidence.watch("photos read", seen, len(evidence.indices))
    return Measured(table(matrix), evidence.facts("counts", "resize", "classes") | POOLED)


def measure_agreement(evidence: SubjectEvidence) -> Measured:
    """What the judge reads in the photos and in the pictures of their maps."""
    scores = {}
    for name, images in {"real": evidence.photos, **evidence.pictures}.items():
        matrix = ConfusionMatrix(evidence.data.label_space)
        add_agreement(matrix, evidence.parser, images, evidence.maps)
        scores[name] = table(matrix)
    return Measured(scores, evidence.facts("counts", "resize", "parser", "seed", "classes") | POOLED)


SEGMENTATION = Metric("IoU and accuracy on photos", ("parser",), measure_segmentation)
AGREEMENT = Metric("what a parser reads in the pictures", ("synthesizer", "folder"), measure_agreement, pairs=True)
