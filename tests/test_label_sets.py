"""Which label sets a run draws (`labels`, `label_sets`), and which classes its maps must show (`require`)."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import LABEL_SETS, Ran
from test_outputs import tree
from test_processes import process

import zoo
from zoo.composition.request.labelsets import MAX_BYTES, MAX_SETS, read_sets
from zoo.composition.request.requests import read_request
from zoo.errors import UsageError

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
SETS = [["skin", "hair", "nose"], ["skin", "mouth"]]
WEIGHTED = [{"labels": SETS[0], "weight": 3}, {"labels": SETS[1], "weight": 1}]


def requested(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """What each sample was asked for, in the space's order."""
    return [tuple(r["requested"]) for r in records]


def test_sets_are_drawn_by_the_samples_number(pipe: zoo.Composition) -> None:
    """Neither the batch nor the number of samples matters, so that a run can grow and be made in parts."""
    whole = pipe(labels=SETS, n=24, seed=4, batch_size=8)
    drawn = requested(whole.report["samples"])
    assert set(drawn) == {("skin", "nose", "hair"), ("skin", "mouth")}
    for size, n in ((1, 24), (5, 24), (8, 40)):
        assert requested(pipe(labels=SETS, n=n, seed=4, batch_size=size).report["samples"])[:24] == drawn
    alone = pipe(labels=SETS[0], n=24, seed=4, batch_size=8)
    mine = [i for i, names in enumerate(drawn) if names == ("skin", "nose", "hair")]
    assert torch.equal(whole.maps.labels[mine], alone.maps.labels[mine])


def test_weights_decide_how_often(pipe: zoo.Composition) -> None:
    stream = pipe.stream(label_sets=WEIGHTED, n=400, seed=0, batch_size=100)
    counts = Counter(names for part in stream for names in requested(part.records))
    assert abs(counts["skin", "nose", "hair"] / 400 - 0.75) < 0.07
    even = pipe.stream(labels=SETS, n=400, seed=0, batch_size=100)
    counts = Counter(names for part in even for names in requested(part.records))
    assert abs(counts["skin", "mouth"] / 400 - 0.5) < 0.08


def test_the_summary_counts_sets_as_asked_and_as_they_came(pipe: zoo.Composition) -> None:
    report = pipe(labels=SETS, n=12, seed=1).report
    assert {tuple(s["labels"]) for s in report["label_sets"]} == {("skin", "nose", "hair"), ("skin", "mouth")}
    for entry in report["label_sets"]:
        mine = [r for r in report["samples"] if r["requested"] == entry["labels"]]
        assert entry["asked"] == len(mine) and entry["complete"] == sum(not r["empty"] for r in mine)
    assert "label_sets" not in pipe(labels=SETS[0], n=2, seed=1).report


