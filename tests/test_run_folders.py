"""Run folders that somebody else made, that were damaged, that two processes want, that grow: what is touched and what comes out."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_models import Ran
from test_outputs import interrupt, tree

from zoo.composition.folder.outputs import OutputFolder
from zoo.files.locks import LOCK, folder_lock

Run = Callable[..., Ran]
N = 5
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs links and modes of POSIX")


def command(models: tuple[str, str], n: int = N, *more: object) -> tuple[object, ...]:
    return ("compose", "+".join(models), "-n", n, "--batch-size", 3, "--seed", 5, "--device", "cpu", *more)


@pytest.fixture(scope="module")
def finished(pair: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of N samples, not to be written to."""
    from zoo.cli import main

    out = tmp_path_factory.mktemp("finished") / "run"
    with pytest.raises(SystemExit) as left:
        main([str(a) for a in command(pair, N, "--out", out)])
    assert not left.value.code
    return out


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


# --- of strangers -------------------------------------------------------------------------------------------------

LINKS = [
    "metadata.jsonl",
    "manifest.json",
    "grid.png",
    "README.md",
    "maps",
    "images",
    "inputs",
    "maps/000001.png",
    LOCK,
]
LINKS += ["inputs/0123456789abcdef.png", "labelmap.txt", "SegmentationClass", "ImageSets"]


@posix
@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", LINKS)
def test_links_are_not_followed(run: Run, pair: tuple[str, str], out: Path, name: str, overwrite: bool) -> None:
    """A link under a name of ours is one line, and what it leads to stays as it was."""
    outside, place = out.parent / "outside", out / name
    if place.exists():
        place.rename(outside)
    elif Path(name).suffix:
        outside.write_bytes(b"mine")
        place.parent.mkdir(exist_ok=True)
    else:
        outside.mkdir()
        (outside / "000000.png").write_bytes(b"mine")
    place.symlink_to(outside)
    if name == LOCK:  # only taken where something is to be done
        (out / "grid.png").unlink()
    before, inside = tree(out.parent), sorted(p.name for p in out.rglob("*"))
    ran = run(*command(pair, 2 if overwrite else N, *(["--overwrite"] if overwrite else [])), "--out", out)
    assert ran.code == 2 and ran.err.count("\n") == 1 and "is a link" in ran.err, ran.err
    assert tree(out.parent) == before and sorted(p.name for p in out.rglob("*")) == inside


@posix
def test_other_names_of_a_file_keep_their_bytes(run: Run, pair: tuple[str, str], finished: Path, out: Path) -> None:
    """Hard links of the user's to files that would be truncated, added to or replaced."""
    for name in ("metadata.jsonl", "manifest.json", "grid.png", "maps/000004.png"):
        os.link(out / name, out.parent / Path(name).name)
    (out.parent / "metadata.jsonl").open("ab").write(b'{"index": 4')  # what a killed session leaves
    (out / "images/000003.png").unlink()
    before = {p: p.read_bytes() for p in out.parent.iterdir() if p.is_file()}
    assert run(*command(pair), "--out", out).code == 0
    assert tree(out) == tree(finished)
    assert {p: p.read_bytes() for p in before} == before


@pytest.mark.parametrize("samples", [10**9, 10**30, -1, "7", None, 2.5, True])
def test_counts_are_not_believed(run: Run, pair: tuple[str, str], out: Path, samples: Any) -> None:
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["samples"] = manifest["request"]["n"] = samples
    (out / "manifest.json").write_text(json.dumps(manifest))
    refused = run(*command(pair), "--out", out)
    assert refused.code in (1, 2) and refused.err.startswith("Error: ") and "should not happen" not in refused.err
    again = run(*command(pair, 2), "--out", out, "--overwrite")
    assert "should not happen" not in again.err and "Traceback" not in again.err


@pytest.mark.parametrize("summary", [{"requested": {"hair": "x"}}, {"notes": 3}, [], "x", {"style_change": {"a": 1}}])
def test_a_summary_is_not_believed(run: Run, pair: tuple[str, str], out: Path, summary: Any) -> None:
    right = run(*command(pair), "--out", out)
    manifest = json.loads((out / "manifest.json").read_text())
    (out / "manifest.json").write_text(json.dumps({**manifest, "summary": summary}))
    again = run(*command(pair), "--out", out)
    if isinstance(summary, dict):
        assert (again.code, again.err) == (0, right.err)
    else:
        assert again.code == 2 and "summary" in again.err and again.err.count("\n") == 1


