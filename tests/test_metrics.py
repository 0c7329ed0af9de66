"""Scores, against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.errors import DataError, LabelError
from zoo.interfaces.models import MaskParser
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.metrics import ConfusionMatrix, image_l1, parser_agreement, segmentation_scores
from zoo.metrics.frechet import frechet_distance

SPACE = numbered_space(4)


def maps(*rows: list[int], space: LabelSpace = SPACE) -> SemanticMap:
    return SemanticMap(torch.tensor(rows)[:, None], space)


def test_scores_by_hand() -> None:
    truth, found = maps([0, 0, 1, 1]), maps([0, 1, 1, 2])
    matrix = ConfusionMatrix(SPACE)
    matrix.add(found, truth)
    assert matrix.counts.tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert matrix.iou()[:3].tolist() == pytest.approx([1 / 2, 1 / 3, 0]) and math.isnan(matrix.iou()[3])
    scores = segmentation_scores(found, truth)
    assert scores == pytest.approx({"miou": 5 / 12, "miou_all": 5 / 18, "accuracy": 1 / 2})
    assert matrix.per_class() == pytest.approx({"label_0": 1 / 2, "label_1": 1 / 3, "label_2": 0})


def test_pooled_over_pictures_not_averaged() -> None:
    truth, found = maps([0, 0, 0, 0], [0, 0, 0, 1]), maps([0, 0, 0, 0], [1, 1, 1, 1])
    matrix = ConfusionMatrix(SPACE)
    for i in range(2):
        matrix.add(found[i], truth[i])
    assert matrix.iou()[:2].tolist() == pytest.approx([4 / 7, 1 / 4]) and matrix.accuracy() == pytest.approx(5 / 8)
    together = ConfusionMatrix(SPACE)
    together.add(found, truth)
    assert torch.equal(together.counts, matrix.counts) and together.images_with.tolist() == [2, 1, 0, 0]


def test_headline_needs_ten_pictures_of_a_class() -> None:
    truth = maps(*([[0, 1]] * 10 + [[0, 2]] * 9))
    found = maps(*([[0, 1]] * 10 + [[0, 0]] * 9))
    matrix = ConfusionMatrix(SPACE)
    matrix.add(found, truth)
    assert matrix.miou(present_in=10) == pytest.approx((19 / 28 + 1) / 2)
    assert matrix.miou() == pytest.approx((19 / 28 + 1 + 0) / 3)
    assert math.isnan(matrix.miou(present_in=20))


def test_unlabeled_truth_is_left_out() -> None:
    space = LabelSpace("s", (LabelClass("a", (0, 0, 0)), LabelClass("b", (1, 1, 1))), ignore=True)
    assert segmentation_scores(maps([0, 1, 1], space=space), maps([0, 1, 255], space=space))["accuracy"] == 1
    with pytest.raises(LabelError, match="read as unlabeled"):
        segmentation_scores(maps([255], space=space), maps([1], space=space))


def test_what_cannot_be_compared() -> None:
    with pytest.raises(DataError, match="pixel by pixel"):
        segmentation_scores(maps([0, 1]), maps([0, 1, 2]))
    with pytest.raises(LabelError, match="convert with to_space"):
        segmentation_scores(maps([0], space=numbered_space(3, "other")), maps([0]))


def test_image_l1() -> None:
    a, b = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    b[1] = 0.25
    assert image_l1(a, b).tolist() == pytest.approx([0, 0.5])
    with pytest.raises(DataError, match="cannot be compared"):
        image_l1(a, b[:, :, :2])


class BrightnessParser(MaskParser):
    """Reads class 1 where the picture is bright."""

    def __init__(self) -> None:
        super().__init__(None, SPACE)
        self.threshold = torch.nn.Parameter(torch.tensor(0.5))

    @property
    def channels(self) -> tuple[str, ...]:
        return SPACE.names

    @property
    def resolution(self) -> tuple[int, int]:
        return 4, 4

    def parse(self, images: torch.Tensor) -> SemanticMap:
        return SemanticMap((images.mean(1) > self.threshold).long(), SPACE)

    def features(self, images: torch.Tensor) -> list[torch.Tensor]:
        return [images]


def test_parser_agreement() -> None:
    parser = BrightnessParser()
    images = torch.zeros(5, 3, 4, 4)
    images[..., 2:] = 1
    truth = SemanticMap(torch.zeros(5, 4, 4, dtype=torch.long), SPACE)
    truth.labels[..., 2:] = 1
    with pytest.raises(DataError, match=r"call parser\.eval\(\) first"):
        parser_agreement(parser, images, truth)
    parser.eval()
    assert parser_agreement(parser, images, truth, batch_size=2) == {"miou": 1, "miou_all": 1, "accuracy": 1}
    truth.labels[0, 0, 0] = 1
    assert parser_agreement(parser, images, truth)["accuracy"] == pytest.approx(79 / 80)
    with pytest.raises(DataError, match="5 pictures for 4 maps"):
        parser_agreement(parser, images, truth[:4])


def test_frechet_distance_of_gaussians() -> None:
    rows = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(rows, rows) < 1e-9
    assert frechet_distance(rows, rows + 2) == pytest.approx(5 * 4, rel=1e-6)
    # three times as wide: tr(A) + 9 tr(A) - 6 tr(A), whatever the covariance
    centred = rows - rows.mean(0)
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * float(torch.cov(rows.T).trace()), rel=1e-5)
