"""Frames of photos: cut, pasted back, read, recorded; and what is said of pictures without a face. No detector is needed here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

import zoo
from zoo.composition.checks.faces import is_face_space, no_face
from zoo.composition.request.framing import Framing, framing_from_json, read_framing
from zoo.errors import UsageError
from zoo.files import faces as detector
from zoo.files.faces import POINTS, frame_of
from zoo.files.frames import cut, cut_cells, paste, place, places
from zoo.files.opened import OpenedFiles
from zoo.files.squares import Frame, check_inside, read_frame

Run = Callable[..., Any]
TURNED = [Frame(50, 60, 100, 20), Frame(-20, -30, 160.5, -37), Frame(50.3, 60.7, 100), Frame(150, 40, 90, 90)]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    y, x = np.mgrid[0:220, 0:300]
    return np.stack([x / 2, y * 0.8, 100 + 40 * np.sin(x / 20) + 40 * np.cos(y / 25)], -1).astype(np.uint8)


def inside(frame: Frame, size: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre lies in the turned square, by its half planes."""
    y, x = np.mgrid[0 : size[0], 0 : size[1]] + 0.5
    corners = frame.corners()
    signs = []
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        signs.append((bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0)
    return np.logical_and.reduce(signs)


def test_an_unturned_frame_is_the_photos_own_bytes(photo: np.ndarray) -> None:
    assert np.array_equal(cut(photo, Frame(50, 60, 100)), photo[60:160, 50:150])
    beyond = cut(photo, Frame(-10, -5, 60))
    assert np.array_equal(beyond[5:, 10:], photo[:55, :50]) and np.array_equal(beyond[:5], beyond[5:10][::-1])
    large = np.zeros((1500, 1500, 3), np.uint8)
    assert cut(large, Frame(0, 0, 1400)).shape == (1024, 1024, 3)


@pytest.mark.parametrize("frame", TURNED[:3])
def test_a_turned_frame_shows_what_lies_there(photo: np.ndarray, frame: Frame) -> None:
    found = cut(photo, frame)
    rows, columns = places(frame, found.shape[0])
    within = (rows > 1) & (rows < 218) & (columns > 1) & (columns < 298)
    wave = 100 + 40 * np.sin(columns / 20) + 40 * np.cos(rows / 25)
    expected = np.stack([columns / 2, rows * 0.8, wave], -1)
    assert np.abs(found.astype(float) - expected)[within].max() < 4


def test_clockwise_is_clockwise(photo: np.ndarray) -> None:
    """A frame turned by 90 degrees has its upper edge on the right of the photo: its picture is the photo's turned back."""
    found = cut(photo, Frame(50, 60, 100, 90))
    assert np.abs(found.astype(int) - np.rot90(photo[60:160, 50:150], 1)).max() <= 1


@pytest.mark.parametrize("frame", [*TURNED, Frame(-150, -150, 200), Frame(250.5, 100, 120, 5)])
def test_outside_the_frame_nothing_changes(photo: np.ndarray, frame: Frame) -> None:
    made = paste(photo, np.full((32, 32, 3), 255, np.uint8), frame)
    changed, within = (made != photo).any(-1), inside(frame, photo.shape[:2])
    assert changed.any() and not (changed & ~within).any()
    middle = inside(
        Frame(frame.x + 0.2 * frame.side, frame.y + 0.2 * frame.side, 0.6 * frame.side, frame.angle), photo.shape[:2]
    )
    assert (made[middle] == 255).all()
    edge = made[within & ~middle].astype(int).mean() - photo[within & ~middle].astype(int).mean()
    assert 0 < edge < 255 - photo[within & ~middle].mean(), "it fades"


@pytest.mark.parametrize("frame", TURNED)
def test_what_was_cut_is_pasted_back(photo: np.ndarray, frame: Frame) -> None:
    assert np.abs(paste(photo, cut(photo, frame), frame).astype(int) - photo).max() <= 3


@pytest.mark.parametrize("frame", TURNED)
def test_maps_go_there_and_back(frame: Frame) -> None:
    cells = (np.mgrid[0:220, 0:300].sum(0) // 23 % 7).astype(np.uint8)
    back = place(cut_cells(cells, frame), frame, cells.shape, 9)
    within = inside(frame, cells.shape)
    assert (back[~within] == 9).all() and (back[within] == cells[within]).mean() > 0.9


def test_the_frame_of_landmarks() -> None:
    wanted = Frame(120, 80, 250, 33)
    (a, b), (c, d) = wanted.axes()
    x, y = wanted.centre
    marks = [(x + 250 * (a * (u - 0.5) + c * (v - 0.5)), y + 250 * (b * (u - 0.5) + d * (v - 0.5))) for u, v in POINTS]
    found = frame_of(np.array(marks))
    assert np.allclose([found.x, found.y, found.side, found.angle], [120, 80, 250, 33], atol=0.11)


@pytest.mark.parametrize("text", ["10,20,300", "10,20,300,-4.5"])
def test_frames_are_read_as_they_are_told(text: str) -> None:
    framing = read_framing(text)
    assert not framing.auto and str(framing.frames[0]) == text
    assert framing_from_json(json.loads(json.dumps(framing.to_json()))) == framing
    assert read_framing([float(n) for n in text.split(",")]) == framing == read_framing((text,))


@pytest.mark.parametrize("text", ["1,2", "a,b,c", "1,2,3", "1,2,nan", "1,2,100,300", "1,2,1e9", ""])
def test_no_frames(text: str) -> None:
    with pytest.raises(UsageError, match="takes auto, X,Y,SIDE or"):
        read_framing(text)


def test_frames_do_not_mix() -> None:
    assert read_framing("auto") == Framing(True)
    with pytest.raises(UsageError, match="do not mix"):
        read_framing(("auto", "1,2,100"))
    for damaged in ({}, {"auto": 1, "frames": []}, {"auto": False, "frames": []}, {"auto": True, "frames": [[1, 2]]}):
        with pytest.raises((TypeError, ValueError)):
            framing_from_json(damaged)
    with pytest.raises(UsageError, match="lies outside x, which has 30 x 20"):
        check_inside(read_frame([90, 0, 20]), (20, 30), "x")
    with pytest.raises(UsageError, match="more than 4 times as large"):
        check_inside(read_frame([-80, -80, 190]), (20, 30), "x")


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A photo of 90 x 70 pixels."""
    path = tmp_path / "wide.png"
    noise = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    PIL.Image.fromarray(noise).resize((90, 70)).save(path)
    return path


def made_by(run: Run, *words: object) -> dict[str, Any]:
    """The manifest of a run that went well."""
    made = run(*words, "--device", "cpu")
    assert made.code == 0, made.err
    return json.loads((Path(made.out.strip()) / "manifest.json").read_text())


def test_paste_and_replay(run: Run, published: Path, tmp_path: Path, wide: Path) -> None:
    out = tmp_path / "out"
    words = ("compose", "mask-vae+scgan", "--photo", wide, "--frame", "20,10,40,12", "--paste", "--edit", "redraw:hair")
    manifest = made_by(run, *words, "-n", 2, "--seed", 1, "--out", out)
    assert manifest["request"]["frame"] == {"auto": False, "frames": [[20.0, 10.0, 40.0, 12.0]]}
    before, frame = np.array(PIL.Image.open(wide)), Frame(20, 10, 40, 12)
    for name in ("000000.png", "000001.png"):
        after = np.array(PIL.Image.open(out / "pasted" / name))
        assert after.shape == before.shape and not ((after != before).any(-1) & ~inside(frame, (70, 90))).any()
        image = np.array(PIL.Image.open(out / "images" / name))
        assert np.array_equal(after, paste(before, image, frame)) and not np.array_equal(after, before)
    assert "6 of 6 files are equal" in run("replay", out).out
    (out / "pasted/000001.png").write_bytes(b"damaged")
    assert run("replay", out).code == 1
    again = run(*words, "-n", 2, "--seed", 1, "--out", out, "--device", "cpu")
    assert again.code == 0 and "1 samples are damaged" in again.err and run("replay", out).code == 0
    assert "2 pairs" in run("data", "check", f"folder:{out}").out, "what was pasted is no sample"
    made_by(run, "compose", "mask-vae+scgan", "--labels", "skin,hair", "--out", out, "--overwrite")
    assert not (out / "pasted").exists()


def test_photo_map_and_style_are_cut_alike(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    """What a frame gives of photo and map is what the two cut by hand give."""
    framed = ("--photo", inputs / "photo.png", "--mask", inputs / "face.png", "--frame", "8,4,32")
    made_by(run, "compose", "mask-vae+scgan", *framed, "--seed", 0, "--out", tmp_path / "a")
    for name in ("photo", "face"):
        PIL.Image.open(inputs / f"{name}.png").crop((8, 4, 40, 36)).save(tmp_path / f"{name}.png")
    by_hand = ("--photo", tmp_path / "photo.png", "--mask", tmp_path / "face.png")
    made_by(run, "compose", "mask-vae+scgan", *by_hand, "--seed", 0, "--out", tmp_path / "b")
    style = f"{inputs / 'photo.png'}::{inputs / 'face.png'}"
    mask = tmp_path / "face.png"
    made_by(run, "synth", "scgan", mask, "--style", style, "--frame", "8,4,32", "--seed", 0, "--out", tmp_path / "c")
    for kind in ("maps", "images"):
        first, *others = ((tmp_path / run_name / kind / "000000.png").read_bytes() for run_name in "abc")
        assert all(first == other for other in others), kind


def test_several_photos_have_a_frame_each(run: Run, published: Path, tmp_path: Path, inputs: Path) -> None:
    two = ("compose", "mask-vae+scgan", "--photo", inputs / "photo.png", "--photo", inputs / "photo2.png")
    one = run(*two, "--frame", "8,4,32", "--out", tmp_path / "x")
    assert one.code == 2 and "--frame takes one frame for each photo (here 2) or auto, got 1" in one.err
    manifest = made_by(run, *two, "--frame", "8,4,32", "--frame", "0,0,40", "--out", tmp_path / "out")
    assert [f[2] for f in manifest["request"]["frame"]["frames"]] == [32.0, 40.0]
    assert run("replay", tmp_path / "out").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--labels", "skin", "--frame", "1,2,30"), "--frame needs a photo"),
        (("--photo", "PHOTO", "--paste"), "--paste needs --photo and their --frame"),
        (("--photo", "PHOTO", "--frame", "1,2,30", "--paste", "--size", "64"), "leave --size out"),
        (("--photo", "PHOTO", "--frame", "999,2,30"), "lies outside"),
        (("--photo", "PHOTO", "--frame", "auto"), "pip install 'maskzoo[faces]'"),
    ],
)
def test_refused(
    run: Run,
    published: Path,
    tmp_path: Path,
    inputs: Path,
    words: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(detector, "installed", lambda: False)
    words = tuple(str(inputs / "photo.png") if word == "PHOTO" else word for word in words)
    made = run("compose", "mask-vae+scgan", *words, "--out", tmp_path / "out", "--device", "cpu")
    assert made.code == 2 and told in made.err and not (tmp_path / "out").exists()
    if "auto" in words:
        parsed = run("parse", inputs / "photo.png", "--frame", "auto", "--out", tmp_path / "maps")
        assert parsed.code == 2 and told in parsed.err and not (tmp_path / "maps").exists()


def test_spaces_of_no_faces() -> None:
    assert is_face_space(zoo.label_space("celebamask-hq")) and is_face_space(zoo.label_space("face-parsing"))
    assert not any(is_face_space(zoo.label_space(name)) for name in ("atr", "ade20k", "cityscapes"))


def test_parse_in_a_frame(run: Run, published: Path, tmp_path: Path, wide: Path) -> None:
    made = run("parse", wide, "--frame", "20,10,40,12", "--out", tmp_path / "maps", "--device", "cpu")
    assert made.code == 0, made.err
    labels = np.array(PIL.Image.open(tmp_path / "maps/wide.png"))
    assert labels.shape == (70, 90) and not labels[~inside(Frame(20, 10, 40, 12), (70, 90))].any()
    pixels = torch.from_numpy(np.array(PIL.Image.open(wide))).permute(2, 0, 1).float() / 255
    parser = published / "face-parser-celeba"
    ours = zoo.parse(pixels, parser=parser, frame=(20, 10, 40, 12), device="cpu")
    assert np.array_equal(ours.labels[0].numpy(), labels)
    away = run("parse", wide, "--frame", "500,2,30", "--out", tmp_path / "m2", "--device", "cpu")
    assert away.code == 2 and "lies outside" in away.err and not (tmp_path / "m2").exists()
    other = wide.with_name("other.png")
    other.write_bytes(wide.read_bytes())
    two = run("parse", wide, other, "--frame", "1,2,30", "--out", tmp_path / "m2")
    assert two.code == 2 and "one frame for each photo (here 2)" in two.err


def test_what_is_no_face_is_told(run: Run, published: Path, tmp_path: Path, wide: Path) -> None:
    """By the parsed map alone: a parser that sees background everywhere."""
    space = zoo.label_space("celebamask-hq")
    assert not no_face(("skin", "l_eye"), space) and not no_face(("nose",), space)
    assert "No eye and no nose was found in x" in no_face(("skin", "hair"), space, "x")
    assert not no_face(("hair",), zoo.label_space("atr"))
    blind = zoo.load(str(published / "face-parser-celeba"))
    with torch.no_grad():
        blind.get_submodule("unet.final").bias[0] = 1e4  # type: ignore[index]
    parser = zoo.save(blind, tmp_path / "blind")
    told = run("parse", wide, "--parser", parser, "--out", tmp_path / "maps", "--device", "cpu")
    assert told.code == 0 and f"No eye and no nose was found in {wide}" in told.err and "--frame auto" in told.err
    words = ("compose", "mask-vae+scgan", "--photo", wide, "--parser", parser, "--out", tmp_path / "out")
    made_by(run, *words)
    line = json.loads((tmp_path / "out/metadata.jsonl").read_text().splitlines()[0])
    assert any("No eye and no nose was found" in note for note in line["notes"])
    (tmp_path / "maps/__colors__").rename(tmp_path / "colours")
    styled = run(
        "synth",
        "scgan",
        tmp_path / "maps/wide.png",
        "--style",
        wide,
        "--parser",
        parser,
        "--out",
        tmp_path / "s",
        "--trust-maps",
    )
    assert styled.code == 0 and "No eye and no nose was found" in styled.err


def test_a_transparent_photo_is_told(tmp_path: Path) -> None:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 3] = 255
    PIL.Image.fromarray(pixels).save(tmp_path / "whole.png")
    pixels[:4, :, 3] = 0
    PIL.Image.fromarray(pixels).save(tmp_path / "half.png")
    files = OpenedFiles()
    assert not files.photo(tmp_path / "whole.png").pixels.any() and not files.take_notes()
    assert files.photo(tmp_path / "half.png").pixels[:4].min() == 255
    assert files.take_notes() == [f"{tmp_path / 'half.png'} is transparent: it is laid on white."]
