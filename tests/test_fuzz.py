"""A small run of the fuzzers (`tests/fuzz`), and that they see what they are there to see."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import campaign, guard, pngs, report, trees, weights
from fuzz.kinds import KINDS
from fuzz.place import Place, Ran
from fuzz.verdicts import Outcome
from fuzz.watching import Watch, watching
from fuzz.worker import Cases

SMALL = {"maps": 60, "models": 25, "checkpoints": 25, "manifests": 10}
"""Cases in this process; those of the other kinds fork, and need one without threads."""
SEED = 7


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    return Cases(tmp_path_factory.mktemp("fuzz"))


def told(outcomes: list[Outcome]) -> str:
    """The recipes of the bad ones."""
    return "\n".join(report.recipe(o.to_json()) for o in outcomes if o.problems)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", SMALL)
def test_inputs_of_strangers(cases: Cases, kind: str) -> None:
    outcomes = [cases.run(kind, case, SEED) for case in range(SMALL[kind])]
    assert not told(outcomes), told(outcomes)
    verdicts = {o.verdict for o in outcomes}
    assert verdicts == {"refused", "right"}, "a small run has both"


@pytest.mark.parametrize(
    ("kind", "count"),
    [
        ("kills", 2),
        pytest.param("kills", 5, marks=pytest.mark.slow),
        pytest.param("plugins", 2, marks=pytest.mark.slow),
    ],
)
def test_interruptions_and_plugins(kind: str, count: int) -> None:
    made = campaign.run([kind], seed=SEED, counts={kind: count})
    assert made.counts[kind]["cases"] == count
    assert not made.bad, "\n".join(map(report.recipe, made.bad))


# --- what the fuzzers see -------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "case", Outcome("maps", 0, 0), seconds=20, reads=True)


def read_secret(place: Place) -> None:
    (place.guarded / "precious.txt").read_bytes()


def write_beside(place: Place) -> None:
    (place.root / "elsewhere").write_text("x")


def follow_a_link(place: Place) -> None:
    (place.work / "maps").symlink_to(place.guarded / "maps")
    (place.work / "maps" / "000000.png").write_bytes(b"x")


def remove(place: Place) -> None:
    (place.guarded / "link").unlink()


def start_a_program(place: Place) -> None:
    subprocess.run(["true"], check=True)


def leave_the_mark(place: Place) -> None:
    os.system(f"touch '{place.mark}'")


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (read_secret, "outside"), (write_beside, "outside"), (follow_a_link, "outside"), (remove, "outside"),
        (start_a_program, "code"), (leave_the_mark, "code"),
    ],
)  # fmt: skip
def test_what_is_seen(place: Place, act: Callable[[Place], None], kind: str) -> None:
    with place.python("an act"):
        act(place)
    place.close()
    assert kind in {k for k, _ in place.outcome.problems}


def test_what_is_no_fault(place: Place) -> None:
    with place.python("an act") as refused:
        (place.work / "a").write_text("x")
        (place.work / "a").rename(place.work / "b")
        (place.work / "b").unlink()
    place.close()
    assert not place.outcome.problems and not refused and not place.root.exists()


def test_errors_that_are_none(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An internal error, control characters, a refusal without a word."""
    from zoo.cli import models

    def broken(*a: object, **k: object) -> None:
        raise IndexError("inside")

    monkeypatch.setattr(models.list_models, "callback", broken)
    assert place.zoo("list").code == 1
    assert place.outcome.problems[0][0] == "internal" and "IndexError" in place.outcome.problems[0][1]
    place._judge("a command", Ran(1, "\x1b[2J", ""), place.watch())
    place._judge("another", Ran(1, "", ""), place.watch())
    assert [k for k, _ in place.outcome.problems[1:]] == ["garbled", "garbled"]


@pytest.mark.parametrize("fault", ["ENOSPC", "EIO", "EROFS"])
def test_a_change_that_fails(tmp_path: Path, fault: str) -> None:
    watch = Watch((tmp_path,), stop_at=2, fault=fault)
    with watching(watch):
        (tmp_path / "a").write_text("x")
        with pytest.raises(OSError, match=r"(?i)space|error|read-only"):
            (tmp_path / "b").write_text("x")
        (tmp_path / "b").write_text("x")
    assert watch.step == 3


