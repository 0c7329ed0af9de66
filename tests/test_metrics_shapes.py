"""Areas, centres and diversity of generated parts, against numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from zoo.errors import DataError, LabelError, UsageError
from zoo.evaluation.run import EvalRequest, Evaluation
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import SemanticMap
from zoo.metrics import PartStatistics, compare_parts
from zoo.metrics.shapes import layout_distance, part_moments, pixel_diversity, real_diversity, wasserstein

ROOT = Path(__file__).resolve().parents[1]
SPACE = LabelSpace(
    "three",
    (LabelClass("none", (0, 0, 0)), LabelClass("square", (9, 0, 0)), LabelClass("dot", (0, 9, 0))),
    background="none",
    ignore=True,
)


def squares(*boxes: tuple[int, int, int], size: int = 8) -> SemanticMap:
    """A map each with a square of class 1: top, left, side."""
    labels = torch.zeros(len(boxes), size, size, dtype=torch.long)
    for i, (top, left, side) in enumerate(boxes):
        labels[i, top : top + side, left : left + side] = 1
    return SemanticMap(labels, SPACE)


def statistics(maps: SemanticMap, asked: list[list[str]] | None = None) -> PartStatistics:
    found = PartStatistics(SPACE)
    found.add(maps, None if asked is None else [SPACE.label_set(a) for a in asked])
    return found


def test_areas_and_centres_are_shares_whatever_the_size() -> None:
    for scale in (1, 4):
        maps = squares((0, 4 * scale, 2 * scale), size=8 * scale)
        areas, centres = part_moments(maps)
        assert areas[0].tolist() == [1 - 4 / 64, 4 / 64, 0]
        assert centres[0, 1].tolist() == [1 / 8, 5 / 8] and bool(centres[0, 2].isnan().all())
    labels = squares((0, 0, 4)).labels
    labels[0, :4, :2] = 255  # unlabeled pixels belong to no part
    areas, centres = part_moments(SemanticMap(labels, SPACE))
    assert areas[0, 1] == 8 / 64 and centres[0, 1].tolist() == [0.25, 3 / 8]


def test_requests_met_by_hand() -> None:
    maps = squares((0, 0, 2), (0, 0, 0), (1, 1, 3))
    maps.labels[0, 7, 7] = 2
    found = statistics(maps, [["square", "dot"], ["square", "none"], ["dot"]])
    assert found.met() == {
        "square": {"asked": 2, "appeared": 1, "share": 0.5},
        "dot": {"asked": 2, "appeared": 1, "share": 0.5},
    }
    assert found.share_met() == 0.5 and len(found) == 3
    real = statistics(maps)
    assert real.share_met() == 1 and real.met()["square"]["asked"] == 2 and "none" not in real.met()
    assert math.isnan(statistics(squares((0, 0, 0))).share_met())


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [([0, 1], [0, 1], 0), ([0, 0], [1, 1], 1), ([0, 1], [1, 2], 1), ([0], [0, 1], 0.5), ([0, 2], [1], 1), ([3], [-1], 4)],
)  # fmt: skip
def test_wasserstein_by_hand(a: list[float], b: list[float], distance: float) -> None:
    for first, second in ((a, b), (b, a)):
        assert wasserstein(torch.tensor(first), torch.tensor(second)) == pytest.approx(distance)


def test_wasserstein_of_equal_counts_is_the_mean_difference_in_order() -> None:
    g = torch.Generator().manual_seed(0)
    a, b = torch.rand(40, generator=g), torch.randn(40, generator=g)
    assert wasserstein(a, b) == pytest.approx(float((a.sort().values - b.sort().values).abs().mean()), abs=1e-6)


def test_equal_maps_have_no_distance_and_the_same_spread() -> None:
    real = statistics(squares((0, 0, 2), (2, 2, 3), (1, 3, 4)))
    report = compare_parts(real, real, present_in=2)
    assert report["area_distance"] == report["centre_distance"] == 0 and report["classes_compared"] == 1
    assert report["area_spread"] == pytest.approx(1) and report["centre_spread"] == pytest.approx(1)
    assert list(report["classes"]) == ["square"]


def test_comparison_by_hand() -> None:
    real = statistics(squares((0, 0, 2), (0, 2, 2), (0, 4, 2)))
    moved = statistics(squares((1, 0, 2), (1, 2, 2), (1, 4, 2)))
    row = compare_parts(real, moved, present_in=3)["classes"]["square"]
    assert row["area"]["distance"] == 0 and math.isnan(row["area"]["spread"])  # all areas are equal: nothing to compare
    assert row["centre"]["distance"] == pytest.approx((1 / 8 + 0) / 2)
    assert row["centre"]["real"]["y"]["mean"] == 1 / 8 and row["centre"]["found"]["y"]["mean"] == 2 / 8
    larger = statistics(squares((0, 0, 4), (0, 1, 4), (0, 3, 4)))
    report = compare_parts(real, larger, present_in=3)
    assert report["area_distance"] == pytest.approx(3)  # four times the area is three real areas away
    assert report["centre_spread"] < 1
    narrow = compare_parts(real, statistics(squares((0, 2, 2), (0, 2, 2), (0, 3, 2))), present_in=3)
    assert 0 < narrow["centre_spread"] < 0.5


def test_rare_classes_have_a_row_but_no_say() -> None:
    maps, found = squares((0, 0, 2), (0, 0, 3), (0, 0, 4)), squares((0, 0, 2), (0, 0, 3), (0, 0, 4))
    maps.labels[0, 7, 7] = 2
    found.labels[0, 5, 7] = 2
    report = compare_parts(statistics(maps), statistics(found), present_in=2)
    assert report["classes"]["dot"]["centre"]["distance"] == pytest.approx(1 / 8) and report["centre_distance"] == 0
    everything = compare_parts(statistics(maps), statistics(found), present_in=1)
    assert everything["centre_distance"] == 0, "one found map has no distribution"
    nothing = compare_parts(statistics(maps), statistics(squares((0, 0, 0))), present_in=2)
    assert nothing["classes_compared"] == 0 and math.isnan(nothing["area_distance"])
    assert nothing["classes"]["square"]["found"] == 0 and math.isnan(nothing["classes"]["square"]["area"]["distance"])
    assert list(compare_parts(statistics(maps), statistics(found), names=["dot"])["classes"]) == ["dot"]


def test_batches_add_up() -> None:
    maps = squares((0, 0, 2), (2, 2, 3), (1, 3, 4))
    parts = PartStatistics(SPACE)
    for i in range(3):
        parts.add(maps[i])
    whole = statistics(maps)
    assert torch.equal(parts.areas, whole.areas) and torch.equal(parts.asked, whole.asked)


def test_diversity_by_hand() -> None:
    a, b, c = squares((0, 0, 2)), squares((0, 0, 2)), squares((4, 4, 2))
    assert pixel_diversity([a, b]).tolist() == [0]
    assert pixel_diversity([a, b, c]).tolist() == pytest.approx([(0 + 8 / 64 + 8 / 64) / 3])
    maps = SemanticMap.cat([a, c, squares((0, 0, 0)), b])
    assert real_diversity(maps, maps.label_sets()) == pytest.approx(((8 + 0 + 8) / 64 / 3, 3))
    mean, pairs = real_diversity(maps[[0, 2]], maps[[0, 2]].label_sets())
    assert math.isnan(mean) and pairs == 0


def test_layouts_of_like_maps_are_near() -> None:
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(0, 5, (60, 2), generator=generator)
    maps = squares(*((int(y), int(x), 3) for y, x in places[:30]))
    like = squares(*((int(y), int(x), 3) for y, x in places[30:]))
    frozen = squares(*[(2, 2, 3)] * 30)
    moved = squares(*((int(y) // 4 + 4, int(x), 3) for y, x in places[30:]))
    same, near, flat, far = (layout_distance(maps, m) for m in (maps, like, frozen, moved))
    assert same == pytest.approx(0, abs=1e-6) and near < flat / 2 and near < far / 2
    with pytest.raises(DataError, match="at least two maps"):
        layout_distance(maps, maps[0])
    with pytest.raises(LabelError, match="cannot be compared"):
        layout_distance(maps, SemanticMap(torch.zeros(2, 4, 4, dtype=torch.long), numbered_space(3)))


def test_what_does_not_fit_is_refused() -> None:
    found = PartStatistics(SPACE)
    with pytest.raises(LabelError, match="'three', got maps of 'numbered'"):
        found.add(SemanticMap(torch.zeros(1, 4, 4, dtype=torch.long), numbered_space(3)))
    with pytest.raises(DataError, match="2 label sets for 1 maps"):
        found.add(squares((0, 0, 2)), [SPACE.label_set(["dot"])] * 2)
    with pytest.raises(LabelError, match="cannot be compared"):
        compare_parts(statistics(squares((0, 0, 2))), PartStatistics(numbered_space(3)))
    with pytest.raises(DataError, match="at least two"):
        pixel_diversity([squares((0, 0, 2))])


def test_a_generator_beside_other_real_maps(model_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny mask-vae on drawn faces: what it draws of the label sets, and the same figures between two sets of real maps."""
    request = EvalRequest(str(model_root / "mask-vae-celeba"), "toy-faces:40#test", ("layout",), prior="normal")
    found = Evaluation(request).run()["metrics"]["layout"]
    scores, floor = found["scores"], found["scores"]["other_real_maps"]
    assert found["protocol"]["other_real_maps"] == "train" and floor["share_of_requests_met"] == 1
    assert floor["layout_distance"] < scores["layout_distance"] and 0 <= scores["share_of_requests_met"] <= 1
    asked = sum(row["asked"] for row in scores["requested"].values())
    assert asked == 3 * sum(row["real"] for row in scores["classes"].values()) and scores["pixel_diversity"] > 0
    with pytest.raises(UsageError, match="expected fitted or normal"):
        EvalRequest("x", "toy-faces", prior="other")
