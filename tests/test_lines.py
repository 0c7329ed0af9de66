"""Brush strokes on arrays of labels, and `zoo mask paint` (those that OpenCV drew are in the recorded case P_preprocess of MaskGAN)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_models import Ran

from zoo.files.lines import draw_line, draw_path
from zoo.maps import SemanticMap
from zoo.registry import label_space

SPACE = label_space("celebamask-hq")


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


# --- zoo mask paint ---------------------------------------------------------------------------------------------------


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A map of 40 x 30 pixels, all hair but for a square of skin."""
    labels = torch.full((1, 30, 40), SPACE.index("hair"))
    labels[:, 5:20, 5:20] = SPACE.index("skin")
    SemanticMap(labels, SPACE).to_png(tmp_path / "face.png")
    return tmp_path / "face.png"


def test_strokes_are_painted_in_their_order(face: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    out = tmp_path / "edited.png"
    strokes = ("--stroke", "hat@4=0,15:39,15", "--stroke", "cloth@4=20,0:20,29", "--stroke", "bg=35,25")
    ran = run("mask", "paint", face, *strokes, "--out", out)
    assert ran.code == 0 and ran.out.strip() == str(out)
    before, after = (SemanticMap.from_png(p, SPACE).labels[0] for p in (face, out))
    names = {
        (y, x): SPACE.names[int(after[y, x])]
        for y, x in ((15, 10), (15, 20), (2, 20), (25, 35), (27, 35), (2, 2), (8, 8))
    }
    assert names[15, 10] == "hat" and names[15, 20] == names[2, 20] == "cloth"
    assert names[25, 35] == names[27, 35] == "background" and names[2, 2] == "hair" and names[8, 8] == "skin"
    assert set(before.unique().tolist()) < set(after.unique().tolist())
    assert run("mask", "paint", face, *strokes, "--out", out).code == 2
    again = run("mask", "paint", face, "--stroke", "hat=1,1", "--out", out, "--overwrite", "--map-format", "grey")
    assert again.code == 0 and PIL.Image.open(out).mode == "L"


@pytest.mark.parametrize(
    ("stroke", "words"),
    [
        ("hair", "expected CLASS[@SIZE]=X,Y"),
        ("hair=", "expected CLASS[@SIZE]=X,Y"),
        ("hair=1,2:3", "expected CLASS[@SIZE]=X,Y"),
        ("=1,2", "expected CLASS[@SIZE]=X,Y"),
        ("hair=1,999999", "expected CLASS[@SIZE]=X,Y"),
        ("hair@0=1,2", "whole number of 1 to 4096"),
        ("hair@x=1,2", "whole number of 1 to 4096"),
        ("hiar=1,2", "did you mean 'hair'"),
    ],
)
def test_strokes_that_are_none_are_refused(
    face: Path, tmp_path: Path, run: Callable[..., Ran], stroke: str, words: str
) -> None:
    ran = run("mask", "paint", face, "--stroke", stroke, "--out", tmp_path / "edited.png")
    assert (
        ran.code in (1, 2) and words in ran.err and ran.err.count("\n") == 1 and not (tmp_path / "edited.png").exists()
    )


def test_nothing_of_the_users_is_lost(face: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    for out, words in {
        tmp_path: "is a folder",
        tmp_path / "edited.jpg": "ends in .png",
        face: "--overwrite",
        tmp_path / "none/edited.png": "there is no folder",
    }.items():
        ran = run("mask", "paint", face, "--stroke", "hair=1,2", "--out", out)
        assert ran.code == 2 and words in ran.err, out
    ran = run("mask", "paint", face, "--stroke", "hair=1,2", "--out", face, "--overwrite")
    assert ran.code == 2 and "the map itself" in ran.err
