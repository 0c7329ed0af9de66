"""Pooled confusion matrix, intersection over union and pixel accuracy of label maps."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import DataError, LabelError
from zoo.labels import IGNORE, LabelSpace
from zoo.maps import SemanticMap
from zoo.metrics.intervals import pooled_intervals

PRESENT_IN = 10
"""The headline mIoU takes classes that occur in at least this many pictures: in two pictures it would be luck."""


class ConfusionMatrix:
    """Pixel counts pooled over all pictures added so far: `counts[truth, predicted]`, int64 [C, C] on the CPU.

    images_with: in how many true maps each class occurs, int64 [C]. Pixels whose truth is 255 are left out; of a map that is ignored
    as a whole nothing counts. singly: keep the counts of each picture, too, for `intervals`.
    """

    def __init__(self, space: LabelSpace, *, singly: bool = False) -> None:
        self.space = space
        self.each: list[Tensor] | None = [] if singly else None
        self.counts = torch.zeros(len(space), len(space), dtype=torch.long)
        self.images_with = torch.zeros(len(space), dtype=torch.long)
        self.images = 0

    def add(self, predicted: SemanticMap, truth: SemanticMap) -> None:
        """Count one batch. Raises LabelError for another label space, DataError for another size or number of maps."""
        names = {predicted.space.names, truth.space.names, self.space.names}
        if len(names) > 1:
            raise LabelError(
                f"Scores compare maps of {self.space.name!r}, got {predicted.space.name!r} against {truth.space.name!r}: convert with to_space."
            )
        if predicted.labels.shape != truth.labels.shape:
            raise DataError(
                f"Maps {tuple(predicted.labels.shape)} and {tuple(truth.labels.shape)} cannot be compared pixel by pixel: resize one."
            )
        classes = len(self.space)
        a, b = truth.labels.cpu(), predicted.labels.cpu()
        valid = a != IGNORE
        missed = valid & (b == IGNORE)
        if bool(missed.any()):
            raise LabelError(
                f"{int(missed.sum())} pixels were read as unlabeled (255) where the truth has a class: a parser must decide for one."
            )
        self.counts += torch.bincount(a[valid] * classes + b[valid], minlength=classes * classes).view(classes, classes)
        if self.each is not None:
            for one, other, known in zip(a, b, valid, strict=True):
                row = torch.bincount(one[known] * classes + other[known], minlength=classes * classes)
                self.each.append(row.view(classes, classes).int())
        self.images_with += truth.present().sum(0).cpu()
        self.images += len(truth)

    def iou(self) -> Tensor:
        """Intersection over union per class, float64 [C]; NaN for a class that neither occurs nor was predicted."""
        counts = self.counts.double()
        hits = counts.diagonal()
        return hits / (counts.sum(0) + counts.sum(1) - hits)

    def miou(self, *, present_in: int = 0) -> float:
        """Mean IoU over the classes that occur in at least `present_in` true maps; 0: all that occur or were predicted.

        NaN if there is no such class.
        """
        iou = self.iou()
        chosen = ~iou.isnan() & (self.images_with >= present_in)
        return float(iou[chosen].mean())

    def accuracy(self) -> float:
        """Share of equal pixels."""
        return float(self.counts.diagonal().sum() / self.counts.sum())

    def class_accuracy(self) -> dict[str, float]:
        """Share of a class's pixels that are right, by name, of the classes that occur."""
        hits, truth = self.counts.diagonal().double(), self.counts.sum(1).double()
        return {n: v for n, v in zip(self.space.names, (hits / truth).tolist(), strict=True) if v == v}

    def intervals(self, seed: int = 0) -> dict[str, list[float]]:
        """[low, high] of miou, miou_all and accuracy: 95 % bootstrap over pictures (`pooled_intervals`); needs `singly`.

        The classes are those of the figures themselves; a resample that lacks one takes the mean of the others.
        """
        if not self.each:
            nan = float("nan")
            return {name: [nan, nan] for name in ("miou", "miou_all", "accuracy")}
        known = ~self.iou().isnan()
        often = known & (self.images_with >= (PRESENT_IN if self.images >= PRESENT_IN else 1))

        def figures(counts: Tensor) -> dict[str, Tensor]:
            hits = counts.diagonal(dim1=1, dim2=2)
            iou = hits / (counts.sum(1) + counts.sum(2) - hits)
            chosen = {"miou": iou[:, often].nanmean(1), "miou_all": iou[:, known].nanmean(1)}
            return chosen | {"accuracy": hits.sum(1) / counts.flatten(1).sum(1)}

        return pooled_intervals(torch.stack(self.each), figures, seed)

    def per_class(self) -> dict[str, float]:
        """IoU by class name, without the classes that neither occur nor were predicted."""
        return {
            name: value for name, value in zip(self.space.names, self.iou().tolist(), strict=True) if value == value
        }

    def scores(self) -> dict[str, float]:
        """miou (classes in at least 10 true maps; of fewer pictures: in at least one), miou_all and accuracy, as shares of 1."""
        return {
            "miou": self.miou(present_in=PRESENT_IN if self.images >= PRESENT_IN else 1),
            "miou_all": self.miou(),
            "accuracy": self.accuracy(),
        }


def segmentation_scores(predicted: SemanticMap, truth: SemanticMap) -> dict[str, float]:
    """Scores of one batch of maps: miou, miou_all, accuracy (see ConfusionMatrix.scores)."""
    matrix = ConfusionMatrix(truth.space)
    matrix.add(predicted, truth)
    return matrix.scores()
