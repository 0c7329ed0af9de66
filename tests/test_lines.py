"""Brush strokes on arrays of labels (those that OpenCV drew are in the recorded case P_preprocess of MaskGAN)."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.files.lines import draw_line, draw_path


def drawn(*points: tuple[int, int], thickness: int, size: tuple[int, int] = (24, 32)) -> np.ndarray:
    labels = np.zeros(size, np.uint8)
    draw_path(labels, points, thickness, 7)
    return labels


def test_a_thin_line_has_a_pixel_for_each_step() -> None:
    assert [int(x) for x in np.nonzero(drawn((3, 5), (9, 5), thickness=1)[5])[0]] == list(range(3, 10))
    steep = drawn((3, 2), (6, 20), thickness=1)
    assert (steep[2:21] > 0).sum(1).tolist() == [1] * 19 and steep.sum() == 7 * 19
    assert np.array_equal(steep, drawn((6, 20), (3, 2), thickness=1))
    assert drawn((4, 4), thickness=1).sum() == 7


@pytest.mark.parametrize("thickness", [2, 3, 4, 7, 12])
@pytest.mark.parametrize(
    ("start", "end"), [((12, 12), (20, 12)), ((12, 12), (12, 14)), ((10, 9), (20, 15)), ((16, 12), (16, 12))]
)
def test_a_thick_line_is_what_lies_near_it(start: tuple[int, int], end: tuple[int, int], thickness: int) -> None:
    """Half of the thickness, to a pixel; round at its ends."""
    y, x = np.mgrid[:24, :32]
    (a, b), (c, d) = start, end
    length = max((c - a) ** 2 + (d - b) ** 2, 1)
    along = np.clip(((x - a) * (c - a) + (y - b) * (d - b)) / length, 0, 1)
    distance = np.hypot(x - a - along * (c - a), y - b - along * (d - b))
    got = drawn(start, end, thickness=thickness) > 0
    assert got[distance <= thickness / 2 - 0.5].all() and not got[distance > thickness / 2 + 1].any()


def test_what_lies_outside_is_left_out() -> None:
    for thickness in (1, 5):
        whole = drawn((-9, 4), (50, 20), thickness=thickness)
        assert whole[:, 0].any() and whole[:, -1].any()
        for far in [((-40, -40), (-30, 90)), ((60, 2), (90, 3)), ((-9, -20), (50, -20)), ((5, 60), (9, 70))]:
            assert not drawn(*far, thickness=thickness).any(), far
    labels = np.zeros((4, 4), np.int64)
    draw_line(labels, (0, 0), (3, 3), 1, 255)
    assert labels.tolist() == (255 * np.eye(4, dtype=np.int64)).tolist()
