"""Part masks of any make: palettes, alpha shapes, smoothed borders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from zoo.data.parts import merge_parts
from zoo.labels import voc_color

SHAPE = np.zeros((512, 512), bool)
SHAPE[100:300, 200:400] = True


def palette(colors: dict[int, tuple[int, int, int]]) -> PIL.Image.Image:
    image = PIL.Image.fromarray(SHAPE.astype(np.uint8) * max(colors), "P")
    image.putpalette([channel for i in range(256) for channel in colors.get(i, (0, 0, 0))])
    return image


def colored(color: tuple[int, ...], rest: tuple[int, ...]) -> PIL.Image.Image:
    return PIL.Image.fromarray(np.where(SHAPE[..., None], np.array(color, np.uint8), np.array(rest, np.uint8)))


MAKES = {
    "white": colored((255, 255, 255), (0, 0, 0)),
    "red": colored((255, 0, 0), (0, 0, 0)),
    "one": PIL.Image.fromarray(SHAPE.astype(np.uint8)),
    "bits": PIL.Image.fromarray(SHAPE),
    "voc": palette({1: voc_color(1)}),
    "black palette": palette({1: (0, 0, 0)}),
    "white on alpha": colored((255, 255, 255, 255), (255, 255, 255, 0)),
    "black on alpha": colored((0, 0, 0, 255), (0, 0, 0, 0)),
    "opaque": colored((255, 255, 255, 255), (0, 0, 0, 255)),
    "deep": PIL.Image.fromarray(SHAPE.astype(np.uint16) * 65535),
}


@pytest.mark.parametrize("make", MAKES)
def test_every_make_gives_its_shape(tmp_path: Path, make: str) -> None:
    (tmp_path / "0").mkdir()
    MAKES[make].save(tmp_path / "0" / "00007_hair.png")
    merged = merge_parts(tmp_path, 7)
    assert np.array_equal(merged == 13, SHAPE) and set(np.unique(merged)) == {0, 13}


def test_smoothed_borders_lie_at_half_the_height(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    MAKES["white"].save(tmp_path / "x.jpg", quality=60)
    PIL.Image.open(tmp_path / "x.jpg").save(tmp_path / "0" / "00007_hair.png")
    assert np.array_equal(merge_parts(tmp_path, 7) == 13, SHAPE)
