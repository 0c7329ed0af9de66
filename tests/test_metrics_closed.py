"""FID, KID, intervals, diversity and nearest maps against closed forms, and what they say of degenerate input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo.errors import DataError, LabelError
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.metrics import (
    ConfusionMatrix,
    fid,
    fine_detail,
    image_l1,
    judge_features,
    kid,
    mean_interval,
    mean_pairwise_distance,
    nearest_maps,
)
from zoo.metrics.images import check_pictures

pytestmark = pytest.mark.usefixtures("one_thread")
SPACE = numbered_space(3)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whitened(n: int, width: int) -> Tensor:
    """Rows whose mean is 0 and whose covariance (N - 1) is the identity, exactly."""
    rows = normal(n, width)
    q, _ = torch.linalg.qr(rows - rows.mean(0))
    return q * (n - 1) ** 0.5


def test_fid_of_gaussians() -> None:
    """|m|^2 + tr(A + B - 2 (A B)^1/2), which for A = I and a rotated diagonal B is a sum over the axes: (1 - s)^2."""
    rows = whitened(200, 4)
    scale, shift = torch.tensor([1.0, 2.0, 0.5, 3.0]).double(), torch.tensor([1.0, 0.0, -2.0, 0.0]).double()
    turn = torch.linalg.qr(normal(4, 4, seed=1))[0]
    other = rows * scale @ turn + shift
    assert fid(rows, other) == pytest.approx(float(shift.square().sum() + (1 - scale).square().sum()), rel=1e-9)
    assert fid(other, rows) == pytest.approx(fid(rows, other), rel=1e-9)


def test_equal_and_permuted_sets() -> None:
    rows = normal(40, 6)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(2))
    assert fid(rows, rows) == pytest.approx(0, abs=1e-6) and fid(rows, rows[order]) == pytest.approx(0, abs=1e-6)
    other = normal(30, 6, seed=3) + 1
    assert fid(rows[order], other) == pytest.approx(fid(rows, other), rel=1e-9)
    assert kid(rows[order], other) == pytest.approx(kid(rows, other), rel=1e-9)
    # of one set twice the unbiased estimate is 2 (mean off the diagonal - mean of all), below 0
    kernel = (rows @ rows.T / 6 + 1) ** 3
    off = (kernel.sum() - kernel.trace()) / (40 * 39)
    assert kid(rows, rows) == pytest.approx(float(2 * (off - kernel.mean()))) and kid(rows, rows) < 0


@pytest.mark.parametrize("distance", [fid, kid])
def test_distances_refuse_what_has_none(distance) -> None:
    rows = normal(5, 3)
    for found, truth, said in (
        (rows[:1], rows, "two pictures or more"),
        (rows, rows[:0], "two pictures or more"),
        (rows, normal(5, 4), "of one judge"),
        (rows[0], rows, "two pictures or more"),
        (torch.full((5, 3), float("nan")), rows, "finite features"),
        (rows, rows / 0, "finite features"),
    ):
        with pytest.raises(DataError, match=said):
            distance(found, truth)


@pytest.mark.parametrize(
    "images",
    [torch.full((1, 3, 8, 8), v) for v in (float("nan"), float("inf"), -0.5, 128.0)]
    + [torch.zeros(1, 3, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8), torch.zeros(1, 1, 8, 8)],
)
def test_pictures_that_are_none(images: Tensor) -> None:
    with pytest.raises(DataError, match=r"in \[0, 1\], got"):
        check_pictures(images)
    with pytest.raises(DataError, match=r"in \[0, 1\], got"):
        judge_features(torch.nn.Flatten(), images)


def test_one_picture_and_other_sizes() -> None:
    check_pictures(torch.zeros(0, 3, 8, 8))
    check_pictures(torch.tensor([-1e-6, 1 + 1e-6, 0]).view(1, 3, 1, 1))  # rounding
    assert image_l1(torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)).tolist() == [2.0]
    with pytest.raises(DataError, match="one size"):
        image_l1(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
    with pytest.raises(DataError, match="hold no 48 cycles"):
        fine_detail(torch.zeros(1, 3, 16, 16))


def test_an_interval_covers_the_mean_as_often_as_it_says() -> None:
    found = mean_interval(torch.arange(5.0))
    assert found["mean"] == 2 and found["n"] == 5 and 0 <= found["low"] < 2 < found["high"] <= 4
    assert mean_interval(normal(30)) == mean_interval(normal(30)) != mean_interval(normal(30), seed=1)
    assert mean_interval(torch.full((7,), 0.25)) == {"mean": 0.25, "low": 0.25, "high": 0.25, "n": 7}
    rows = normal(60, 100, seed=4)
    intervals = [mean_interval(row, seed) for seed, row in enumerate(rows)]
    covered = sum(i["low"] <= 0 <= i["high"] for i in intervals) / len(intervals)
    assert 0.85 <= covered <= 1 and intervals[0]["high"] - intervals[0]["low"] == pytest.approx(2 * 1.96 / 10, rel=0.35)
    alone = mean_interval(torch.tensor([3.0]))
    assert alone["mean"] == 3 and math.isnan(alone["low"]) and math.isnan(alone["high"])
    for wrong in (torch.zeros(0), torch.tensor([1.0, float("nan")])):
        with pytest.raises(DataError, match="finite values"):
            mean_interval(wrong)


def test_diversity_by_hand() -> None:
    a, b, c = (torch.tensor([[x, 0.0], [0.0, 0.0]]) for x in (0.0, 3.0, 6.0))
    assert mean_pairwise_distance([a, b, c]).tolist() == [4.0, 0.0]
    for wrong in ([a], [a, b[:1]]):
        with pytest.raises(DataError, match="two pictures or more"):
            mean_pairwise_distance(wrong)


def test_the_nearest_map_is_itself_where_it_was_learned_by_heart() -> None:
    labels = torch.zeros(3, 64, 64, dtype=torch.long)
    labels[1, :, :16], labels[2] = 1, 2
    known, new = SemanticMap(labels, SPACE), torch.zeros(1, 64, 64, dtype=torch.long)
    new[:, :, :8] = 1
    maps = SemanticMap(torch.cat([labels[[2, 1]], new]), SPACE)
    assert nearest_maps(maps, known).tolist() == [0.0, 0.0, 0.125]
    with pytest.raises(LabelError, match="to_space"):
        nearest_maps(maps, SemanticMap(labels, numbered_space(4)))
    with pytest.raises(DataError, match="maps on both sides"):
        nearest_maps(maps[[]], known)


def test_a_class_that_nobody_shows_has_no_iou() -> None:
    matrix = ConfusionMatrix(SPACE)
    ones = SemanticMap(torch.ones(1, 2, 2, dtype=torch.long), SPACE)
    matrix.add(ones, ones)
    assert matrix.per_class() == {"label_1": 1.0} and matrix.miou() == 1
    assert math.isnan(ConfusionMatrix(SPACE).miou())
