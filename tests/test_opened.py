"""Opened files: bounded memory, changed files, and what the one pass over them finds before the work."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from fixtures_models import Ran

import zoo
from zoo.composition.request.arguments import make_request
from zoo.errors import DataError, LabelError, UsageError
from zoo.files.digests import sha256
from zoo.files.images import photo_tensor, read_photo
from zoo.files.kept import Kept
from zoo.files.mapfiles import read_map_file, to_values
from zoo.files.opened import OpenedFiles
from zoo.labels import LabelSpace

Run = Callable[..., Ran]


@pytest.fixture
def space() -> LabelSpace:
    return zoo.label_space("celebamask-hq")


@pytest.fixture
def many(tmp_path: Path) -> list[Path]:
    """Forty maps of 64 x 64, each of one class."""
    paths = [tmp_path / f"{i:02d}.png" for i in range(40)]
    for i, path in enumerate(paths):
        PIL.Image.fromarray(np.full((64, 64), i % 19, np.uint8)).save(path)
    return paths


def test_kept_holds_the_first_and_the_latest() -> None:
    kept = Kept(100)
    for name in "abcd":
        kept.add(name, name.upper(), 40)
    assert [kept.get(name) for name in "abcd"] == ["A", "B", None, "D"] and kept.room == 20
    assert kept.once("c", lambda: ("again", 40)) == "again" and kept.get("d") is None
    kept.drop("a")
    assert kept.get("a") is None and kept.room == 60
    kept.clear()
    assert kept.room == 100 and kept.get("b") is None and kept.get("c") is None


def test_an_opened_map_is_what_the_file_holds(inputs: Path, space: LabelSpace) -> None:
    files, path = OpenedFiles(), inputs / "face.png"
    found, plain = files.map(path), read_map_file(path)
    assert (found.sha256, found.mode, found.size, found.numbers) == (sha256(path), plain.mode, plain.size, True)
    assert found.file.values is not None and plain.values is not None
    assert np.array_equal(found.file.values, plain.values)
    expected = to_values(plain, space)
    assert np.array_equal(found.labels(space), expected) and found.shown(space) == set(np.unique(expected).tolist())
    assert files.map(str(path)) is found
    assert torch.equal(photo_tensor(files.photo(inputs / "photo.png").pixels), read_photo(inputs / "photo.png"))


def test_an_upright_size(tmp_path: Path) -> None:
    image = PIL.Image.new("RGB", (30, 20))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert OpenedFiles().photo(tmp_path / "turned.jpg").size == (30, 20)


def test_memory_is_bounded(many: list[Path], space: LabelSpace) -> None:
    limit = 5 * 64 * 64
    files = OpenedFiles(limit)
    for path in many:
        assert files.map(path).shown(space) == {int(path.stem) % 19}
        inside = sum(size for _, size in files.kept._kept.values())
        assert inside <= limit and inside == limit - files.kept.room
    assert files.kept.get((many[0], space)) is not None and files.kept.get((many[20], space)) is None
    assert [int(files.map(path).labels(space)[0, 0]) for path in many] == [i % 19 for i in range(40)]


def test_a_file_larger_than_memory(inputs: Path, space: LabelSpace, tmp_path: Path) -> None:
    files, path = OpenedFiles(10), tmp_path / "face.png"
    shutil.copy(inputs / "face.png", path)
    assert files.sha256(path) == sha256(path)
    assert np.array_equal(files.map(path).labels(space), to_values(read_map_file(path), space))
    files.copy(path, tmp_path / "copy.png")
    assert sha256(tmp_path / "copy.png") == sha256(path)
    shutil.copy(inputs / "other.png", path)
    with pytest.raises(DataError, match="changed since it was first read"):
        files.copy(path, tmp_path / "copy.png")


def test_a_change_is_not_seen_or_refused(inputs: Path, space: LabelSpace, tmp_path: Path) -> None:
    """In memory the bytes that were checked count; those that must be read again have to be the same."""
    path = tmp_path / "face.png"
    shutil.copy(inputs / "face.png", path)
    files = OpenedFiles()
    before = files.map(path).labels(space)
    digest = sha256(path)
    shutil.copy(inputs / "other.png", path)
    assert np.array_equal(files.map(path).labels(space), before)
    files.copy(path, tmp_path / "copy.png")
    assert sha256(tmp_path / "copy.png") == files.sha256(path) == digest
    files.release()
    for _ in range(2):
        with pytest.raises(DataError, match=r"face\.png was changed since it was first read: run this again"):
            files.map(path).labels(space)
    assert files.map(path).shown(space)  # a fact of the bytes that were read
    shutil.copy(inputs / "face.png", path)
    assert np.array_equal(files.map(path).labels(space), before)


def test_a_run_uses_what_was_checked(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    shutil.copy(inputs / "face.png", path)
    expected = pipe(maps=path, seed=0)
    parts = pipe.stream(maps=path, seed=0)
    path.write_bytes(b"no picture any more")
    found = next(iter(parts)).images
    assert found is not None and expected.images is not None and torch.equal(found, expected.images)


def test_a_run_refuses_what_was_changed(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        shutil.copy(inputs / "face.png", path)
    request = make_request(pipe, maps=paths, seed=0, batch_size=1)
    parts = pipe.run(request, files=OpenedFiles(100))
    next(parts)
    shutil.copy(inputs / "other.png", paths[1])
    with pytest.raises(DataError, match=r"b\.png was changed"):
        next(parts)


def test_a_result_saves_the_inputs_that_it_was_made_of(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    path = tmp_path / "face.png"
    shutil.copy(inputs / "face.png", path)
    result = pipe(maps=path, seed=0)
    assert result._files.kept.room == result._files.kept.limit  # it holds no pictures
    shutil.copy(inputs / "other.png", path)
    with pytest.raises(DataError, match="changed"):
        result.save(tmp_path / "out")
    assert not (tmp_path / "out").exists()
    shutil.copy(inputs / "face.png", path)
    saved = json.loads((result.save(tmp_path / "out") / "manifest.json").read_text("utf-8"))
    name = saved["request"]["masks"][0]
    assert sha256(tmp_path / "out" / name) == sha256(path) and sha256(path).startswith(Path(name).stem)


def test_all_is_looked_at_before_a_model_is_loaded(inputs: Path, model_root: Path, tmp_path: Path) -> None:
    """The ninth map, an instance map of another size and a style's photo too; torch has not been imported then."""
    cut, good = tmp_path / "cut.png", inputs / "face.png"
    cut.write_bytes(good.read_bytes()[:150])
    PIL.Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "small.png")
    for arguments, said in (
        (("--mask", good) * 9 + ("--mask", cut), "cut.png is damaged"),
        (("--mask", good, "--instances", tmp_path / "small.png"), "an instance map holds numbers"),
        (("--mask", good, "--style", cut), "cut.png is damaged"),
        (("--photo", cut), "cut.png is damaged"),
    ):
        code = "import sys, zoo.cli\ntry: zoo.cli.main(sys.argv[1:])\nfinally: print('torch' in sys.modules)\n"
        pair = f"{model_root}/mask-vae-celeba+{model_root}/scgan-celeba"
        ran = subprocess.run(
            [sys.executable, "-c", code, "compose", pair, *map(str, arguments), "--out", str(tmp_path / "out")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert ran.returncode == 1 and said in ran.stderr and ran.stdout.strip() == "False", (arguments, ran)
        assert not (tmp_path / "out").exists()


def test_objects_of_a_caller_are_checked_too(pipe: zoo.Composition, inputs: Path, tmp_path: Path) -> None:
    """Before the first batch, as files are."""
    face = zoo.SemanticMap.from_png(inputs / "face.png", pipe.space)
    with pytest.raises(
        UsageError, match=r"The photo given as Tensor has 20 x 30 pixels, its map given as SemanticMap has 48"
    ):
        pipe.stream(photos=torch.zeros(3, 30, 20), maps=face)
    with pytest.raises(UsageError, match=r"The photo given as Tensor has 20 x 30 pixels, its map .*face\.png has 48"):
        pipe.stream(photos=torch.zeros(3, 30, 20), maps=inputs / "face.png")
    (tmp_path / "cut.png").write_bytes((inputs / "photo.png").read_bytes()[:200])
    with pytest.raises(DataError, match=r"cut\.png is damaged"):
        pipe.stream(maps=face, style=str(tmp_path / "cut.png"))
    PIL.Image.fromarray(np.full((48, 48), 40, np.uint8)).save(tmp_path / "bad.png")
    with pytest.raises(LabelError, match="Values found"):
        pipe.stream(maps=[inputs / "face.png"] * 9 + [tmp_path / "bad.png"])
