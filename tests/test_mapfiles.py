"""Label maps in files: palettes, numbers and colours in; every kind of wrong file answered with the likely fix."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

import zoo
from zoo.errors import DataError, LabelError
from zoo.files.mapfiles import fitting_spaces, read_map_file
from zoo.files.palettes import palette_matches
from zoo.labels import LabelClass, LabelSpace, numbered_space
from zoo.maps import SemanticMap

FACES = zoo.label_space("celebamask-hq")
VALUES = np.random.default_rng(0).integers(0, 19, (12, 10)).astype(np.uint8)
COLORS = np.asarray(FACES.palette, np.uint8)


def written(folder: Path, image: PIL.Image.Image | np.ndarray, name: str = "map.png", **options: object) -> Path:
    path = folder / name
    (PIL.Image.fromarray(image) if isinstance(image, np.ndarray) else image).save(path, **options)
    return path


def from_jpeg(folder: Path, image: np.ndarray, quality: int) -> PIL.Image.Image:
    """What a picture is after somebody saved it as JPEG."""
    return PIL.Image.open(written(folder, image, "map.jpg", quality=quality))


def read(path: Path, space: LabelSpace = FACES) -> np.ndarray:
    return SemanticMap.from_png(path, space).labels[0].numpy()


def refusal(path: Path, space: LabelSpace = FACES) -> str:
    with pytest.raises(LabelError) as caught:
        SemanticMap.from_png(path, space)
    assert str(path) in str(caught.value)
    return str(caught.value)


def renumbered() -> PIL.Image.Image:
    """A palette picture as a tool saves it that sorts the colours by frequency."""
    order = np.random.default_rng(1).permutation(19)
    image = PIL.Image.fromarray(np.argsort(order).astype(np.uint8)[VALUES], "P")
    image.putpalette(COLORS[order].flatten().tolist())
    return image


def test_a_palette_map_round_trips_with_the_class_as_pixel_value(tmp_path: Path) -> None:
    found = SemanticMap(torch.from_numpy(VALUES.astype(np.int64))[None], FACES)
    found.to_png(tmp_path / "map.png")
    with PIL.Image.open(tmp_path / "map.png") as image:
        assert image.mode == "P" and np.array_equal(np.asarray(image), VALUES)
        assert np.array_equal(np.asarray(image.convert("RGB")), COLORS[VALUES])
    assert np.array_equal(read(tmp_path / "map.png"), VALUES)
    assert palette_matches(read_map_file(tmp_path / "map.png"), FACES)
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


@pytest.mark.parametrize("classes", [3, 12, 18, 40])
def test_unlabeled_pixels_survive_the_file(tmp_path: Path, classes: int) -> None:
    space = LabelSpace("ignoring", numbered_space(classes).classes, "label_0", ignore=True)
    labels = torch.tensor([[[0, 1, classes - 1, 255]]])
    SemanticMap(labels, space).to_png(tmp_path / "map.png")
    assert torch.equal(SemanticMap.from_png(tmp_path / "map.png", space).labels, labels)


@pytest.mark.parametrize(
    ("dtype", "suffix"), [(np.uint8, "png"), (np.uint16, "png"), (np.int32, "tif"), (np.float32, "tif")]
)
def test_grey_maps_hold_class_numbers(tmp_path: Path, dtype: type, suffix: str) -> None:
    assert np.array_equal(read(written(tmp_path, VALUES.astype(dtype), f"map.{suffix}")), VALUES)


def test_a_grey_map_saved_as_rgb_or_opaque_rgba_holds_class_numbers(tmp_path: Path) -> None:
    rgb = np.repeat(VALUES[..., None], 3, 2)
    path = written(tmp_path, rgb)
    assert read_map_file(path).grey_as_rgb and np.array_equal(read(path), VALUES)
    rgba = np.concatenate([rgb, np.full((12, 10, 1), 255, np.uint8)], 2)
    assert np.array_equal(read(written(tmp_path, rgba)), VALUES)


def test_a_colour_coded_map_is_read_by_the_spaces_colours_and_their_published_variants(tmp_path: Path) -> None:
    colored = COLORS[VALUES]
    assert np.array_equal(read(written(tmp_path, colored)), VALUES)
    colored[np.equal(VALUES, FACES.index("r_brow"))] = (51, 255, 255)
    assert np.array_equal(read(written(tmp_path, colored)), VALUES)


def test_a_palette_map_that_a_picture_tool_renumbered_is_read_by_its_colours(tmp_path: Path) -> None:
    path = written(tmp_path, renumbered())
    assert not np.array_equal(np.asarray(PIL.Image.open(path)), VALUES)
    assert np.array_equal(read(path), VALUES)
    assert not palette_matches(read_map_file(path), FACES)


def test_a_palette_of_foreign_colours_leaves_the_numbers_as_they_are(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(VALUES, "P")
    image.putpalette([c for i in range(19) for c in (i * 3 + 1, 7, 200 - i)])
    assert np.array_equal(read(written(tmp_path, image)), VALUES)


def test_values_without_a_palette_entry_are_numbers_not_background(tmp_path: Path) -> None:
    image = PIL.Image.fromarray(np.array([[0, 1, 5]], np.uint8), "P")
    image.putpalette(COLORS.flatten().tolist())
    path = written(tmp_path, image)
    content = path.read_bytes()
    start = content.index(b"PLTE") - 4
    body = b"PLTE" + COLORS[:2].tobytes()
    end = start + 12 + COLORS.size
    path.write_bytes(
        content[:start] + (6).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big") + content[end:]
    )
    assert read(path).tolist() == [[0, 1, 5]]


# --- files that are no label map of the space ---------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["1", "L"])
def test_a_binary_mask_is_recognised(tmp_path: Path, mode: str) -> None:
    image = PIL.Image.fromarray(((VALUES > 9) * 255).astype(np.uint8)).convert(mode)
    text = refusal(written(tmp_path, image))
    assert "binary mask of one part (0/255)" in text and "Valid values: 0..18." in text


def test_values_that_are_one_too_high_are_recognised(tmp_path: Path) -> None:
    text = refusal(written(tmp_path, VALUES + 1))
    count = int((VALUES == 18).sum())
    assert "one too high" in text and "subtract 1" in text and f"19: {count}" in text


def test_unlabeled_pixels_are_recognised_where_the_space_has_none(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, :3] = 255
    text = refusal(written(tmp_path, values))
    assert "255 usually means 'unlabeled'" in text and "255: 3" in text


def test_a_map_of_a_larger_space_is_told_to_name_its_space(tmp_path: Path) -> None:
    values = VALUES.copy()
    values[0, 0] = 130
    text = refusal(written(tmp_path, values))
    assert "130: 1" in text and 'mask_space="NAME"' in text and "zoo labels celebamask-hq" in text


def test_a_smoothed_or_jpeg_map_is_recognised(tmp_path: Path) -> None:
    photo = np.random.default_rng(2).integers(0, 256, (40, 40)).astype(np.uint8)
    text = refusal(written(tmp_path, photo))
    assert "JPEG" in text and "nearest neighbour" in text and "in all" in text
    blocks = np.kron(VALUES, np.ones((5, 5), np.uint8))
    with pytest.raises(DataError, match="was saved as JPEG"):
        SemanticMap.from_png(written(tmp_path, blocks, "map.jpg", quality=30), FACES)


def test_unknown_colours_are_listed_with_the_nearest_class(tmp_path: Path) -> None:
    colored = COLORS[VALUES]
    colored[0, :2] = (203, 1, 0)
    text = refusal(written(tmp_path, colored))
    assert "(203, 1, 0) (nearest: skin (204, 0, 0))" in text and "(203, 1, 0): 2" in text
    text = refusal(written(tmp_path, from_jpeg(tmp_path, np.kron(colored, np.ones((5, 5, 1), np.uint8)), 50)))
    assert "save the map as PNG" in text


def test_transparent_pixels_are_refused_and_counted(tmp_path: Path) -> None:
    rgba = np.concatenate([COLORS[VALUES], np.full((12, 10, 1), 255, np.uint8)], 2)
    rgba[:2, :2, 3] = 0
    with pytest.raises(DataError, match=r"4 pixels are transparent.*flatten"):
        SemanticMap.from_png(written(tmp_path, rgba), FACES)


def test_truncated_foreign_and_empty_files_are_refused(tmp_path: Path) -> None:
    big = np.random.default_rng(0).integers(0, 19, (200, 200)).astype(np.uint8)
    whole = written(tmp_path, big).read_bytes()
    for name, content, message in [
        ("cut.png", whole[: len(whole) // 2], "damaged or cut off"),
        ("text.png", b"hello", "not a picture"),
        ("empty.png", b"", r"not a picture.*\(0 bytes\)"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message):
            SemanticMap.from_png(tmp_path / name, FACES)


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    written(tmp_path, VALUES, "face.png")
    with pytest.raises(DataError, match=r"no file .*fase.png; did you mean 'face.png'"):
        SemanticMap.from_png(tmp_path / "fase.png", FACES)
    with pytest.raises(DataError, match="nor a folder"):
        SemanticMap.from_png(tmp_path / "nowhere/face.png", FACES)
    with pytest.raises(DataError, match="is a folder, expected a picture"):
        SemanticMap.from_png(tmp_path, FACES)


def test_an_instance_file_holds_numbers_and_has_the_maps_size(tmp_path: Path) -> None:
    labels, instances = written(tmp_path, VALUES), written(tmp_path, VALUES.astype(np.uint16) * 1000, "ids.png")
    found = SemanticMap.from_png(labels, FACES, instances=instances)
    assert found.instances is not None and torch.equal(found.instances, found.labels * 1000)
    for bad in (written(tmp_path, VALUES[1:], "small.png"), written(tmp_path, COLORS[VALUES], "colors.png")):
        with pytest.raises(DataError, match="10 x 12"):
            SemanticMap.from_png(labels, FACES, instances=bad)


def test_unwritable_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Cannot write"):
        SemanticMap(torch.zeros(1, 2, 2, dtype=torch.long), FACES).to_png(tmp_path / "nowhere/map.png")


def test_fitting_spaces_are_those_in_which_the_file_is_legal(tmp_path: Path) -> None:
    spaces = [
        FACES,
        zoo.label_space("atr"),
        LabelSpace("two", (LabelClass("a", (1, 2, 3)), LabelClass("b", (4, 5, 6)))),
    ]
    assert fitting_spaces(read_map_file(written(tmp_path, VALUES)), spaces) == ["celebamask-hq"]
    assert fitting_spaces(read_map_file(written(tmp_path, np.minimum(VALUES, 1))), spaces) == [
        "celebamask-hq",
        "atr",
        "two",
    ]
    assert fitting_spaces(read_map_file(written(tmp_path, COLORS[VALUES])), spaces) == ["celebamask-hq"]
