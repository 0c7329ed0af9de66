"""Manifests and lines of run folders that strangers wrote: one line each, nothing believed."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fixtures_models import Ran
from run_folders import lines_of, manifest_of, write_lines, write_manifest, write_run

from zoo.composition.folder.manifest import request_from_json
from zoo.errors import DataError, UsageError, ZooError
from zoo.files.runaccount import account, check_accounted
from zoo.files.runfiles import THREADS, own_file, read_manifest, read_records
from zoo.registry import label_space

Run = Callable[..., Ran]
Change = Callable[[Path], object]
SPACE = label_space("celebamask-hq")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def changed(folder: Path, place: str, value: Any) -> None:
    """The manifest with another value at `a/b/0`; ... takes it away."""
    manifest = json.loads((folder / "manifest.json").read_text())
    *way, last = [int(p) if p.isdecimal() else p for p in place.split("/")]
    inner = manifest
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    write_manifest(folder, manifest)


def test_a_right_folder_is_accounted_for(folder: Path) -> None:
    manifest = read_manifest(folder)
    found = account(folder, manifest)
    assert found.problems() == [] and len(found.records) == 4 and "4 of 4" in found.counts()
    check_accounted(folder, found)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("samples", 0), ("samples", -1), ("samples", 10**30), ("samples", "4"), ("samples", 4.0), ("samples", True), ("samples", None),
        ("threads", 0), ("threads", THREADS + 1), ("threads", "1"), ("threads", None), ("device", "cpu\x00"), ("device", 3),
        ("device", "../cpu"), ("device", "x" * 5000), ("versions", []), ("versions", {"torch": 1}), ("versions", {"a": "b" * 5000}),
        ("models", []), ("models", {"generator": 3}), ("models/generator/id", 3), ("models/generator/source", ["a"]),
        ("models/generator/source", "a\x00b"), ("models/generator/source", "a" * 5000), ("models/generator/sha256", "0" * 64),
        ("models/generator/sha256", {"../x": "0" * 64}), ("models/generator/sha256", {"/etc/passwd": "0" * 64}),
        ("models/generator/sha256", {"model.safetensors": "0" * 63}), ("models/generator/sha256", {"model.safetensors": 0}),
        ("models/generator/sha256", {"model.safetensors": "G" * 64}), ("label_space", 3), ("label_space", "a" * 5000),
        ("size", 8), ("size", [8]), ("size", [8, -1]), ("size", [8, 10**9]), ("size", ["8", "8"]), ("maps", "yes"), ("images", 1),
        ("finished", "yes"), ("mappings", {}), ("summary", []), ("composition", 5), ("composition", "a\x1b[2J"), ("request", []),
        ("request", None), ("format", "1"), ("inputs", {"../x": "0" * 64}), ("inputs", {"inputs/a.png": "0"}), ("inputs", ["a"]),
        *((name, ...) for name in ("request", "models", "samples", "versions", "threads", "device")),
    ],
)  # fmt: skip
def test_a_manifest_of_wrong_fields_is_refused(folder: Path, place: str, value: Any) -> None:
    changed(folder, place, value)
    with pytest.raises(DataError) as caught:
        read_manifest(folder)
    assert "manifest" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (lambda p: p.write_bytes(b""), "is not a manifest"),
        (lambda p: p.write_bytes(b"\xff\xfe{"), "is not a manifest"),
        (lambda p: p.write_text("[" * 100_000), "is not a manifest"),
        (lambda p: p.write_text('{"samples": NaN}'), "is not a manifest"),
        (lambda p: p.write_text('{"samples": 1e999}'), "is not a manifest"),
        (lambda p: (p.rename(p.with_name("other")), p.symlink_to("other")), "is a link"),
    ],
)
def test_a_file_that_is_no_manifest(folder: Path, change: Change, part: str) -> None:
    change(folder / "manifest.json")
    with pytest.raises(DataError, match=part):
        read_manifest(folder)


REQUESTS: list[tuple[str, Any]] = [
    ("n", 10**12), ("n", 0), ("n", -1), ("n", "4"), ("n", True), ("n", 1.5), ("seed", -1), ("seed", 10**60), ("seed", [1]),
    ("batch_size", 10**12), ("batch_size", 0), ("labels", "skin"), ("labels", ["a" * 5000]), ("labels", [3]), ("labels", ["a\nb"]),
    ("labels", ["skin"] * 5000), ("masks", "a.png"), ("masks", [3]), ("masks", ["/etc/passwd"]), ("masks", ["../manifest.json"]),
    ("masks", ["inputs/../manifest.json"]), ("masks", ["inputs/a/b.png"]), ("masks", ["inputs/.a.png"]), ("masks", ["inputs/"]),
    ("masks", ["manifest.json"]), ("masks", ["inputs/a\x00.png"]), ("masks", ["inputs/notahash.png"]), ("photos", ["~/x.png"]),
    ("instances", 3), ("instances", "x.png"), ("edits", [{}]), ("edits", ["redraw:hair"]), ("edits", {}),
    ("edits", [{"kind": ["add"], "classes": ["a"], "value": None, "other": None}]),
    ("edits", [{"kind": "perturb", "classes": ["a"], "value": 10**300, "other": None}]),
    ("edits", [{"kind": "interpolate", "classes": ["a"], "value": 3, "other": "inputs/0123456789abcdef.png"}]),
    ("edits", [{"kind": "interpolate", "classes": ["a"], "value": 1, "other": None}]),
    ("styles", [{"source": {"kind": {}, "path": None, "mask": None, "seed": 1}, "classes": None, "layers": None}]),
    ("styles", [{"source": {"kind": "seed", "path": None, "mask": None, "seed": -1}, "classes": None, "layers": None}]),
    ("styles", [{"source": {"kind": "given", "path": None, "mask": None, "seed": None}, "classes": None, "layers": None}]),
    ("styles", [{"source": {"kind": "prior", "path": None, "mask": None, "seed": None}, "classes": ["a"], "layers": ["abc"]}]),
    ("styles", [{"source": {"kind": "prior", "path": None, "mask": None, "seed": None}, "classes": ["a"], "layers": ["9" * 5000]}]),
    ("style_to", {"kind": "file", "path": "/dev/zero", "mask": None, "seed": None}), ("style_to", "prior"),
    ("keep", "hair"), ("keep_rest", 1), ("same_style", None), ("prior", "x"), ("prior", 3), ("options", []), ("options", {"a": {}}),
    ("options", {"a" * 5000: 1}), ("options", {"a": "b" * 5000}), ("options", {"a": [[1]]}), ("mask_space", {"classes": [{"name": []}]}),
    ("mask_space", {"classes": 3}), ("mask_space", "celebamask-hq"), ("map_format", "jpeg"), ("map_format", "p" * 5000), ("mask_names", ["a"]),
    ("mask_names", "a"), ("trust_maps", 3), ("device", "cpu"), ("x" * 5000, 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REQUESTS)
def test_a_request_of_wrong_fields_is_refused(tmp_path: Path, name: str, value: Any) -> None:
    values = copy.deepcopy(manifest_of(4, 0, SPACE, 8)["request"])
    assert request_from_json(values, tmp_path).n == 4
    with pytest.raises(DataError) as caught:
        request_from_json({**values, name: value}, tmp_path)
    text = str(caught.value)
    assert "incomplete or damaged" in text and text.isprintable() and len(text) < 900 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("put", "part"),
    [
        (lambda p: p.symlink_to("/etc/passwd"), "is a link or no ordinary file"),
        (lambda p: os.mkfifo(p), "is a link or no ordinary file"),
        (lambda p: p.mkdir(), "is a link or no ordinary file"),
        (lambda p: p.write_bytes(b"x"), "has other bytes than the run read"),
        (lambda p: None, "There is no file"),
    ],
)
def test_inputs_are_ordinary_files_of_their_digest(tmp_path: Path, put: Change, part: str) -> None:
    values = manifest_of(4, 0, SPACE, 8)["request"]
    (tmp_path / "inputs").mkdir()
    put(tmp_path / "inputs/0123456789abcdef.png")
    with pytest.raises((DataError, UsageError), match=part):
        request_from_json({**values, "photos": ["inputs/0123456789abcdef.png"]}, tmp_path)


def test_no_way_leads_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"x")
    (tmp_path / "maps").symlink_to("real")
    assert own_file(tmp_path, "real/a.png") is not None and own_file(tmp_path, "maps/a.png") is None
    assert own_file(tmp_path, "real/b.png") is None and own_file(tmp_path, "real/a\x00") is None


# --- lines ------------------------------------------------------------------------------------------------------------


def _line(number: int, **values: Any) -> Change:
    def change(folder: Path) -> None:
        lines = lines_of(folder)
        lines[number] = {k: v for k, v in {**lines[number], **values}.items() if v is not ...}
        write_lines(folder, lines)

    return change


def _rewritten(change: Callable[[list[Any]], list[Any]]) -> Change:
    return lambda folder: write_lines(folder, change(lines_of(folder)))


STRANGE: list[tuple[Change, str]] = [
    (_rewritten(lambda x: x[:3]), "3 lines"),
    (_rewritten(lambda x: [*x, x[0]]), "5 lines"),
    (_rewritten(lambda x: [x[0], x[0], *x[2:]]), "line 2 of metadata.jsonl is of sample 0, expected 1"),
    (_rewritten(lambda x: x[::-1]), "line 1 of metadata.jsonl is of sample 3"),
    (_rewritten(lambda x: [[], *x[1:]]), "line 1 of metadata.jsonl is no line of a sample"),
    (_line(1, index=-1), "line 2"),
    (_line(1, index="1"), "line 2"),
    (_line(1, index=10**40), "line 2"),
    (_line(1, index=...), "line 2"),
    (_line(1, seed=9), "the seed 9"),
    (_line(1, seed=None), "line 2"),
    (_line(1, sha256=[]), "line 2"),
    (_line(1, sha256={"image": "0", "map": "0"}), "not 64 hex digits"),
    (_line(1, sha256={"image": None, "map": None}), "sha256 of no file"),
    (_line(1, sha256={"image": "0" * 64, "map": None}), "line 2"),
    (_line(1, sha256={"../../x": "0" * 64}), "no file of sample 1"),
    (_line(1, file_name="../../etc/passwd"), "file_name"),
    (_line(1, map_file_name="maps/000000.png"), "map_file_name"),
    (_line(1, labels="skin"), "labels"),
    (_line(1, labels=["a" * 5000]), "labels"),
    (_line(1, notes=[3]), "notes"),
    (_line(1, changed_outside_edits="x"), "changed_outside_edits"),
    (_line(1, style_change={"classes": 3}), "classes"),
    (lambda f: (f / "metadata.jsonl").write_text((f / "metadata.jsonl").read_text()[:-1]), "is cut off"),
    (lambda f: (f / "metadata.jsonl").open("a").write('{"a": ' + "[" * 3_000_000), "5 lines"),
    (lambda f: (f / "maps/000009.png").write_bytes(b"x"), "maps/000009.png belongs to no"),
    (lambda f: (f / "images/more.JPG").write_bytes(b"x"), "images/more.JPG belongs to no"),
]


@pytest.mark.parametrize(("change", "part"), STRANGE)
def test_lines_that_do_not_account_for_every_sample(folder: Path, change: Change, part: str) -> None:
    change(folder)
    found = account(folder, read_manifest(folder))
    assert any(part in problem for problem in found.problems()), found.problems()
    with pytest.raises(DataError, match="not every sample is accounted for"):
        check_accounted(folder, found)
    assert all(r["index"] == i for i, r in enumerate(read_records(folder / "metadata.jsonl")))


@pytest.mark.parametrize(
    ("change", "kind", "name"),
    [
        (lambda f: (f / "maps/000002.png").unlink(), "missing", "maps/000002.png"),
        (lambda f: (f / "maps/000002.png").write_bytes(b"x"), "changed", "maps/000002.png"),
        (lambda f: (f / "maps/000002.png").write_bytes((f / "maps/000001.png").read_bytes()), "changed", "maps/000002.png"),
        (lambda f: ((f / "images/000002.png").unlink(), (f / "images/000002.png").symlink_to("000001.png")), "linked", "images/000002.png"),
        (lambda f: ((f / "images/000002.png").unlink(), os.mkfifo(f / "images/000002.png")), "linked", "images/000002.png"),
    ],
)  # fmt: skip
def test_files_against_their_lines(folder: Path, change: Change, kind: str, name: str) -> None:
    change(folder)
    assert getattr(account(folder, read_manifest(folder)), kind) == [name]


def test_a_linked_metadata_is_not_read(folder: Path) -> None:
    (folder / "metadata.jsonl").rename(folder / "other")
    (folder / "metadata.jsonl").symlink_to("other")
    with pytest.raises(DataError, match="is a link"):
        read_records(folder / "metadata.jsonl")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize(
    ("change", "part"),
    [
        (_rewritten(lambda x: x + x), "6 lines, and manifest.json says that there are 3"),
        (_rewritten(lambda x: x[:2]), "2 lines, and manifest.json says that there are 3"),
        (lambda f: (f / "images/000003.png").write_bytes((f / "images/000002.png").read_bytes()), "images/000003.png belongs to no"),
        (lambda f: changed(f, "request/n", 4), "samples is 3, its models and request make 4"),
        (lambda f: changed(f, "size", [8, 8]), "size is [8, 8]"),
        (lambda f: changed(f, "models/painter", {"id": "a", "source": "a", "sha256": {}}), "a model 'painter'"),
        (lambda f: changed(f, "threads", 10**9), "'threads' should be from 1 to"),
        (lambda f: changed(f, "models/generator/source", "/dev"), "generator"),
    ],
)  # fmt: skip
def test_replay_refuses_in_one_line(run: Run, pair: tuple[str, str], tmp_path: Path, change: Change, part: str) -> None:
    out = tmp_path / "run"
    assert run("compose", "+".join(pair), "-n", 3, "--seed", 5, "--out", out, "--device", "cpu").code == 0
    change(out)
    refused = run("replay", out)
    assert refused.code in (1, 2) and part in refused.err and refused.out == ""
    assert refused.err.startswith("Error: ") and refused.err.count("\n") == 1


def test_a_merged_manifest_is_no_runs(tmp_path: Path) -> None:
    write_manifest(tmp_path, {"merged": [], "label_space": "celebamask-hq", "samples": 1})
    with pytest.raises(DataError, match="merged of several"):
        read_manifest(tmp_path)
    with pytest.raises(ZooError, match="lists 0 runs"):
        read_manifest(tmp_path, merged=True)
