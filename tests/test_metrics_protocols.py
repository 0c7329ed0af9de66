"""The metrics behind the papers' protocols against closed forms, the packages that count, and degenerate input."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo.errors import DataError
from zoo.evaluation.perceptual import lpips_features, lpips_network
from zoo.labels import LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.metrics import (
    ConfusionMatrix,
    draw_pairs,
    fid,
    inception_score,
    kid,
    kid_interval,
    mean_perceptual_distance,
    nearest_of,
    perceptual_distance,
    pooled_intervals,
    told_apart,
)
from zoo.metrics.perceptual import unit

pytestmark = pytest.mark.usefixtures("one_thread")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- distances of distributions -----------------------------------------------------------------------------------


def test_frechet_and_kernel_distance_are_torchmetrics() -> None:
    """The package that counts, fed with the same features through a network that gives what it is given."""
    frechet = pytest.importorskip("torchmetrics.image.fid")
    kernel = pytest.importorskip("torchmetrics.image.kid")
    features = [normal(60, 8, seed=s) + s / 4 for s in (1, 2)]

    class Given(torch.nn.Module):
        num_features = 8

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1)[:, :8].double()

    given = Given()
    metrics = [
        frechet.FrechetInceptionDistance(feature=given, normalize=True, input_img_size=(3, 4, 4)).set_dtype(
            torch.float64
        ),
        kernel.KernelInceptionDistance(feature=given, subsets=1, subset_size=60, normalize=True),
    ]
    for metric in metrics:
        metric.normalize = False  # with it on, pictures would become bytes
        for real, rows in ((True, features[0]), (False, features[1])):
            metric.update(torch.cat([rows, torch.zeros(60, 40).double()], 1).view(60, 3, 4, 4), real=real)
    assert fid(features[1], features[0]) == pytest.approx(float(metrics[0].compute()), rel=1e-5)
    assert kid(features[1], features[0]) == pytest.approx(float(metrics[1].compute()[0]), rel=1e-5)


def test_kid_interval_covers_and_is_the_jackknife_by_hand() -> None:
    a, b = normal(9, 4), normal(7, 4, seed=1) + 0.5
    found = kid_interval(a, b)
    leave = (
        [kid(torch.cat([a[:i], a[i + 1 :]]), b) for i in range(9)],
        [kid(a, torch.cat([b[:i], b[i + 1 :]])) for i in range(7)],
    )
    variance = sum((len(v) - 1) / len(v) * sum((x - sum(v) / len(v)) ** 2 for x in v) for v in leave)
    assert found["mean"] == pytest.approx(kid(a, b)) and found["n"] == 9
    assert found["high"] - found["mean"] == pytest.approx(1.959964 * math.sqrt(variance), rel=1e-9)
    assert found["mean"] - found["low"] == pytest.approx(found["high"] - found["mean"], rel=1e-9)
    few = kid_interval(a[:2], b)
    assert math.isnan(few["low"]) and few["mean"] == pytest.approx(kid(a[:2], b))
    with pytest.raises(DataError, match="finite features"):
        kid_interval(a * math.nan, b)
    equal = [kid_interval(normal(40, 6, seed=s), normal(40, 6, seed=100 + s)) for s in range(60)]
    assert sum(e["low"] <= 0 <= e["high"] for e in equal) >= 50


# --- Inception score ----------------------------------------------------------------------------------------------


def test_inception_score_in_closed_form() -> None:
    """1 for equal pictures; K for K classes that are sure and equally frequent; entropy for known probabilities."""
    assert inception_score(torch.zeros(7, 5)) == (pytest.approx(1), 0)
    sure = torch.eye(4).repeat(3, 1) * 1000
    assert inception_score(sure)[0] == pytest.approx(4)
    p = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).double()
    mean = p.mean(0)
    expected = math.exp(float((p * (p / mean).log()).sum(1).mean()))
    assert inception_score(p.log())[0] == pytest.approx(expected)
    rows = torch.cat([torch.zeros(4, 4), sure[:4], sure[:2]])
    halves = [inception_score(part)[0] for part in (rows[:4], rows[4:8])]
    assert halves == [pytest.approx(1), pytest.approx(4)]
    found = inception_score(rows[:9], splits=2)  # the ninth row is left over
    assert found == (pytest.approx(2.5), pytest.approx(1.5))
    for wrong, splits in (
        (torch.zeros(2, 3), 3),
        (torch.full((4, 2), math.nan), 1),
        (torch.zeros(3), 1),
        (torch.zeros(0, 3), 1),
    ):
        with pytest.raises(DataError, match="Inception score"):
            inception_score(wrong, splits)


# --- perceptual distances -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_the_package(net: str) -> None:
    """Its own module with a random backbone and the learned weights, on pictures of [-1, 1], against ours on [0, 1]."""
    torch.manual_seed(0)
    network = lpips_network(net, drawn=True)
    a, b = drawn(2, 3, 64, 64), drawn(2, 3, 64, 64, seed=1)
    with torch.no_grad():
        expected = network(2 * a - 1, 2 * b - 1).flatten()
    features = [lpips_features(network, x, 63) for x in (a, b)]
    torch.testing.assert_close(perceptual_distance(*features).float(), expected, rtol=1e-4, atol=1e-7)
    assert float(perceptual_distance(features[0], features[0]).max()) == 0
    with pytest.raises(DataError, match="63 pixels or more a side"):
        lpips_features(network, a[..., :40, :40], 63)
    with pytest.raises(DataError, match="finite numbers"):
        lpips_features(network, a * math.nan)


def test_perceptual_distances_by_hand() -> None:
    x = torch.tensor([[[[3.0]], [[4.0]]]])  # unit: .6 .8
    y = torch.tensor([[[[1.0]], [[0.0]]]])
    assert float(perceptual_distance([unit(x)], [unit(y)])[0]) == pytest.approx(0.4**2 + 0.8**2)
    weights = torch.tensor([2.0, 0.5])
    weighted = perceptual_distance([unit(x, weights)], [unit(y, weights)])
    assert float(weighted[0]) == pytest.approx(2 * 0.4**2 + 0.5 * 0.8**2)
    z = torch.tensor([[[[0.0]], [[1.0]]]])
    three = mean_perceptual_distance([[unit(v)] for v in (x, y, z)])
    assert float(three[0]) == pytest.approx(((0.16 + 0.64) + (0.36 + 0.04) + 2) / 3)
    for wrong in (
        lambda: perceptual_distance([unit(x)], []),
        lambda: mean_perceptual_distance([[unit(x)]]),
        lambda: unit(x, -weights),
    ):
        with pytest.raises(DataError):
            wrong()


def test_the_nearest_of_several_pictures() -> None:
    photos = torch.zeros(2, 3, 2, 2)
    pictures = torch.stack([photos + 0.5, photos + torch.tensor([0.1, 0.9]).view(2, 1, 1, 1), photos + 0.3])
    assert nearest_of(pictures, photos).tolist() == [1, 2]
    with pytest.raises(DataError, match="do not belong together"):
        nearest_of(pictures, photos[:1])


# --- pooled figures -----------------------------------------------------------------------------------------------


def test_intervals_of_pooled_figures() -> None:
    """Of a mean they are those of the mean; one picture and a figure that a resample lacks have none."""
    values = normal(50, 1).abs()
    found = pooled_intervals(values, lambda pooled: {"mean": pooled[:, 0] / 50, "gone": pooled[:, 0] * math.nan})
    from zoo.metrics import mean_interval

    same = mean_interval(values[:, 0])
    assert found["mean"] == [pytest.approx(same["low"]), pytest.approx(same["high"])]
    assert all(math.isnan(v) for v in found["gone"])
    assert all(math.isnan(v) for v in pooled_intervals(values[:1], lambda p: {"a": p[:, 0]})["a"])


def test_segmentation_by_hand_with_intervals_and_ignored_pictures() -> None:
    space = LabelSpace("three", numbered_space(3).classes, ignore=True)

    def maps(*rows: list[int]) -> SemanticMap:
        return SemanticMap(torch.tensor(rows).view(len(rows), 1, -1), space)

    truth, read = maps([0, 0, 1, 1], [1, 1, 0, 0]), maps([0, 1, 1, 1], [1, 1, 0, 0])
    matrix = ConfusionMatrix(space, singly=True)
    matrix.add(read, truth)
    assert matrix.scores() == {
        "miou": pytest.approx((3 / 4 + 4 / 5) / 2),
        "miou_all": pytest.approx((3 / 4 + 4 / 5) / 2),
        "accuracy": 7 / 8,
    }
    assert matrix.class_accuracy() == {"0": 0.75, "1": 1.0} or list(matrix.class_accuracy().values()) == [0.75, 1.0]
    low, high = matrix.intervals()["accuracy"]
    assert (low, high) == (pytest.approx(0.75), pytest.approx(1.0))
    before = matrix.scores()
    matrix.add(maps([0, 0, 0, 0]), maps([255, 255, 255, 255]))  # a picture that is ignored as a whole changes no figure
    assert matrix.scores() == before and matrix.images == 3 and not bool(matrix.each[-1].any())
    empty = ConfusionMatrix(space, singly=True)
    assert all(math.isnan(v) for v in empty.scores().values()) and all(math.isnan(v) for v in empty.intervals()["miou"])
    with pytest.raises(DataError, match="cannot be compared pixel by pixel"):
        matrix.add(maps([0, 0]), truth)


# --- many maps ----------------------------------------------------------------------------------------------------


def test_pairs_are_different_and_keyed() -> None:
    pairs = draw_pairs(100, 3000, 0)
    assert len(pairs) == 3000 == len({tuple(p) for p in pairs.tolist()}) and bool((pairs[:, 0] < pairs[:, 1]).all())
    assert torch.equal(pairs, draw_pairs(100, 3000, 0)) and not torch.equal(pairs, draw_pairs(100, 3000, 1))
    assert draw_pairs(3, 3000, 0).tolist() == [[0, 1], [0, 2], [1, 2]]
    with pytest.raises(DataError, match="takes two"):
        draw_pairs(1, 5, 0)


def test_told_apart_by_hand() -> None:
    assert told_apart(torch.tensor([1.0, 2]), torch.tensor([3.0, 4])) == 1
    assert told_apart(torch.tensor([1.0, 3]), torch.tensor([2.0, 3])) == pytest.approx((0.5 + 0.75) / 2)
    assert math.isnan(told_apart(torch.empty(0), torch.ones(1)))
