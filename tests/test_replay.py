"""`zoo replay`: the same bytes from the manifest alone, and a plain answer where that cannot be."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran, drawn_face

import zoo
from zoo.edits import Interpolate

Run = Callable[..., Ran]


@pytest.fixture
def made(run: Run, pair: tuple[str, str], inputs: Path, tmp_path: Path) -> Path:
    """A run of three edited samples with a photo's style."""
    style = f"{inputs / 'photo.png'}::{inputs / 'face.png'}"
    command = (
        *("compose", "+".join(pair), "--mask", inputs / "face.png", "--edit", "redraw:hair"),
        "--style",
        style,
        "-n",
        3,
        "--batch-size",
        2,
    )
    assert run(*command, "--seed", 5, "--out", tmp_path / "run", "--device", "cpu").code == 0
    return tmp_path / "run"


def test_identical_bytes(run: Run, made: Path, tmp_path: Path) -> None:
    again = run("replay", made / "manifest.json", "--out", tmp_path / "again")
    assert again.code == 0 and again.out == "6 of 6 files are equal\n"
    for name in ("grid.png", "metadata.jsonl", "images/000002.png", "maps/000000.png"):
        assert (tmp_path / "again" / name).read_bytes() == (made / name).read_bytes()
    report = json.loads(run("replay", made, "--json").out)
    assert report == {"files": 6, "equal": 6, "different": [], "changed": [], "versions": {}}


def test_a_run_that_was_moved(run: Run, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the folder of the run nor the present folder matters: the inputs lie in the run."""
    shutil.move(made, tmp_path / "elsewhere")
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    assert run("replay", tmp_path / "elsewhere").code == 0
    assert not list((tmp_path / "cwd").iterdir())


def test_threads_of_the_run(run: Run, made: Path) -> None:
    """The manifest's thread count is used and put back."""
    seen = []
    manifest = json.loads((made / "manifest.json").read_text())
    before = torch.get_num_threads()
    (made / "manifest.json").write_text(json.dumps({**manifest, "threads": before + 1}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "set_num_threads", seen.append)
        assert run("replay", made).code == 0
    assert seen == [before + 1, before]


def test_differences_are_named(run: Run, made: Path) -> None:
    lines = (made / "metadata.jsonl").read_text().splitlines()
    record = json.loads(lines[1])
    record["sha256"]["image"] = "0" * 64
    (made / "metadata.jsonl").write_text("\n".join([lines[0], json.dumps(record), lines[2]]) + "\n")
    (made / "maps/000000.png").write_bytes(b"painted over")
    again = run("replay", made)
    assert again.code == 1 and again.out.startswith("5 of 6 files are equal\ndifferent: images/000001.png\n")
    assert "changed since it was made: maps/000000.png" in again.out


def test_other_versions_are_told(run: Run, made: Path) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["versions"]["torch"] = "1.0"
    (made / "manifest.json").write_text(json.dumps(manifest))
    again = run("replay", made)
    assert again.code == 0 and "torch was 1.0, is" in again.err


def test_another_model_is_refused(run: Run, made: Path, pair: tuple[str, str]) -> None:
    manifest = json.loads((made / "manifest.json").read_text())
    manifest["models"]["synthesizer"]["sha256"]["model.safetensors"] = "0" * 64
    (made / "manifest.json").write_text(json.dumps(manifest))
    refused = run("replay", made)
    assert refused.code == 1 and "is not the one that made this run" in refused.err and refused.out == ""


def test_runs_of_python(run: Run, pipe: zoo.Composition, pair: tuple[str, str], tmp_path: Path, inputs: Path) -> None:
    """Maps, photos and styles given as objects are repeated from the folder; models given as objects cannot be."""
    from zoo.files.images import read_photo

    maps = zoo.SemanticMap(torch.cat([drawn_face(), drawn_face(2)]), pipe.space).to_space(
        zoo.label_space("face-parsing")
    )
    other = zoo.SemanticMap(drawn_face(4), pipe.space)
    edit = Interpolate(("hair",), other, 0.4)
    style = pipe(n=1, seed=0).styles
    pipe(maps=maps, n=2, seed=3, edits=[edit, "perturb:nose"], style=style, batch_size=3).save(tmp_path / "maps")
    assert run("replay", tmp_path / "maps").code == 0
    pipe(photos=read_photo(inputs / "photo.png") * 0.97, n=2, seed=3).save(tmp_path / "photo")
    assert run("replay", tmp_path / "photo").code == 0
    objects = zoo.compose((zoo.load(pair[0]), zoo.load(pair[1])), device="cpu")
    objects(n=1, seed=0).save(tmp_path / "objects")
    refused = run("replay", tmp_path / "objects")
    assert refused.code == 2 and "Python object" in refused.err


@pytest.mark.parametrize(
    ("content", "code", "part"),
    [
        (None, 2, "no manifest"),
        ("{", 1, "is not a manifest"),
        ("[]", 1, "is not a manifest of the zoo"),
        ('{"request": {}, "models": {}}', 1, "is not a manifest of the zoo"),
        ("no metadata", 2, "nothing to compare with"),
        ("no request", 1, "incomplete or damaged"),
        ("no input", 2, "There is no file"),
        ("unknown model", 2, "No model 'nosuch'"),
    ],
)
def test_manifests_that_cannot_be_replayed(run: Run, made: Path, content: str | None, code: int, part: str) -> None:
    path = made / "manifest.json"
    manifest = json.loads(path.read_text())
    if content is None:
        path.unlink()
    elif content == "no metadata":
        (made / "metadata.jsonl").unlink()
    elif content == "no request":
        path.write_text(json.dumps({**manifest, "request": {"n": 1}}))
    elif content == "no input":
        shutil.rmtree(made / "inputs")
    elif content == "unknown model":
        manifest["models"]["generator"]["source"] = "nosuch"
        path.write_text(json.dumps(manifest))
    else:
        path.write_text(content)
    refused = run("replay", path)
    assert refused.code == code and part in refused.err and refused.out == ""
    assert refused.err.startswith("Error: ")


def test_a_busy_output_is_refused(run: Run, made: Path, tmp_path: Path) -> None:
    for out in (made, made / "manifest.json"):
        assert run("replay", made, "--out", out).code == 2
