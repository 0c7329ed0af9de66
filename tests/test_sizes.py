"""`--size` and `--format jpeg`: what is asked of the files, not of the models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_models import SIDE, Ran
from test_outputs import tree
from test_processes import process

import zoo
from zoo.composition.request.requests import read_request
from zoo.composition.run.sizing import resample
from zoo.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]


@pytest.mark.parametrize(
    ("given", "size"),
    [("80", (80, 80)), (80, (80, 80)), ("80,48", (80, 48)), ((80, 48), (80, 48)), (" 16, 20 ", (16, 20))],
)
def test_sizes_are_read(given: Any, size: tuple[int, int]) -> None:
    assert read_request({"size": given}).size == size


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"size": "large"}, "size takes a number of pixels, or a width and a height"),
        ({"size": "8,8,8"}, "size takes a number of pixels"),
        ({"size": "64x64"}, "size takes a number of pixels"),
        ({"size": "-64"}, "size takes a number of pixels"),
        ({"size": True}, "size takes a number of pixels"),
        ({"size": 64.5}, "size takes a number of pixels"),
        ({"size": 7}, "size takes 8 to 8192 pixels a side, got 7 x 7"),
        ({"size": "64,8193"}, "size takes 8 to 8192 pixels a side, got 64 x 8193"),
        ({"image_format": "gif"}, "image_format must be png or jpeg"),
        ({"quality": 90}, "quality is of JPEG"),
        ({"image_format": "jpeg", "quality": 0}, "quality goes from 1 to 100"),
        ({"image_format": "jpeg", "quality": 101}, "quality goes from 1 to 100"),
    ],
)
def test_what_is_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_request(given)
    assert part in str(caught.value)


def test_the_models_work_at_their_own_size(pipe: zoo.Composition) -> None:
    """Maps by the nearest, pictures by Pillow's Lanczos of what the models made; records tell what the files show."""
    plain, sized = (pipe(n=3, seed=2, size=size) for size in (None, "48,80"))
    assert sized.maps.size == (80, 48) and sized.images.shape == (3, 3, 80, 48)
    assert torch.equal(sized.maps.labels, plain.maps.resize((80, 48)).labels)
    assert torch.equal(sized.styles.tensors["z"], plain.styles.tensors["z"])
    assert sized.images.min() >= 0 and sized.images.max() <= 1
    assert torch.equal(sized.images, resample(plain.images, (80, 48)))
    tiny = pipe(n=3, seed=2, size=8)
    assert [tuple(r["labels"]) for r in tiny.report["samples"]] == [s.names for s in tiny.maps.label_sets()]


