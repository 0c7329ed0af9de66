"""`zoo data check`: what it says of copies, turned photos, hidden files and part masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli import cli
from zoo.data.specs import open_source
from zoo.registry import label_space


def write(root: Path, split: str, name: str, seed: int, *, suffix: str = ".png") -> Path:
    for folder in ("images", "maps"):
        (root / split / folder).mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    path = root / split / "images" / f"{name}{suffix}"
    PIL.Image.fromarray(rng.integers(0, 255, (16, 12, 3), dtype=np.uint8)).save(path)
    labels = rng.integers(0, 3, (16, 12), dtype=np.uint8)
    PIL.Image.fromarray(labels).save(root / split / "maps" / f"{name}.png")
    return path


def check(root: Path, *more: str) -> dict[str, list[str]]:
    result = CliRunner().invoke(cli, ["data", "check", f"folder:{root}", "--space", "celebamask-hq", "--json", *more])
    return json.loads(result.stdout)


def test_copies_across_splits_are_reported(tmp_path: Path) -> None:
    write(tmp_path, "train", "a", 1)
    write(tmp_path, "train", "b", 2)
    write(tmp_path, "train", "c", 2)  # a copy within one split is no fault
    write(tmp_path, "val", "d", 1, suffix=".bmp")
    write(tmp_path, "val", "e", 3)
    (problem,) = check(tmp_path)["problems"]
    assert "same picture" in problem and "train/images/a.png (train)" in problem and "val/images/d.bmp (val)" in problem
    (tmp_path / "val" / "images" / "d.bmp").unlink()
    write(tmp_path, "val", "d", 4)
    assert check(tmp_path)["problems"] == []


def test_a_name_in_two_lists_is_reported(tmp_path: Path) -> None:
    for i, name in enumerate("abc"):
        write(tmp_path, ".", name, i)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("a\nb\n")
    (tmp_path / "splits" / "val.txt").write_text("b\nc\n")
    (problem,) = check(tmp_path)["problems"]
    assert problem.endswith("images/b.png is in the splits train and val")


def test_turned_photos_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, ".", "a", 1, suffix=".jpg")
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    PIL.Image.new("RGB", (12, 16)).save(path, exif=exif)
    report = check(tmp_path)
    assert "EXIF tag (orientation 6)" in report["problems"][0] and len(report["problems"]) == 1
    assert any("1 photos are turned by their EXIF tag" in note for note in report["notes"])


def test_pages_are_told(tmp_path: Path) -> None:
    path = write(tmp_path, ".", "a", 1, suffix=".tif")
    pages = [PIL.Image.new("RGB", (12, 16), c) for c in ("red", "blue")]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    assert any("holds 2 pictures; only the first is read" in note for note in check(tmp_path)["notes"])


def test_parts_that_are_nowhere_or_everywhere_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    masks = tmp_path / "set" / "CelebAMask-HQ-mask-anno" / "0"
    masks.mkdir(parents=True)
    (tmp_path / "set" / "CelebA-HQ-img").mkdir()
    PIL.Image.new("RGB", (1024, 1024)).save(tmp_path / "set" / "CelebA-HQ-img" / "7.jpg")
    for part, box in (("skin", (9, 9, 300, 300)), ("hair", (0, 0, 0, 0)), ("cloth", (0, 0, 512, 512))):
        image = PIL.Image.new("L", (512, 512))
        image.paste(255, box)
        image.save(masks / f"00007_{part}.png")
    (masks / "._00007_nose.png").write_bytes(b"x")
    (tmp_path / "set" / "CelebA-HQ-img" / "._7.jpg").write_bytes(b"x")
    result = CliRunner().invoke(cli, ["data", "check", f"celebamask-hq:{tmp_path / 'set'}", "--json"])
    problems = json.loads(result.stdout)["problems"]
    assert [p.rpartition("/")[2] for p in problems if ": the part " in p] == [
        "00007_hair.png: the part is nowhere in the picture",
        "00007_cloth.png: the part covers the whole picture",
    ]


def test_hidden_names_are_no_data_in_official_layouts(tmp_path: Path) -> None:
    for folder in ("train_img", "train_label"):
        (tmp_path / folder).mkdir()
    PIL.Image.new("RGB", (4, 4)).save(tmp_path / "train_img" / "1.jpg")
    PIL.Image.new("L", (4, 4)).save(tmp_path / "train_label" / "1.png")
    (tmp_path / "train_img" / "._1.jpg").write_bytes(b"x")
    (tmp_path / "train_label" / "._1.png").write_bytes(b"x")
    source = open_source(f"coco-stuff:{tmp_path}")
    assert source.names == ("train/1",) and source.label_space == label_space("coco-stuff")