def test_the_written_forms_are_one(tmp_path: Path) -> None:
    for name, content in (("list", WEIGHTED), ("sets", {"sets": WEIGHTED})):
        (tmp_path / name).write_text(json.dumps(content))
    counts = [{"labels": s["labels"], "count": s["weight"]} for s in WEIGHTED]
    forms: list[Any] = [WEIGHTED, {"sets": WEIGHTED}, counts, tmp_path / "list", str(tmp_path / "sets")]
    assert len({read_sets(form) for form in forms}) == 1
    assert read_request({"labels": WEIGHTED}).label_sets == read_sets(WEIGHTED)
    assert read_request({"labels": [["skin", "hair"]]}).labels == ("skin", "hair")
    asset = Path(__file__).parents[1] / "cards/mask-vae-celeba/assets/label_sets.json"
    assert len(read_sets(asset)) == len(json.loads(asset.read_text()))


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"labels": [["skin"], "hair"]}, "labels takes class names, or label sets"),
        ({"labels": [["skin"], []]}, "a label set is empty"),
        ({"labels": [["skin"], [3]]}, "labels takes class names, or label sets"),
        ({"labels": [["skin"], ["hair"]], "label_sets": WEIGHTED}, "given twice"),
        ({"labels": ["skin"], "label_sets": WEIGHTED}, "give one of the two"),
        ({"label_sets": []}, f"1 to {MAX_SETS} label sets"),
        ({"label_sets": [["skin"]] * (MAX_SETS + 1)}, f"1 to {MAX_SETS} label sets"),
        ({"label_sets": 3}, "label_sets takes label sets"),
        ({"label_sets": {"labels": ["skin"]}}, "label_sets takes label sets"),
        ({"label_sets": [{"labels": ["skin"], "wieght": 2}]}, "label_sets takes label sets"),
        *(
            ({"label_sets": [{"labels": ["skin"], "weight": w}]}, "a number above 0")
            for w in (0, -1, math.nan, math.inf, 1e13, True, "2", None, 10**400)
        ),
        ({"label_sets": WEIGHTED, "maps": "a.png"}, "label_sets with maps or photos"),
        ({"require": "hat", "maps": "a.png"}, "require needs maps that are drawn"),
        ({"tries": 5}, "tries counts how often require draws"),
        ({"require": "hat", "tries": 0}, "tries must be at least 1"),
        ({"require": "hat", "tries": 10_001}, "tries may be at most 10000"),
        ({"n": 10_000_001}, "n may be at most 10000000"),
        ({"n": 9_000_000, "maps": ["a.png", "b.png"]}, "makes at most 10000000 samples, got 18000000"),
        ({"seed": 2**64}, "seed may be at most"),
        ({"batch_size": 65_537}, "batch_size may be at most 65536"),
    ],
)
def test_what_is_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_request(given)
    assert part in str(caught.value) and len(str(caught.value)) < 4000


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("[", "is not readable JSON"),
        ("3", "label sets are written"),
        ('{"sets": {}}', "label sets are written"),
        ('[["skin"], 3]', "set 1: label sets are written"),
        ('[["skin"], {"labels": ["hair"], "weight": -2}]', "set 1: a weight of a label set"),
        ('[["skin"], []]', "a label set is empty"),
        ("[]", "1 to 10000 label sets"),
        ('[{"labels": ["skin"], "weight": 1e999}]', "is not readable JSON"),
        (" " * (MAX_BYTES + 1), "more than a file of label sets may have"),
    ],
)
def test_damaged_files_are_named(run: Run, pair: tuple[str, str], tmp_path: Path, content: str, part: str) -> None:
    path = tmp_path / "sets.json"
    path.write_text(content)
    told = run("compose", "+".join(pair), "--label-sets", path, "--out", tmp_path / "o")
    assert told.code == 2 and str(path) in told.err and part in " ".join(told.err.split())
    assert not (tmp_path / "o").exists()