def test_a_lock_of_nobody_goes_from_a_finished_run(run: Run, pair: tuple[str, str], finished: Path, out: Path) -> None:
    (out / LOCK).touch()
    assert run(*command(pair), "--out", out).code == 0
    assert tree(out) == tree(finished)


def _line(out: Path, **changes: Any) -> None:
    lines = [json.loads(line) for line in (out / "metadata.jsonl").read_text().splitlines()]
    lines[1] = {**lines[1], **changes}
    (out / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    "changes",
    [
        {"index": 10**9},
        {"index": -1},
        {"index": "1"},
        {"index": True},
        {"seed": 6},
        {"labels": 7},
        {"notes": [7]},
        {"style_change": "no"},
        {"file_name": "../../outside.png"},
        {"file_name": 7},
        {"map_file_name": None},
        {"sha256": {"map": None, "image": None}},
        {"sha256": {"map": 7, "image": 7}},
        {"sha256": [1]},
        {"sha256": {}},
    ],
    ids=str,
)
def test_lines_that_are_no_lines_are_made_again(
    run: Run, pair: tuple[str, str], finished: Path, out: Path, changes: dict[str, Any]
) -> None:
    _line(out, **changes)
    again = run(*command(pair), "--out", out)
    assert again.code == 0 and f"{N - 1} of {N} samples are there" in again.err
    assert tree(out) == tree(finished)


