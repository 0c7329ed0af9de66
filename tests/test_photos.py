"""Photos from strangers: deep grey is scaled or refused, turned ones are told, foreign files are named."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from zoo.data.files import read_photo_array
from zoo.errors import DataError, UsageError
from zoo.files.decoding import open_image
from zoo.files.images import photo_pixels, read_photo, turn_fault, turn_of
from zoo.files.mapfiles import read_map_file
from zoo.files.opened import OpenedFiles
from zoo.registry import label_space

RAMP = np.linspace(0, 65535, 16).round().reshape(4, 4)
EIGHT = np.linspace(0, 255, 16).round().reshape(4, 4)


def saved(path: Path, array: np.ndarray, **options: Any) -> Path:
    PIL.Image.fromarray(array).save(path, **options)
    return path


def all_ways(path: Path) -> list[np.ndarray]:
    """A photo as training, use from Python and commands read it."""
    used = (read_photo(path) * 255).round().byte().permute(1, 2, 0).numpy()
    return [read_photo_array(path), used, OpenedFiles().photo(path).pixels]


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_sixteen_bits_are_scaled(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, RAMP.astype(np.uint16))
    for pixels in all_ways(path):
        assert np.array_equal(pixels, np.repeat(EIGHT[..., None], 3, -1))


def test_a_stated_range_is_what_white_is(tmp_path: Path) -> None:
    twelve = saved(tmp_path / "x.tif", (RAMP / 65535 * 4095).round().astype(np.uint16), tiffinfo={281: 4095})
    assert np.abs(read_photo_array(twelve)[..., 0] - EIGHT).max() <= 1
    floats = saved(tmp_path / "f.tif", (RAMP / 65535).astype(np.float32), tiffinfo={341: 1.0, 340: 0.0})
    assert np.array_equal(read_photo_array(floats)[..., 1], EIGHT)
    wrong = saved(tmp_path / "w.tif", RAMP.astype(np.uint16), tiffinfo={281: 4095})
    with pytest.raises(DataError, match=r"w.tif says that its values lie in 0\.\.4095, but they are 0\.\.65535"):
        read_photo_array(wrong)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (RAMP.astype(np.int32), r"32-bit grey with values 0\.\.65535"),
        (RAMP.astype(np.float32) / 65535, r"floats with values 0\.\.1"),
    ],
)
def test_what_says_nothing_of_white_is_refused(tmp_path: Path, array: np.ndarray, told: str) -> None:
    path = saved(tmp_path / "x.tif", array)
    for read in (read_photo_array, read_photo, OpenedFiles().photo):
        with pytest.raises(DataError, match=told):
            read(path)


def test_maps_of_fractions_are_refused(tmp_path: Path) -> None:
    fractions = saved(tmp_path / "x.tif", np.array([[0, 0.5], [1, 2]], np.float32))
    with pytest.raises(DataError, match=r"1 pixels are no whole numbers \(values 0\.\.2\)"):
        OpenedFiles().map(fractions)
    whole = saved(tmp_path / "y.tif", np.array([[0, 3], [1, 2]], np.float32))
    values = read_map_file(whole).values
    assert values is not None and values.tolist() == [[0, 3], [1, 2]]
    endless = saved(tmp_path / "z.tif", np.array([[0, np.nan]], np.float32))
    with pytest.raises(DataError, match="1 pixels"):
        read_map_file(endless)


def test_transparent_photos_are_the_same_in_training_and_use(tmp_path: Path) -> None:
    array = np.zeros((2, 2, 4), np.uint8)
    array[0, 0] = (10, 20, 30, 255)
    path = saved(tmp_path / "x.png", array)
    for pixels in all_ways(path):
        assert pixels[0, 0].tolist() == [10, 20, 30] and pixels[1, 1].tolist() == [255, 255, 255]
    palette = PIL.Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.save(tmp_path / "p.png", transparency=0)
    for pixels in all_ways(tmp_path / "p.png"):
        assert pixels[0].tolist() == [[255] * 3, [9] * 3]


def turned(path: Path, size: tuple[int, int], orientation: int = 6, mode: str = "RGB") -> Path:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    PIL.Image.new(mode, size).save(path, exif=exif)
    return path


def test_a_turned_photo_beside_an_unturned_map_is_told(tmp_path: Path) -> None:
    photo = turned(tmp_path / "x.jpg", (6, 4))
    assert turn_of(photo) == 6 and OpenedFiles().photo(photo).size == (6, 4)
    assert "EXIF tag (orientation 6)" in turn_fault(photo, (6, 4), (4, 6))
    assert turn_fault(photo, (6, 4), (5, 6)) == ""
    assert turn_of(saved(tmp_path / "y.png", np.zeros((2, 2), np.uint8))) == 1


def test_a_style_photo_and_its_unturned_map_are_told(tmp_path: Path) -> None:
    from zoo.composition.checks.pictures import check_pictures
    from zoo.composition.request.requests import Request, parse_style

    photo, mask = turned(tmp_path / "x.jpg", (6, 4)), saved(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    request = Request(styles=(parse_style(f"{photo}::{mask}"),))
    with pytest.raises(UsageError, match=r"4 x 6 pixels, its map .* 6 x 4.*EXIF tag \(orientation 6\)"):
        check_pictures(request, label_space("celebamask-hq"), OpenedFiles())


def test_deep_photos_are_turned_too(tmp_path: Path) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.fromarray(RAMP[:2].astype(np.uint16)).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(read_photo_array(tmp_path / "x.png")[..., 0], np.rot90(EIGHT[:2], -1))


def test_pages_beyond_the_first_are_told(tmp_path: Path) -> None:
    pages = [PIL.Image.new("RGB", (3, 2), color) for color in ("red", "blue", "green")]
    for name in ("x.tif", "x.gif", "x.webp", "x.png"):
        pages[0].save(tmp_path / name, save_all=True, append_images=pages[1:])
        with pytest.warns(UserWarning, match=f"{name} holds 3 pictures; only the first is read"):
            image = open_image(tmp_path / name)
        red = photo_pixels(image, tmp_path / name)[0, 0]
        assert red[0] > 200 and red[2] < 50


def test_the_command_warns_in_words_without_a_line_of_its_source(tmp_path: Path) -> None:
    pages = [PIL.Image.new("L", (3, 2), number) for number in (0, 1, 2)]
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:])
    command = [sys.executable, "-m", "zoo", "mask", "inspect", str(tmp_path / "x.tif")]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    assert made.stderr == f"Warning: {tmp_path / 'x.tif'} holds 3 pictures; only the first is read.\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n", "Git LFS pointer, .* git lfs pull"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(40), "a HEIC picture: export it as JPEG"),
        (gzip.compress(b"x" * 100, mtime=0), "a gzip archive: unpack it"),
        (b"PK\x03\x04" + bytes(30), "a zip archive"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"\x93NUMPY\x01\x00" + bytes(40), "a NumPy array"),
        (b"", r"not a picture that can be read \(0 bytes\)"),
    ],
)
def test_foreign_files_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    for read in (read_photo_array, OpenedFiles().photo, OpenedFiles().map):
        with pytest.raises(DataError, match=told):
            read(path)
