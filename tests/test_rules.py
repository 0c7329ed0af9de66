"""What becomes of a class that another space lacks, what an edit with nothing to act on does, and that older runs keep their rules."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import SCGAN, Ran, drawn_face
from test_outputs import tree

import zoo
from zoo.composition.folder.records import read_manifest, recorded_rules
from zoo.errors import DataError, LabelError, UsageError
from zoo.labels import LabelClass, LabelSpace, parse_space

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
FACES = zoo.label_space("celebamask-hq")


def space(*classes: dict[str, Any], background: str | None = "null") -> LabelSpace:
    """A space of these classes, behind a background."""
    entries = [*([{"name": background}] if background else []), *classes]
    return parse_space({"name": "mine", "background": background, "classes": entries}, "mine")


# --- what a class lies on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "laid", "dropped"),
    [
        ("celebamask-hq", "atr", {"nose": "face", "l_lip": "face", "r_brow": "face"}, ["neck", "l_ear", "ear_r"]),
        ("celebamask-hq", "lapa", {"eye_g": "skin"}, ["neck_l", "hat"]),
        ("ccp", "celebamask-hq", {"blazer": "cloth", "tie": "cloth", "watch": "skin"}, ["boots", "bag"]),
        ("ccp", "atr", {"jeans": "pants", "hoodie": "upper-clothes", "scarf": None}, ["boots"]),
        ("atr", "celebamask-hq", {"dress": "cloth", "scarf": "cloth"}, ["pants", "left-arm"]),
    ],
)
def test_a_class_that_is_lacking_becomes_what_it_lies_on(
    source: str, target: str, laid: dict[str, str | None], dropped: list[str]
) -> None:
    mapping = zoo.label_space(source).mapping_to(zoo.label_space(target))
    assert {n: dict(mapping.laid).get(n) for n in laid} == laid and set(dropped) <= set(mapping.dropped)
    for name, lower in mapping.laid:
        assert mapping.target.names[mapping.table[mapping.source.index(name)]] == lower
        assert f"{name} -> {lower}" in mapping.describe()
    assert mapping.report()["laid"] == dict(mapping.laid)
    before = mapping.source.mapping_to(mapping.target, lay=False)
    assert (
        not before.laid
        and "laid" not in before.report()
        and set(before.dropped) == {*mapping.dropped, *dict(mapping.laid)}
    )
    assert before.pairs == mapping.pairs


def test_the_nearest_that_is_there_counts() -> None:
    """Through several steps, never to a background, and nowhere at all without one."""
    source = space(
        {"name": "stone", "on": "ring"}, {"name": "ring", "counts_as": "hand"}, {"name": "hand", "on": "arm"}, {"name": "arm"}, {"name": "leg"}
    )  # fmt: skip
    whole, part = space({"name": "arm"}, {"name": "leg"}), space({"name": "leg"}, {"name": "null"}, background=None)
    assert dict(source.mapping_to(whole).laid) == {"stone": "arm", "ring": "arm", "hand": "arm"}
    assert source.mapping_to(part).laid == (("stone", "null"),)[:0] and "stone" in source.mapping_to(part).dropped
    lies = space({"name": "lamp", "on": "null"}, {"name": "leg"})
    assert lies.mapping_to(space({"name": "leg"})).dropped == ("lamp",)
    assert parse_space(source.to_json(), "again") == source


@pytest.mark.parametrize(
    ("classes", "part"),
    [
        (({"name": "a", "counts_as": "b"},), "'b', which is not one of its classes"),
        (({"name": "a", "counts_as": "b"}, {"name": "b", "on": "a"}), "in a circle"),
        (({"name": "a", "counts_as": 3},), "counts_as is the name of the class that it counts as, got 3"),
    ],
)
def test_what_counts_as_nothing(classes: tuple[dict[str, Any], ...], part: str) -> None:
    with pytest.raises(LabelError, match=part):
        space(*classes)


@pytest.fixture
def crossed(pair: tuple[str, str], tmp_path: Path) -> str:
    """A composition whose synthesizer has no nose, eyes or mouth."""
    names = ("background", "skin", "hair", "neck", "cloth")
    some = LabelSpace("coarse", tuple(LabelClass(n, (i, i, i)) for i, n in enumerate(names)), background="background")
    return f"{pair[0]}+{zoo.save(zoo.create('scgan/celeba-128', space=some, **SCGAN), tmp_path / 'coarse')}"


def test_a_run_says_it_and_an_older_one_keeps_its_holes(run: Run, crossed: str, tmp_path: Path) -> None:
    command = ("compose", crossed, "--labels", "skin,nose,l_eye,hair", "-n", 2, "--seed", 3, "--device", "cpu")
    made = run(*command, "--out", tmp_path / "new")
    assert made.code == 0 and "becomes what it lies on: nose -> skin" in " ".join(made.err.split()), made.err
    manifest = read_manifest(tmp_path / "new")
    assert manifest["rules"] == 2 and manifest["mappings"][0]["laid"]["nose"] == "skin"
    assert "nose" not in (manifest["summary"].get("dropped") or {})

    old = zoo.compose(crossed, device="cpu")
    old.rules = 1
    result = old(labels="skin,nose,l_eye,hair", n=2, seed=3)
    assert "nose" in result.report["dropped"] and "laid" not in result.report["mappings"][0]
    result.save(tmp_path / "old")
    recorded = read_manifest(tmp_path / "old")
    assert "rules" not in recorded and recorded_rules(recorded) == 1
    assert tree(tmp_path / "old")["maps/000000.png"] != tree(tmp_path / "new")["maps/000000.png"]
    for name in ("old", "new"):
        assert run("replay", tmp_path / name).out == "4 of 4 files are equal\n"
    before = tree(tmp_path / "old")
    (tmp_path / "old/maps/000001.png").unlink()
    again = run(*command, "--out", tmp_path / "old")  # continued by its own rules
    assert again.code == 0 and tree(tmp_path / "old")["maps/000001.png"] == before["maps/000001.png"], again.err


@pytest.mark.parametrize("rules", [0, 3, "2", None, 1.5, True])
def test_rules_that_nobody_knows(rules: Any) -> None:
    with pytest.raises(DataError, match="does not know"):
        recorded_rules({"rules": rules})


# --- edits with nothing to act on -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        ("remove:hat", "Nothing to remove: a map shows no hat."),
        ("remove:hat,eye_g", "Nothing to remove: a map shows no eye_g and no hat."),
        ("add:nose", "Nothing to add: a map shows nose already."),
        ("interpolate:hat=OTHER", "Nothing to interpolate: a map shows no hat, nor does the other."),
    ],
)
def test_an_edit_with_nothing_to_act_on_changes_nothing(
    pipe: zoo.Composition, inputs: Path, edit: str, note: str
) -> None:
    edit = edit.replace("OTHER", str(inputs / "other.png"))
    plain = pipe(maps=inputs / "face.png", seed=1, n=2)
    idle = pipe(maps=inputs / "face.png", seed=1, n=2, edits=edit)
    assert torch.equal(idle.maps.labels, plain.maps.labels)
    assert torch.allclose(idle.images, plain.images, atol=1e-4)  # a map that stays is laid out once for its samples
    for record in idle.report["samples"]:
        assert record["notes"] == [note] and record["changed_outside_edits"] == 0
    pipe.rules = 1
    try:
        assert not torch.equal(pipe(maps=inputs / "face.png", seed=1, n=2, edits=edit).maps.labels, plain.maps.labels)
    finally:
        pipe.rules = 2


def test_of_several_maps_each_is_looked_at_alone(pipe: zoo.Composition) -> None:
    """A neighbour that has the part changes nothing of a map that lacks it; what an earlier edit puts there counts."""
    bald = drawn_face()
    bald[bald == FACES.index("nose")] = FACES.index("skin")
    maps = zoo.SemanticMap(torch.cat([drawn_face(), bald]), FACES)
    plain = pipe(maps=maps, seed=2)
    for edit in ("redraw:nose", "perturb:nose=3"):
        for size in (1, 2):
            made = pipe(maps=maps, seed=2, edits=edit, batch_size=size)
            assert torch.equal(made.maps.labels[1], plain.maps.labels[1])
            assert not torch.equal(made.maps.labels[0], plain.maps.labels[0])
            kind = edit.partition(":")[0]
            assert made.report["samples"][1]["notes"] == [f"Nothing to {kind}: a map shows no nose."]
            assert "notes" not in made.report["samples"][0]
    both = pipe(maps=maps[1], seed=2, edits=["add:nose", "perturb:nose"])
    assert not torch.equal(both.maps.labels, plain.maps.labels[1:]) and "notes" not in both.report["samples"][0]
    with pytest.raises(UsageError, match="add:nose"):
        pipe(maps=maps[1], seed=2, edits="redraw:nose")


def test_of_a_photo_it_is_said_too(run: Run, published: Path, inputs: Path, tmp_path: Path) -> None:
    """What a photo shows is known when it is parsed: nothing to redraw is no error then."""
    start = ("compose", "mask-vae+scgan", "--photo", inputs / "photo.png", "--seed", 1, "--device", "cpu", "--out")
    assert run(*start, tmp_path / "plain").code == 0
    (line,) = (tmp_path / "plain/metadata.jsonl").read_text().splitlines()
    absent = next(n for n in FACES.names[1:] if n not in json.loads(line)["labels"])
    for number, kind in enumerate(("redraw", "perturb", "remove")):
        out = tmp_path / str(number)
        told = run(*start, out, "--edit", f"{kind}:{absent}")
        assert told.code == 0 and f"Nothing to {kind}: a map shows no {absent}." in told.err, told.err
        for name in ("maps/000000.png", "images/000000.png"):
            assert (out / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
