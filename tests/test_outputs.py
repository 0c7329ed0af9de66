"""The output folder: what it holds, how a run is continued, what is never touched."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran

from zoo.composition.folder.outputs import OutputFolder
from zoo.composition.folder.records import read_manifest

Run = Callable[..., Ran]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def command(pair: tuple[str, str], inputs: Path) -> tuple[object, ...]:
    """Seven samples in batches of three, from two maps that are edited."""
    return (
        *("compose", "+".join(pair), "--mask", inputs / "face.png", "--edit", "redraw:hair"),
        "-n",
        7,
        "--batch-size",
        3,
        "--seed",
        5,
        "--device",
        "cpu",
    )


@pytest.fixture
def whole(run: Run, command: tuple[object, ...], tmp_path: Path) -> dict[str, bytes]:
    """The folder of an uninterrupted run."""
    assert run(*command, "--out", tmp_path / "whole").code == 0
    return tree(tmp_path / "whole")


def interrupt(run: Run, command: tuple[object, ...], out: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> Ran:
    """The command, stopped by Ctrl-C after some samples."""
    append = OutputFolder._append

    def stopping(self: OutputFolder, record: dict) -> None:
        append(self, record)
        if self.done == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(OutputFolder, "_append", stopping)
        return run(*command, "--out", out)


def test_what_a_folder_holds(whole: dict[str, bytes], tmp_path: Path, inputs: Path) -> None:
    names = [f"{kind}/{i:06d}.png" for kind in ("images", "maps") for i in range(7)]
    (copied,) = (n for n in whole if n.startswith("inputs/"))
    assert sorted(whole) == sorted([*names, copied, "README.md", "grid.png", "manifest.json", "metadata.jsonl"])
    assert whole[copied] == (inputs / "face.png").read_bytes()
    manifest = json.loads(whole["manifest.json"])
    assert manifest["finished"] and manifest["samples"] == 7 and manifest["request"]["seed"] == 5
    assert manifest["threads"] >= 1 and "torch" in manifest["versions"]
    assert (
        set(manifest["models"]) == {"generator", "synthesizer"}
        and manifest["models"]["generator"]["sha256"]["model.safetensors"]
    )
    assert manifest["summary"]["requested"]["hair"]["asked"] == 7 and "changed_outside_edits" in manifest["summary"]
    lines = [json.loads(line) for line in whole["metadata.jsonl"].splitlines()]
    assert [r["file_name"] for r in lines] == [n for n in names if n.startswith("images")]
    assert [r["map_file_name"] for r in lines] == [n for n in names if n.startswith("maps")]
    for r in lines:
        assert r["edits"] == ["redraw:hair"]
        assert r["sha256"] == {
            "image": hashlib.sha256(whole[r["file_name"]]).hexdigest(),
            "map": hashlib.sha256(whole[r["map_file_name"]]).hexdigest(),
        }


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interrupted_run_goes_on(
    run: Run, command, whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    out = tmp_path / "cut"
    stopped = interrupt(run, command, out, after, monkeypatch)
    assert stopped.code == 130 and stopped.out == "" and f"{after} of 7" in stopped.err and "Error" not in stopped.err
    again = run(*command, "--out", out)
    assert again.code == 0 and again.out.strip() == str(out) and f"{after} of 7 samples are there" in again.err
    assert tree(out) == whole


def test_a_run_lends_its_seed(run: Run, command, whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "cut"
    interrupt(run, command, out, 2, monkeypatch)
    without = [a for i, a in enumerate(command) if "--seed" not in (a, command[i - 1])]
    assert run(*without, "--out", out).code == 0
    assert tree(out) == whole


@pytest.mark.parametrize(
    "damage", ["cut line", "garbage line", "wrong index", "part files", "missing picture", "no grid", "no metadata"]
)
def test_what_a_crash_can_leave(
    run: Run, command, whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    out = tmp_path / "cut"
    interrupt(run, command, out, 5, monkeypatch)
    metadata = out / "metadata.jsonl"
    lines = metadata.read_bytes().splitlines(keepends=True)
    if damage == "cut line":
        metadata.write_bytes(b"".join(lines[:4]) + lines[4][:-1])  # whole JSON, but no newline
    elif damage == "garbage line":
        metadata.write_bytes(b"".join(lines[:4]) + b"17\n" + lines[4])
    elif damage == "wrong index":
        metadata.write_bytes(b"".join(lines[:3]) + lines[4])
    elif damage == "part files":
        for name in ("maps/.000005.png", "images/.000005.png", ".manifest.json"):
            (out / f"{name}.0123456789abcdef.part").write_bytes(b"half")
    elif damage == "missing picture":
        (out / "images/000001.png").unlink()
    elif damage == "no metadata":
        metadata.unlink()
    assert run(*command, "--out", out).code == 0
    if damage == "no grid":
        (out / "grid.png").unlink()
        assert run(*command, "--out", out).code == 0
    assert tree(out) == whole


def test_a_finished_run_is_left_alone(run: Run, command, whole, tmp_path: Path) -> None:
    before = {n: (tmp_path / "whole" / n).stat().st_mtime_ns for n in whole}
    again = run(*command, "--out", tmp_path / "whole")
    assert again.code == 0 and again.out.strip() == str(tmp_path / "whole")
    assert before == {n: (tmp_path / "whole" / n).stat().st_mtime_ns for n in whole}


def test_another_run_is_refused_and_named(run: Run, command, whole, tmp_path: Path) -> None:
    refused = run(*command[:-4], "--seed", 6, "--device", "cpu", "--out", tmp_path / "whole")
    assert refused.code == 2 and "request (seed)" in refused.err and "--overwrite" in refused.err
    assert tree(tmp_path / "whole") == whole


def test_overwriting_keeps_what_is_the_users(run: Run, command, whole, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    mine = {
        "notes.txt": b"mine",
        "maps/sketch.png": b"mine",
        "images/900000.png": b"mine",
        "inputs/face.png": b"mine",
        "draft.part": b"mine",
    }
    for name, content in mine.items():
        (out / name).write_bytes(content)
    shorter = [3 if command[i - 1] == "-n" else a for i, a in enumerate(command)]
    assert run(*shorter, "--out", out, "--overwrite").code == 0
    after = tree(out)
    assert all(after[n] == content for n, content in mine.items())
    assert sorted(n for n in after if n.startswith("maps/0")) == [f"maps/{i:06d}.png" for i in range(3)]
    assert len(after["metadata.jsonl"].splitlines()) == 3


@pytest.mark.parametrize("content", [None, "{}", '{"name": "my web app", "images": true}', "[1"])
def test_overwriting_refuses_what_no_run_made(run: Run, command, tmp_path: Path, content: str | None) -> None:
    out = tmp_path / "website"
    (out / "images").mkdir(parents=True)
    (out / "images/000000.png").write_bytes(b"mine")
    if content is not None:
        (out / "manifest.json").write_text(content)
    before = tree(out)
    for flags in ((), ("--overwrite",)):
        refused = run(*command, "--out", out, *flags)
        assert refused.code == 2 and "no run of the zoo" in refused.err and refused.out == ""
    assert tree(out) == before


def test_nothing_is_written_before_the_first_batch(pipe, tmp_path: Path) -> None:
    from zoo.composition.folder.manifest import make_manifest
    from zoo.composition.request.arguments import make_request

    manifest, inputs = make_manifest(pipe, make_request(pipe, n=1, seed=0))
    output = OutputFolder(tmp_path / "out", manifest, inputs)
    assert not output.finished and not (tmp_path / "out").exists()


def test_the_default_folder_names_models_and_seed(
    run: Run, pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = run("generate", pair[0], "--seed", 7, "--device", "cpu")
    assert made.code == 0 and made.out == "mask-vae-celeba-7\n"
    assert read_manifest(tmp_path / "mask-vae-celeba-7")["images"] is False and not os.path.exists(
        "mask-vae-celeba-7/images"
    )