def test_a_class_that_no_space_has(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    told = run("compose", "+".join(pair), "--labels", "skin,hair", "--labels", "skin,beard", "--out", tmp_path / "o")
    assert told.code == 2 and "No class 'beard'" in told.err and not (tmp_path / "o").exists()


def test_on_the_command_line(pair: tuple[str, str], tmp_path: Path) -> None:
    """A process, its manifest and its replay; repeated flags and a file of equal weights are the same run."""
    sets = tmp_path / "sets.json"
    sets.write_text(json.dumps({"sets": SETS}))
    flags = [a for names in SETS for a in ("--labels", ",".join(names))]
    start = ("compose", "+".join(pair), "-n", 6, "--batch-size", 2, "--seed", 4, "--device", "cpu", "--out")
    made = process(*start, tmp_path / "o", *flags)
    assert made.returncode == 0 and "Label sets: skin,nose,hair in" in made.stderr, made.stderr
    manifest = json.loads((tmp_path / "o/manifest.json").read_text())
    assert manifest["request"]["label_sets"] == [{"labels": s, "weight": 1.0} for s in SETS]
    assert manifest["request"]["labels"] is None and len(manifest["summary"]["label_sets"]) == 2
    replayed = process("replay", tmp_path / "o")
    assert (replayed.returncode, replayed.stdout) == (0, "12 of 12 files are equal\n"), replayed.stderr
    assert process(*start, tmp_path / "file", "--label-sets", sets).returncode == 0
    assert tree(tmp_path / "file") == tree(tmp_path / "o")


# --- required classes -----------------------------------------------------------------------------------------------


def test_required_classes_are_drawn_until_they_are_there(pipe: zoo.Composition) -> None:
    """Samples that have them are what they are without; the others take draws of their own, whatever the batch."""
    plain = pipe(n=12, seed=2, batch_size=4)
    held = pipe(n=12, seed=2, batch_size=4, require="eye_g")
    records = held.report["samples"]
    for row, record in enumerate(records):
        had = "eye_g" in plain.report["samples"][row]["labels"]
        assert (record["tries"] == 1) == had and record["missing"] == [] and "eye_g" in record["labels"]
        assert had == bool(torch.equal(held.maps.labels[row], plain.maps.labels[row]))
        assert not had or torch.equal(held.images[row], plain.images[row])
    assert any(r["tries"] > 1 for r in records) and any(r["tries"] == 1 for r in records)
    for size, n in ((1, 12), (12, 12), (4, 20)):
        other = pipe(n=n, seed=2, batch_size=size, require=["eye_g"])
        assert torch.equal(other.maps.labels[:12], held.maps.labels)
        assert [r["tries"] for r in other.report["samples"][:12]] == [r["tries"] for r in records]
    tries = [r["tries"] for r in records]
    expected = {"draws": sum(tries), "drawn_again": sum(t > 1 for t in tries), "most": max(tries), "missing": {}}
    assert held.report["require"] == expected
    assert "require" not in plain.report and "tries" not in plain.report["samples"][0]


def test_what_cannot_be_met_stays_and_is_told(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    """No set of the model names both; a sample keeps the first draw that shows more of them."""
    assert not any({"hat", "neck"} <= set(names) for names in LABEL_SETS)
    command = (
        "compose",
        "+".join(pair),
        "-n",
        4,
        "--seed",
        2,
        "--require",
        "hat,neck",
        "--tries",
        3,
        "--device",
        "cpu",
    )
    told = run(*command, "--out", tmp_path / "o")
    assert told.code == 0 and "still missing: " in told.err and "these samples stay" in " ".join(told.err.split())
    manifest = json.loads((tmp_path / "o/manifest.json").read_text())
    assert manifest["request"]["require"] == ["hat", "neck"] and manifest["request"]["tries"] == 3
    lines = [json.loads(line) for line in (tmp_path / "o/metadata.jsonl").read_text().splitlines()]
    assert len(lines) == 4 and all(line["tries"] == 3 and line["missing"] for line in lines)
    assert all(not set(line["missing"]) & set(line["labels"]) for line in lines)
    assert sum(manifest["summary"]["require"]["missing"].values()) == sum(len(line["missing"]) for line in lines)


def test_required_of_edits(pipe: zoo.Composition, inputs: Path) -> None:
    """The edits are drawn again; a map in which nothing random is edited is not."""
    call = {"maps": inputs / "face.png", "edits": "add:ear_r", "n": 8, "seed": 1}
    plain, held = pipe(**call), pipe(**call, require="ear_r", tries=40)
    for row, record in enumerate(plain.report["samples"]):
        again = held.report["samples"][row]
        assert (again["tries"] == 1) == ("ear_r" in record["labels"])
        assert again["missing"] == [n for n in ["ear_r"] if n not in again["labels"]]
    idle = pipe(maps=inputs / "face.png", edits=["add:nose", "remove:mouth"], require="hat", seed=0)
    assert idle.report["samples"][0]["missing"] == ["hat"]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"require": "hat", "labels": "skin,hair"}, "no label set names hat"),
        ({"require": "hat,nose", "labels": [["skin", "hat"], ["skin", "nose"]]}, "no label set names nose and hat"),
        ({"require": "beard"}, "No class 'beard'"),
        ({"require": "hat", "maps": "FACE", "edits": "remove:nose"}, "nothing of these maps is drawn"),
    ],
)
def test_what_no_draw_can_bring_is_refused(
    pipe: zoo.Composition, inputs: Path, given: dict[str, Any], part: str
) -> None:
    with pytest.raises(zoo.errors.ZooError) as caught:
        pipe(**{k: inputs / "face.png" if v == "FACE" else v for k, v in given.items()})
    assert part in str(caught.value)


def test_required_on_the_command_line(pair: tuple[str, str], tmp_path: Path) -> None:
    start = (
        "compose",
        "+".join(pair),
        "-n",
        5,
        "--batch-size",
        2,
        "--seed",
        2,
        "--device",
        "cpu",
        "--require",
        "eye_g",
    )
    made = process(*start, "--out", tmp_path / "o")
    assert made.returncode == 0 and "every map shows them" in " ".join(made.stderr.split()), made.stderr
    replayed = process("replay", tmp_path / "o")
    assert (replayed.returncode, replayed.stdout) == (0, "10 of 10 files are equal\n"), replayed.stderr
    none = process("synth", pair[1], tmp_path / "o/maps", "--require", "hat")
    assert none.returncode == 2 and "Traceback" not in none.stderr
