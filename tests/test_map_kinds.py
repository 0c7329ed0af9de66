"""Palettes that say nothing, and files that are no map as they stand: told for what they are, by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli.mask import mask as mask_group
from zoo.data.files import read_label_array
from zoo.data.specs import open_source
from zoo.errors import LabelError
from zoo.files.mapfiles import read_map_file, to_values
from zoo.files.palettes import palette_doubt
from zoo.labels import LabelSpace, numbered_space, voc_color
from zoo.registry import label_space

CELEBA = label_space("celebamask-hq")
VOC = [voc_color(v) for v in range(256)]


def face(side: int = 96) -> np.ndarray:
    return open_source("toy-faces:8#train").read(0, (side, side))[1]


def written(path: Path, values: np.ndarray, palette: Sequence[tuple[int, ...]] | None = None) -> Path:
    image = PIL.Image.fromarray(values.astype(np.uint8))
    if palette is not None:
        image.putpalette([c for color in palette for c in color])
    image.save(path)
    return path


def read(path: Path, space: LabelSpace) -> np.ndarray:
    """By both ways into the zoo."""
    found = to_values(read_map_file(path), space)
    assert np.array_equal(found, read_label_array(path, space))
    return found


def doubt(path: Path, space: LabelSpace) -> str:
    file = read_map_file(path)
    return palette_doubt(file, space, to_values(file, space)) or ""


def inspect(*args: object) -> str:
    result = CliRunner().invoke(mask_group, ["inspect", *map(str, args)])
    assert result.exit_code == 0, result.output
    return result.stdout


# --- palettes -------------------------------------------------------------------------------------------------------


def test_a_space_of_invented_colours_leaves_numbers_alone(tmp_path: Path) -> None:
    values = np.array([[0, 1, 2, 3]] * 4)
    path = written(tmp_path / "a.png", values, [VOC[v] for v in (3, 2, 1, 0)])
    assert np.array_equal(read(path, numbered_space(6)), values)
    assert "is read by its numbers" in doubt(path, numbered_space(6))


def test_the_voc_palette_shifts_no_class_of_coco_stuff(tmp_path: Path) -> None:
    values = np.array([[1, 2, 5, 60], [99, 180, 181, 255]])
    path = written(tmp_path / "a.png", values, VOC)
    assert np.array_equal(read(path, label_space("coco-stuff")), values)
    assert "Pascal VOC's, which tools give to any map" in doubt(path, label_space("coco-stuff"))


def test_two_numbers_of_one_colour_stay_two(tmp_path: Path) -> None:
    palette = list(CELEBA.palette)
    palette[CELEBA.index("r_eye")] = palette[CELEBA.index("l_eye")]
    path = written(tmp_path / "a.png", face(), palette)
    assert np.array_equal(read(path, CELEBA), face())
    assert "several numbers in one colour" in doubt(path, CELEBA)


def test_a_black_palette_says_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", face(), [(0, 0, 0)] * 19)
    assert np.array_equal(read(path, CELEBA), face())
    path = written(tmp_path / "b.png", np.array([[0, 40], [41, 42]]), [(0, 0, 0)] * 256)
    with pytest.raises(LabelError, match="Valid values"):
        read(path, CELEBA)


def test_colours_are_read_where_numbers_cannot_be(tmp_path: Path) -> None:
    palette = [(1, 2, 3)] * 100 + list(CELEBA.palette)
    path = written(tmp_path / "a.png", face().astype(int) + 100, palette)
    assert np.array_equal(read(path, CELEBA), face())
    assert "its numbers are no classes" in doubt(path, CELEBA)
    order = np.random.default_rng(1).permutation(19)
    path = written(tmp_path / "b.png", np.argsort(order)[face()], [CELEBA.palette[v] for v in order])
    assert np.array_equal(read(path, CELEBA), face())
    assert "they stand at other numbers, as a picture tool leaves them" in doubt(path, CELEBA)
    assert doubt(written(tmp_path / "c.png", face(), CELEBA.palette), CELEBA) == ""
    assert "It is read by the colours of its palette" in inspect(tmp_path / "b.png", "--space", "celebamask-hq")


# --- inspect --------------------------------------------------------------------------------------------------------


def test_the_voc_palette_is_named_and_names_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", np.array([[0, 1], [2, 12]]), VOC)
    text = inspect(path)
    assert "Pascal VOC's colour map, which tools give to maps of any label space" in text
    assert "read by its colours" not in text and "label_" not in text and "hat" not in text
    path = written(tmp_path / "b.png", np.array([[0, 15], [15, 255]]), VOC)
    text = inspect(path)
    assert "read by its colours" not in text and "Pascal VOC" in text


def test_undecided_maps_get_no_names(tmp_path: Path) -> None:
    report = json.loads(inspect(written(tmp_path / "a.png", np.array([[0, 1], [2, 3]])), "--json"))
    assert len(report["fits"]) > 5 and not any("class" in row for row in report["histogram"])
    named = json.loads(inspect(tmp_path / "a.png", "--space", "atr", "--json"))
    assert [row["class"] for row in named["histogram"]] == ["background", "hat", "hair", "sunglasses"]


def test_masks_of_one_part(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", np.where(face() == 1, 255, 0))
    text = inspect(path)
    assert "binary mask of one part (0/255)" in text and "fits: no known label space" in text


@pytest.mark.parametrize("factor", [13, 10, 5])
def test_numbers_that_were_multiplied(tmp_path: Path, factor: int) -> None:
    path = written(tmp_path / "a.png", face().astype(int) * factor)
    text = inspect(path)
    assert f"multiples of {factor}" in text and f"Divide by {factor}." in text
    assert f"divided by {factor}, its numbers are in the order of celebamask-hq" in text
    with pytest.raises(LabelError, match=f"Divide by {factor}"):
        read(path, CELEBA)


def test_swapped_channels(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", np.asarray(CELEBA.palette, np.uint8)[face()][..., ::-1])
    assert "With red and blue swapped these are the colours of" in inspect(path)
    with pytest.raises(LabelError, match="red and blue swapped"):
        read(path, CELEBA)


def test_smoothed_borders(tmp_path: Path) -> None:
    colored = PIL.Image.fromarray(np.asarray(CELEBA.palette, np.uint8)[face(256)])
    path = tmp_path / "a.png"
    colored.resize((300, 300), PIL.Image.Resampling.BILINEAR).save(path)
    text = inspect(path)
    assert "odd colours on" in text and "lie around colours of" in text and "nearest neighbour" in text
    with pytest.raises(LabelError, match="lie around colours of celebamask-hq"):
        read(path, CELEBA)


def test_numbers_spread_over_the_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(1, 3000, (6, 6)), np.ones((16, 16), int))
    objects = np.kron(np.arange(36).reshape(6, 6) * 7, np.ones((16, 16), int))
    ade = np.stack([blocks // 256 * 10, blocks % 256, objects], 2).astype(np.uint8)
    text = inspect(written(tmp_path / "ADE_train_1_seg.png", ade))
    assert "R / 10 * 256 + G" in text and "36 classes" in text
    ids = np.kron(rng.integers(1 << 16, 1 << 24, (6, 6)), np.ones((16, 16), int))
    coco = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], 2).astype(np.uint8)
    text = inspect(written(tmp_path / "000000000139.png", coco))
    assert "R + 256 * G + 65536 * B" in text and "36 objects" in text
    photo = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    text = inspect(written(tmp_path / "photo.png", photo))
    assert "65536 * B" not in text and "look like a photo" in text