def test_a_worker_that_dies_or_hangs_is_a_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "fuzz" / "worker.py"
    script.parent.mkdir()
    (script.parent / "__init__.py").touch()
    script.write_text(
        "import json, os, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if asked.get('case') == 1: os.abort()\n"
        "    while asked.get('case') == 2: pass\n"
        "    print(json.dumps({'kind': 'maps', 'case': 0, 'seed': 0, 'problems': []}), flush=True)\n"
    )
    monkeypatch.setattr(campaign, "TESTS", tmp_path)
    monkeypatch.setitem(campaign.KINDS, "maps", KINDS["maps"].__class__("maps", 10, "maps", wall=1))
    made = campaign.run(["maps"], seed=0, counts={"maps": 4})
    assert [b["problems"][0][0] for b in made.bad] == ["crash", "time"]
    assert made.counts["maps"] == {"cases": 4, "inputs": 4, "right": 2, "bad": 2, "crash": 1, "time": 1}


# --- inputs ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("kind", ["maps", "models", "manifests"])
def test_a_case_is_its_seed_and_number(cases: Cases, kind: str) -> None:
    first, again, other = (cases.run(kind, case, SEED) for case in (3, 3, 4))
    assert (first.recipe, first.verdict) == (again.recipe, again.verdict) and first.recipe != other.recipe


def test_png_by_chunks() -> None:
    import io

    import numpy as np
    import PIL.Image

    stream = io.BytesIO()
    PIL.Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(stream, format="PNG")
    content = stream.getvalue()
    parts = pngs.chunks(content)
    assert pngs.together(parts) == content and [p[0] for p in parts] == [b"IHDR", b"IDAT", b"IEND"]
    assert all(int.from_bytes(crc, "big") == zlib.crc32(kind + body) for kind, body, crc in parts)
    made = [pngs.mutate(random.Random(i), content) for i in range(200)]
    assert all(changed != content for changed, _, same in made if same)
    assert len({what.split()[-1] for _, what, _ in made}) > 8


def test_weights_by_header() -> None:
    import torch
    from safetensors.torch import load, save

    content = save({"a": torch.ones(3), "b": torch.ones(2, 2, dtype=torch.float16)})
    assert load(weights.join(*weights.split(content)))["a"].tolist() == [1, 1, 1]
    poisoned, _ = weights.poison(random.Random(0), content)
    assert not all(bool(torch.isfinite(t).all()) for t in load(poisoned).values())


def test_trees() -> None:
    tree = {"a": [1, {"b": "x"}], "c": None}
    assert trees.places(tree) == [("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c",)]
    changed = [trees.mutate(random.Random(i), tree) for i in range(100)]
    assert sum(repr(new) != repr(tree) for new, _ in changed) > 90 and tree == {"a": [1, {"b": "x"}], "c": None}


def test_the_guarded_folder(tmp_path: Path) -> None:
    guard.make_guarded(tmp_path)
    before = guard.state(tmp_path)
    (tmp_path / "config.json").write_bytes((tmp_path / "config.json").read_bytes() + b" ")
    (tmp_path / "link").unlink()
    (tmp_path / "new").touch()
    changes = guard.changes(before, guard.state(tmp_path))
    assert [c.rpartition("/")[2] for c in changes] == ["config.json was changed", "link is gone", "new is new"]


def test_the_table(tmp_path: Path) -> None:
    made = campaign.Report(3, "python -m tests.fuzz --minutes 1", 1.0)
    made.take(Outcome("maps", 0, 3))
    made.take(Outcome("maps", 1, 3, "refused"))
    made.take(Outcome("maps", 2, 3, problems=[("silent", "x"), ("silent", "y")], recipe=["PNG"]))
    (tmp_path / "it.json").write_text(json.dumps(made.to_json()))
    command = [sys.executable, "-m", "tests.fuzz", "--table", str(tmp_path / "it.json")]
    root = Path(__file__).resolve().parents[1]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True).stdout
    assert "| map and photo files | 10,000 | 3 | 1 | 1 | 1 (1 silent) |" in shown and "seed 3, 1 minutes" in shown
    assert report.recipe(made.bad[0]).splitlines()[0] == "python -m tests.fuzz --only maps --case 2 --seed 3"
    assert report.by_fault(made.bad)[0][:2] == ("maps: silent: x", 1)