def test_pictures_are_resampled_as_pillow_does() -> None:
    """On floats, so without the rounding between; each picture alone."""
    y, x = torch.meshgrid(torch.linspace(0.2, 0.8, 32), torch.linspace(0, 6.28, 32), indexing="ij")
    images = torch.stack([y, (x.sin() + 2) / 4, 1 - y]).expand(2, 3, 32, 32)
    found = resample(images, (80, 48))
    eight = PIL.Image.fromarray((images[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    theirs = np.asarray(eight.resize((48, 80), PIL.Image.Resampling.LANCZOS), dtype=float)
    assert np.abs(found[0].permute(1, 2, 0).numpy() * 255 - theirs).max() < 2
    assert torch.equal(resample(images[:1], (80, 48)), found[1:])


@pytest.mark.parametrize("quality", [None, 40])
def test_jpeg_on_the_command_line(pair: tuple[str, str], tmp_path: Path, quality: int | None) -> None:
    """Names, lines, digests, grid, replay, continuation, `folder:` and replacement of a run of JPEGs of another size."""
    out, more = tmp_path / "o", () if quality is None else ("--quality", quality)
    command = ("compose", "+".join(pair), "-n", 3, "--seed", 2, "--device", "cpu", "--size", "48,40", "--out", out)
    made = process(*command, "--format", "jpeg", *more, "--labelmap")
    assert made.returncode == 0, made.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["size"] == [40, 48] and manifest["request"]["size"] == [48, 40]
    assert manifest["request"]["image_format"] == "jpeg" and manifest["request"].get("quality") == quality
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    for i, line in enumerate(lines):
        assert (line["file_name"], line["map_file_name"]) == (f"images/{i:06d}.jpg", f"maps/{i:06d}.png")
        with PIL.Image.open(out / line["file_name"]) as image, PIL.Image.open(out / line["map_file_name"]) as found:
            assert (image.format, image.size, found.format, found.size) == ("JPEG", (48, 40), "PNG", (48, 40))
        assert (out / f"JPEGImages/{i:06d}.jpg").is_file() and (out / f"SegmentationClass/{i:06d}.png").is_file()
    with PIL.Image.open(out / "grid.png") as grid:
        assert grid.size == (3 * 48, 2 * 40)
    assert "images/*.jpg" in (out / "README.md").read_text()
    assert process("replay", out).stdout == "6 of 6 files are equal\n"
    pairs = zoo.data.open_data(f"folder:{out}")
    assert len(pairs) == 3 and tuple(pairs[0]["image"].shape[-2:]) == (40, 48)
    before = tree(out)
    (out / "images/000002.jpg").unlink()
    again = process(*command, "--format", "jpeg", *more, "--labelmap")
    assert again.returncode == 0 and tree(out) == before, again.stderr
    other = process(*command, "--overwrite")
    assert other.returncode == 0 and not list(out.rglob("*.jpg")), other.stderr


def test_quality_counts(pipe: zoo.Composition, tmp_path: Path) -> None:
    sizes = []
    for quality in (30, None, 100):
        folder = pipe(n=1, seed=0, image_format="jpeg", quality=quality, size=128).save(tmp_path / str(quality))
        sizes.append((folder / "images/000000.jpg").stat().st_size)
    assert sizes[0] < sizes[1] < sizes[2]


def test_maps_are_never_jpegs(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    told = run("generate", pair[0], "--format", "jpeg", "--out", tmp_path / "o")
    assert told.code == 2 and "leave --format out" in told.err and not (tmp_path / "o").exists()
    sized = run("generate", pair[0], "--size", 64, "-n", 1, "--seed", 0, "--out", tmp_path / "o")
    assert sized.code == 0
    with PIL.Image.open(tmp_path / "o/maps/000000.png") as image:
        assert image.size == (64, 64) and image.mode == "P"


@pytest.mark.parametrize(
    ("asked", "cells", "photo"),
    [
        ("--photo A --photo B", (2, 3), True),
        ("--photo A --photo B -n 3", (5, 2), True),
        ("--photo A --mask M -n 2 --edit redraw:hair", (2, 3), True),
        ("--mask M -n 2", (3, 1), False),
    ],
)
def test_the_grid_of_photos_shows_them(
    run: Run, published: Path, inputs: Path, tmp_path: Path, asked: str, cells: tuple[int, int], photo: bool
) -> None:
    """Columns and rows of cells; the photo stands before the map, or above it."""
    files = {"A": inputs / "photo.png", "B": inputs / "photo2.png", "M": inputs / "face.png"}
    flags = [files.get(a, a) for a in asked.split()]
    done = run("compose", "mask-vae+scgan", *flags, "--seed", 1, "--device", "cpu", "--out", tmp_path / "o")
    assert done.code == 0, done.err
    with PIL.Image.open(tmp_path / "o/grid.png") as grid, PIL.Image.open(files["A"]) as picture:
        assert grid.size == (SIDE * cells[0], SIDE * cells[1])
        first = np.asarray(grid.crop((0, 0, SIDE, SIDE)), dtype=float)
        theirs = np.asarray(picture.convert("RGB").resize((SIDE, SIDE), PIL.Image.Resampling.BICUBIC), dtype=float)
    assert (np.abs(first - theirs).mean() < 1) == photo