# --- damaged ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["swapped", "empty", "missing", "cut", "line in the middle", "lines twice", "an input", "a folder gone"]
)
def test_damaged_samples_are_made_again_and_no_other(
    run: Run, pair: tuple[str, str], finished: Path, out: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, lines = out / "images/000001.png", (out / "metadata.jsonl").read_bytes().splitlines(keepends=True)
    expected = {1}
    if damage == "swapped":
        shutil.copy(out / "images/000004.png", picture)
    elif damage == "empty":
        picture.write_bytes(b"")
    elif damage == "missing":
        (out / "maps/000001.png").unlink()
    elif damage == "cut":
        picture.write_bytes(picture.read_bytes()[:-20])
    elif damage == "line in the middle":
        (out / "metadata.jsonl").write_bytes(b"".join([lines[0], b"\x00garbage\n", *lines[2:]]))
    elif damage == "lines twice":  # as two processes left them before there was a lock
        (out / "metadata.jsonl").write_bytes(b"".join([*lines, *lines[1:]]))
        picture.unlink()
    elif damage == "an input":
        (out / "inputs").mkdir()  # not ours to mend: this run has none
        (out / "grid.png").unlink()
        expected = set()
    else:
        shutil.rmtree(out / "maps")
        expected = set(range(N))
    times = {n: (out / n).stat().st_mtime_ns for n in tree(out) if n.endswith("3.png")}
    made: list[int] = []
    append = OutputFolder._append
    monkeypatch.setattr(
        OutputFolder, "_append", lambda self, record: (made.append(record["index"]), append(self, record))
    )
    again = run(*command(pair), "--out", out)
    assert again.code == 0 and set(made) == expected
    told = "damaged or incomplete, and are made again" in again.err
    assert told == bool(expected - ({1} if damage == "line in the middle" else set()))
    assert tree(out) == tree(finished)
    if 3 not in expected:
        assert {n: (out / n).stat().st_mtime_ns for n in times} == times
    assert not run(*command(pair), "--out", out).err.count("Continuing")


def test_an_input_is_what_its_name_says(run: Run, pair: tuple[str, str], inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    edit = command(pair, 2, "--mask", inputs / "face.png", "--edit", "redraw:hair", "--out", out)
    assert run(*edit).code == 0
    before = tree(out)
    (copied,) = (out / "inputs").iterdir()
    copied.write_bytes(b"")
    (out / "images/000001.png").unlink()
    assert run(*edit).code == 0 and tree(out) == before


# --- before the first manifest ------------------------------------------------------------------------------------

LEFT = {
    "nothing": [],
    "our folders": ["maps/", "images/", "inputs/"],
    "temporary files": [".manifest.json.0123456789abcdef.part", "maps/.000000.png.0123456789abcdef.part"],
    "a lock": [LOCK, "maps/"],
}


@pytest.mark.parametrize("left", LEFT)
def test_a_folder_without_manifest_is_finished(
    run: Run, pair: tuple[str, str], finished: Path, tmp_path: Path, left: str
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    for name in LEFT[left]:
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).mkdir() if name.endswith("/") else (out / name).touch()
    assert run(*command(pair), "--out", out).code == 0
    shutil.rmtree(out / "inputs", ignore_errors=True)  # empty: this run has none
    assert tree(out) == tree(finished)


@pytest.mark.parametrize("name", ["x.part", "maps/x.part", "maps/000000.png", ".x.0123456789abcdef.part", "notes/"])
def test_what_is_a_users_makes_a_folder_foreign(run: Run, pair: tuple[str, str], tmp_path: Path, name: str) -> None:
    out = tmp_path / "run"
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).mkdir() if name.endswith("/") else (out / name).write_text("mine")
    before = tree(out)
    for more in ((), ("--overwrite",)):
        assert run(*command(pair, 2, *more), "--out", out).code == 2
    assert tree(out) == before and (out / name).exists()


def test_the_manifest_comes_first(pipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.composition.folder.manifest import make_manifest
    from zoo.composition.request.arguments import make_request

    manifest, inputs = make_manifest(pipe, make_request(pipe, n=1, seed=0))
    seen: list[list[str]] = []
    write = OutputFolder._write_manifest
    monkeypatch.setattr(
        OutputFolder,
        "_write_manifest",
        lambda self: (seen.append(sorted(p.name for p in tmp_path.joinpath("out").iterdir())), write(self)),
    )
    with OutputFolder(tmp_path / "out", manifest, inputs) as output:
        output._begin()
    assert seen == [[LOCK]] and sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "images",
        "manifest.json",
        "maps",
    ]


# --- one at a time ------------------------------------------------------------------------------------------------


def test_a_second_process_is_told_who_writes(run: Run, pair: tuple[str, str], finished: Path, out: Path) -> None:
    with folder_lock(out):
        assert run(*command(pair), "--out", out).code == 0  # it is finished: nothing is to be written
        for more in ((N + 1,), (N, "--overwrite")):
            second = run(*command(pair, *more), "--out", out)
            assert second.code == 1 and second.err.count("\n") == 1
            assert f"is being written by process {os.getpid()} on" in second.err and "--out" in second.err
        (out / LOCK).rename(out / "held")
    (out / "held").unlink(missing_ok=True)
    assert tree(out) == tree(finished)


def test_who_comes_second_to_a_new_folder(pipe, finished: Path, tmp_path: Path) -> None:
    """Both saw no folder; the later one finds a run in it."""
    from zoo.errors import DataError

    made = pipe(n=2, seed=1)
    made.save(tmp_path / "once")
    late = OutputFolder(tmp_path / "run", json.loads((tmp_path / "once/manifest.json").read_text()))
    made.save(tmp_path / "run")
    before = tree(tmp_path / "run")
    with pytest.raises(DataError, match=r"has begun a run in .* meanwhile"):
        late._begin()
    late.close()
    assert tree(tmp_path / "run") == before
    made.save(tmp_path / "run")


# --- growing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [(5, 8), (6, 7), (1, 5), (2, 3)])
def test_a_finished_run_grows(run: Run, pair: tuple[str, str], tmp_path: Path, before: int, after: int) -> None:
    out = tmp_path / "run"
    assert run(*command(pair, before, "--out", out)).code == 0
    grown = run(*command(pair, after, "--out", out))
    assert grown.code == 0
    assert run(*command(pair, after, "--out", tmp_path / "fresh")).code == 0
    assert tree(out) == tree(tmp_path / "fresh")
    full = before // 3 * 3
    assert ("Continuing" in grown.err) == (full > 0) and (
        not full or f"{full} of {after} samples are there" in grown.err
    )
    fewer = run(*command(pair, before, "--out", out))
    assert fewer.code == 2 and f"holds {after} samples of this run" in fewer.err and f"-n {before}" in fewer.err
    assert tree(out) == tree(tmp_path / "fresh")


def test_an_interrupted_growth_grows_on(
    run: Run, pair: tuple[str, str], out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupt(run, command(pair, 9), out, 4, monkeypatch).code == 130
    assert "finished" not in json.loads((out / "manifest.json").read_text())
    assert run(*command(pair, 9), "--out", out).code == 0
    assert run(*command(pair, 9), "--out", tmp_path / "fresh").code == 0
    assert tree(out) == tree(tmp_path / "fresh")


def test_labelmaps_grow_too(run: Run, pair: tuple[str, str], out: Path) -> None:
    assert run(*command(pair, N, "--labelmap"), "--out", out).code == 0
    (out / "images/000001.png").write_bytes(b"")
    assert run(*command(pair, 6), "--out", out).code == 0
    assert (out / "ImageSets/Segmentation/default.txt").read_text().split() == [f"{i:06d}" for i in range(6)]
    for i in range(6):
        assert (out / f"JPEGImages/{i:06d}.png").read_bytes() == (out / f"images/{i:06d}.png").read_bytes()


@pytest.mark.parametrize(
    ("commands", "words"),
    [
        (lambda inputs: ["synth", inputs / "face.png", inputs / "other.png"], "several maps, photos or graphs"),
        (lambda inputs: ["synth", inputs / "face.png", "--style", "seed:1", "--style-to", "seed:2"], "steps from one"),
    ],
)
def test_what_cannot_grow_says_why(
    run: Run, pair: tuple[str, str], inputs: Path, tmp_path: Path, commands: Callable[[Path], list[Any]], words: str
) -> None:
    name, *more = commands(inputs)
    arguments = (name, pair[1], *more, "--seed", 1, "--device", "cpu", "--out", tmp_path / "run")
    assert run(*arguments, "-n", 2).code == 0
    before = tree(tmp_path / "run")
    refused = run(*arguments, "-n", 3)
    assert refused.code == 2 and words in refused.err and tree(tmp_path / "run") == before


@pytest.mark.parametrize("kind", ["generate", "synth"])
def test_maps_alone_and_pictures_of_a_map_grow(
    run: Run, pair: tuple[str, str], inputs: Path, tmp_path: Path, kind: str
) -> None:
    what = (kind, pair[0]) if kind == "generate" else (kind, pair[1], inputs / "face.png")
    for n, out in ((2, "run"), (4, "run"), (4, "fresh")):
        ran = run(*what, "--seed", 1, "--device", "cpu", "--batch-size", 2, "-n", n, "--out", tmp_path / out)
        assert ran.code == 0
    assert tree(tmp_path / "run") == tree(tmp_path / "fresh")


# --- full, gone, read-only ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ["manifest.json", "maps/000002.png", "images/000002.png", "grid.png", "README.md"])
def test_a_full_disk_loses_nothing(
    run: Run, pair: tuple[str, str], finished: Path, tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "run", os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target) == out / file:
            raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("zoo.files.writing.os.replace", full)
        ran = run(*command(pair), "--out", out)
    assert ran.code == 1 and f"Cannot write {out / file}: the disk is full" in ran.err and ran.out == ""
    assert not [p for p in out.rglob("*") if p.name.endswith(".part") or p.name == LOCK]
    again = run(*command(pair), "--out", out)
    assert again.code == 0 and tree(out) == tree(finished)


@pytest.mark.parametrize("what", ["the run", "its maps"])
def test_a_folder_that_vanishes_is_one_line(
    run: Run, pair: tuple[str, str], tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, append = tmp_path / "run", OutputFolder._append

    def vanishing(self: OutputFolder, record: dict[str, Any]) -> None:
        append(self, record)
        if self.done == 2:
            shutil.rmtree(out if what == "the run" else out / "maps")

    monkeypatch.setattr(OutputFolder, "_append", vanishing)
    ran = run(*command(pair), "--out", out)
    assert ran.code == 1 and f"the folder {out / 'maps'} is gone" in ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("Error")]) == 1
