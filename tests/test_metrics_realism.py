"""KID, odd colours and fine detail on made-up pictures with known answers."""

from __future__ import annotations

import math

import pytest
import torch

from zoo.errors import DataError
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.metrics import fine_detail, judge_features, kid, odd_colours

pytestmark = pytest.mark.usefixtures("one_thread")


def test_kid_of_a_worked_example() -> None:
    """One feature: k(x, y) = (x y + 1)^3. found 0, 1: k = 1; truth 1, 2: k = 27; across: (1 + 1 + 8 + 27) / 4."""
    found, truth = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    assert kid(found, truth) == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kid_is_unbiased_and_grows() -> None:
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(60, 200, 4, generator=generator)
    same = [kid(a[:100], a[100:]) for a in rows]
    assert abs(sum(same) / len(same)) < 0.02 and min(same) < 0  # unbiased: some lie below 0
    assert kid(rows[0][:100] + 1, rows[0][100:]) > kid(rows[0][:100] + 0.5, rows[0][100:]) > max(same)
    with pytest.raises(DataError, match="two pictures or more"):
        kid(rows[0][:1], rows[0])


def test_features_are_those_of_the_judge() -> None:
    seen = []

    class Judge(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(tuple(x.shape))
            return x.mean((2, 3))

    grey = torch.full((3, 3, 16, 16), 0.485)
    found = judge_features(Judge(), grey, batch_size=2)
    assert seen == [(2, 3, 224, 224), (1, 3, 224, 224)] and found.dtype == torch.float64
    torch.testing.assert_close(found[:, 0], torch.zeros(3, dtype=torch.float64), atol=1e-5, rtol=0)


def test_odd_colours_by_class() -> None:
    space = numbered_space(3)
    labels = torch.zeros(2, 64, 64, dtype=torch.long)
    labels[:, :, 32:] = 1
    labels[0, 0, 0] = 2  # too few pixels to know the colours of
    maps = SemanticMap(labels, space)
    generator = torch.Generator().manual_seed(0)
    photos = 0.4 + 0.2 * torch.rand(2, 3, 64, 64, generator=generator)
    own = odd_colours(photos, photos, maps)
    assert set(own) == set(space.names[:2]) and all(v <= 0.003 for v in own.values())
    images = photos.clone()
    images[0, :, :16, 32:] = torch.tensor([0.1, 0.9, 0.1])[:, None, None]  # a green eighth of class 1
    found = odd_colours(images, photos, maps)
    assert found[space.names[1]] == pytest.approx(1 / 8, abs=0.003)
    assert found[space.names[0]] == own[space.names[0]]
    darker = odd_colours(photos * 0.999, photos, maps)
    assert darker[space.names[0]] < 0.01  # light is no odd colour
    with pytest.raises(DataError, match="do not belong together"):
        odd_colours(images[:1], photos, maps)


def test_detail_is_the_energy_of_its_band() -> None:
    x = torch.arange(128) / 128

    def wave(cycles: float, height: float) -> torch.Tensor:
        return (0.5 + height * torch.sin(2 * math.pi * cycles * x)).expand(1, 3, 128, 128)

    fine, finer = fine_detail(wave(56, 0.1)), fine_detail(wave(56, 0.2))
    assert finer / fine == pytest.approx(4, rel=1e-3)
    assert fine_detail(wave(20, 0.4)) < 1e-4 * fine
    with pytest.raises(DataError, match="hold no 48 cycles"):
        fine_detail(torch.rand(1, 3, 64, 64))
