"""Label sets like something real (`labels_like`), wanted shares of classes (`balance`), empty classes drawn anew (`reject_empty`)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from fixtures_models import LABEL_SETS, SCGAN, Ran
from test_outputs import tree

import zoo
from zoo.composition.checks.wanted import shares
from zoo.composition.folder.inputs import Inputs
from zoo.composition.folder.manifest import request_from_json, request_to_json
from zoo.composition.request.requests import Request, read_request
from zoo.composition.run.conditions import Wanted
from zoo.composition.summary import summarize
from zoo.errors import DataError, UsageError, ZooError
from zoo.interfaces.models import MaskGenerator
from zoo.maps import SemanticMap
from zoo.registry import space_or_file
from zoo.rng import Rng

pytestmark = pytest.mark.usefixtures("one_thread")
Run = Callable[..., Ran]
COUNT = 2000
SETS = [{"labels": ["skin", "hair", "nose"], "weight": 3}, {"labels": ["skin", "hat", "eye_g"], "weight": 1}]
WANTED = {"eye_g": 0.3, "hat": 0.02, "l_ear": 0.5, "hair": 1, "cloth": 0}


def drawn(pipe: zoo.Composition, samples: range = range(COUNT), seed: int = 7, **given: Any) -> list[tuple[str, ...]]:
    """The label sets of these samples, without a map of any."""
    assert pipe.generator is not None
    wanted = Wanted(pipe.generator, read_request(given))
    return [labels.names for labels in wanted.sets(Rng(seed, samples).within("map"))]


def near(count: int, share: float, of: int = COUNT) -> bool:
    """Within four standard deviations of a binomial; shares of 0 and 1 are met."""
    return abs(count - share * of) <= 4 * (of * share * (1 - share)) ** 0.5


# --- shares of classes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [{}, {"labels": "skin,nose,hat"}, {"label_sets": SETS}, {"labels_like": SETS}],
    ids=["own", "labels", "label-sets", "labels-like"],
)
def test_shares_come_out_as_wanted(pipe: zoo.Composition, source: dict[str, Any]) -> None:
    """Whatever the sets come from; classes that are not named keep the share and the samples that they had."""
    plain, balanced = drawn(pipe, **source), drawn(pipe, **source, balance=WANTED)
    for name, share in WANTED.items():
        assert near(sum(name in names for names in balanced), share), name
    others = [tuple(n for n in names if n not in WANTED) for names in balanced]
    assert others == [tuple(n for n in names if n not in WANTED) for names in plain]
    pairs = Counter(("eye_g" in names, "l_ear" in names) for names in balanced)
    assert near(pairs[True, True], 0.15)  # classes are put in independently of each other


def test_sets_change_as_little_as_they_can(pipe: zoo.Composition) -> None:
    """A class that is too rare is only put in, one that is too frequent only taken out; the share that it has anyway changes nothing."""
    plain = drawn(pipe)
    for name, share in (("eye_g", 0.5), ("eye_g", 0.1)):
        before, after = ([name in names for names in sets] for sets in (plain, drawn(pipe, balance={name: share})))
        moved = {(b, a) for b, a in zip(before, after, strict=True) if b != a}
        assert moved == {(False, True) if share > 1 / 3 else (True, False)}
    assert drawn(pipe, label_sets=SETS, balance={"hat": 0.25}) == drawn(pipe, label_sets=SETS)


def test_a_sample_is_its_numbers(pipe: zoo.Composition) -> None:
    """Neither the range, nor the order of the classes, nor other classes, nor an alias decides about a sample's class."""
    whole = drawn(pipe, range(40), balance=WANTED)
    assert whole[17:30] == drawn(pipe, range(17, 30), balance=WANTED)
    assert drawn(pipe, range(40), balance=dict(reversed(WANTED.items()))) == whole
    alone = drawn(pipe, range(40), balance={"EYE_G": 0.3})
    assert ["eye_g" in names for names in alone] == ["eye_g" in names for names in whole]
    assert drawn(pipe, range(40), seed=8, balance=WANTED) != whole


def test_sets_that_only_the_model_knows(pipe: zoo.Composition) -> None:
    """Where a model draws label sets in a way of its own, a class is drawn without a look at the set."""

    class Own(type(cast(Any, pipe.generator))):
        def sample_label_sets(self, count: int, rng: Any) -> list[Any]:
            return [self.label_space.label_set(("skin", "hat"))] * count

    generator = cast(Any, pipe.generator)
    own = SimpleNamespace(generator=Own.__new__(Own))
    own.generator.__dict__.update(generator.__dict__)
    request = read_request({"balance": {"hat": 0.2}})
    assert shares(own.generator, request)[0].base is None and shares(generator, request)[0].base == pytest.approx(1 / 3)
    assert near(sum("hat" in names for names in drawn(cast(Any, own), balance={"hat": 0.2})), 0.2)


def test_runs_in_parts_and_their_report(pipe: zoo.Composition) -> None:
    """Other batches, ranges and workers give the same samples; asked and got are what the records and the maps say."""
    call: dict[str, Any] = {"balance": {"eye_g": 0.5, "hat": 0.25}, "reject_empty": 3, "seed": 3}
    whole = pipe(**call, n=16, batch_size=4)
    records, found = whole.report["samples"], whole.report["balance"]
    parts = [p for a, b in ((8, 16), (0, 8)) for p in pipe.stream(**call, n=16, batch_size=4, start=a, stop=b)]
    assert sorted((r for p in parts for r in p.records), key=lambda r: r["index"]) == records
    assert [r for p in pipe.stream(**call, n=16, batch_size=4, workers=2) for r in p.records] == records
    for size in (1, 16):
        other = pipe(**call, n=16, batch_size=size)
        assert other.report["samples"] == records and torch.equal(other.maps.labels, whole.maps.labels)
    for name, share in call["balance"].items():
        asked = [name in r["requested"] for r in records]
        got = [name in shown.names for shown in whole.maps.label_sets()]
        assert [name in r["balance_asked"] for r in records] == asked
        assert [name in r["balance_got"] for r in records] == got
        assert found[name] == {"wanted": share, "asked": sum(asked) / 16, "got": sum(got) / 16}
    plain = pipe(n=1, seed=3).report
    assert "balance" not in plain and "balance_asked" not in plain["samples"][0]


def test_two_classes_that_become_one(pipe: zoo.Composition) -> None:
    """In maps that do not tell left from right, only what was drawn says which of the two is shown."""
    assert pipe.generator is not None
    wanted = Wanted(pipe.generator, read_request({"balance": {"l_eye": 0.5, "r_eye": 0.5, "hat": 0.5}}))
    record: dict[str, Any] = {"requested": ["l_eye", "hat"], "empty": ["hat"]}
    wanted.note(record, {"l_eye": "eye", "r_eye": "eye", "hat": "cap"}, ["eye", "cap"])
    assert (record["balance_asked"], record["balance_got"]) == (["l_eye", "hat"], ["l_eye", "hat"])
    report = summarize([record, {"balance_asked": [], "balance_got": []}], balance={"hat": 0.5})["balance"]
    assert report == {"hat": {"wanted": 0.5, "asked": 0.5, "got": 0.5}}


def test_pictures_alone_show_no_shares() -> None:
    model = zoo.create("cgan/celeba", side=32)
    model.assets["label_sets"] = [{"labels": ["skin", "hair"], "count": 2}, {"labels": ["skin", "hat"], "count": 2}]
    made = zoo.compose((model, None), device="cpu")(balance={"hat": 1}, n=3, seed=0)
    assert made.report["balance"] == {"hat": {"wanted": 1.0, "asked": 1.0, "got": None}}
    assert all("hat" in r["labels"] and "balance_got" not in r for r in made.report["samples"])
    with pytest.raises(UsageError, match="leave reject_empty out"):
        zoo.compose((model, None), device="cpu")(reject_empty=True)


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"balance": "hat"}, "takes CLASS=SHARE"),
        ({"balance": "hat=much"}, "a number from 0 to 1, got 'much'"),
        ({"balance": "hat=30"}, "goes from 0 to 1, got 30.0 (30 of 100 is 0.3)"),
        *(({"balance": {"hat": share}}, "goes from 0 to 1") for share in (-0.1, 1.01, float("nan"), float("inf"))),
        *(({"balance": {"hat": share}}, "balance takes shares") for share in ("0.1", True, None)),
        ({"balance": 3}, "balance takes shares"),
        ({"balance": {}}, "names no class"),
        ({"balance": "hat=.1,hat=.2"}, "names hat twice"),
        ({"balance": [f"c{i}=.1" for i in range(2000)]}, "at most 1024 classes"),
        ({"balance": "hat=.1", "maps": "a.png"}, "balance with maps or photos"),
        ({"balance": "hat=.1", "graphs": {"objects": ["tree"]}}, "balance with graphs"),
        ({"labels_like": [], "labels": "skin"}, "1 to 50000 label sets"),
        ({"labels_like": SETS, "labels": "skin"}, "give one of the two"),
        ({"labels_like": SETS, "maps": "a.png"}, "labels_like with maps or photos"),
        ({"labels_like": 3}, "labels_like takes label sets as they occur"),
        ({"labels_like": "nowhere.json"}, "there is no file nowhere.json, and no data set of this name"),
        ({"labels_like": "celebmask:nowhere"}, "No data set 'celebmask'"),
        ({"reject_empty": -1}, "must be 0 or more"),
        ({"reject_empty": 10_001}, "at most 10000"),
        ({"reject_empty": 1.5}, "reject_empty takes how often"),
        ({"reject_empty": 1, "maps": "a.png"}, "reject_empty needs maps that are drawn"),
    ],
)
def test_what_is_refused(given: dict[str, Any], part: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_request(given)
    assert part in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"balance": {"beard": 0.1}}, "No class 'beard'"),
        ({"balance": {"background": 0.1}}, "does not draw background"),
        ({"balance": {"hat": 0.1, "HAT": 0.2}}, "names hat twice"),
        ({"balance": {"hat": 0.1}, "require": "hat"}, "wants hat in every map"),
        ({"balance": {"hat": 0.1, "eye_g": 0.5}, "labels": "hat,eye_g"}, "every class out of the label set eye_g,hat"),
        ({"balance": {"skin": 0.5}, "label_sets": [["skin"], ["hat"]]}, "every class out of the label set skin"),
        ({"labels_like": [["tree", "sky"]]}, "draws none of its classes (tree, sky)"),
        ({"reject_empty": 1, "maps": "FACE", "edits": "remove:nose"}, "nothing of these maps is drawn"),
    ],
)
def test_what_these_models_cannot_do(pipe: zoo.Composition, inputs: Path, given: dict[str, Any], part: str) -> None:
    with pytest.raises(ZooError) as caught:
        pipe(**{k: inputs / "face.png" if v == "FACE" else v for k, v in given.items()})
    assert part in str(caught.value)


def test_maps_in_another_label_space(pair: tuple[str, str]) -> None:
    """A class goes by the generator's name, and is seen by the output's; of one that the output lacks nobody would see its share."""
    other = zoo.create("scgan/celeba-128", space=space_or_file("atr"), **SCGAN)
    joined = zoo.compose((pair[0], other), device="cpu")
    with pytest.raises(UsageError, match="the maps that come out have no nose"):
        joined(balance={"nose": 0.5})
    made = joined(balance={"glasses": 0.5}, n=8, seed=1, reject_empty=5)
    for record, shown in zip(made.report["samples"], made.maps.label_sets(), strict=True):
        assert ("glasses" in record["balance_asked"]) == ("eye_g" in record["requested"])
        assert ("glasses" in record["balance_got"]) == ("sunglasses" in shown.names)
    assert 0 < made.report["balance"]["glasses"]["got"] < 1


def test_requirements_beside_shares(pipe: zoo.Composition) -> None:
    """A class that only `balance` puts in may be required together with others; shares are drawn anew with the sets."""
    held = pipe(labels="skin,nose", balance={"hat": 0.5, "hair": 0.5}, require="nose", n=6, seed=1)
    assert all("nose" in r["labels"] and r["missing"] == [] for r in held.report["samples"])


# --- like something real ----------------------------------------------------------------------------------------------


def test_all_that_label_sets_are_read_from(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    """A data set, its file, a run by its folder and its lines, shards by their statistics: the same sets with the same weights."""
    made = run(
        "generate", pair[0], "-n", 6, "--seed", 1, "--out", tmp_path / "run", "--device", "cpu", "--map-format", "grey"
    )
    assert made.code == 0
    told = run("data", "label-sets", f"folder:{tmp_path / 'run'}", "--out", tmp_path / "sets.json")
    assert told.code == 0 and "6 maps" in told.out and "skin" in told.out
    content = json.loads((tmp_path / "sets.json").read_text())
    assert content["maps"] == 6 == sum(s["count"] for s in content["sets"]) and "background" not in content["classes"]
    shards = tmp_path / "shards"
    shards.mkdir()
    (shards / "statistics.json").write_text(json.dumps({"classes": {}, "label_sets": content["sets"]}))
    forms = [tmp_path / "sets.json", f"folder:{tmp_path / 'run'}", shards, shards / "statistics.json", content["sets"]]
    read = {tuple(sorted(s.labels for s in read_request({"labels_like": f}).labels_like or ())) for f in forms}
    assert len(read) == 1
    assert read_request({"labels_like": forms[0]}) == read_request({"labels_like": forms[1]})
    lines = [read_request({"labels_like": tmp_path / "run" / name}).labels_like for name in ("", "metadata.jsonl")]
    assert lines[0] == lines[1] and {s.labels for s in lines[0] or ()} == {
        ("background", *s["labels"]) for s in content["sets"]
    }


def test_sets_are_counted_at_the_size_that_is_asked(run: Run, tmp_path: Path) -> None:
    whole = json.loads(run("data", "label-sets", "toy-faces:24#train", "--json").out)
    small = json.loads(run("data", "label-sets", "toy-faces:24#train", "--side", 12, "--json").out)
    assert whole["maps"] == small["maps"] == 24
    assert sum(small["classes"].values()) < sum(whole["classes"].values())
    (tmp_path / "mine.json").write_text("mine")
    refused = run("data", "label-sets", "toy-faces:24#train", "--out", tmp_path / "mine.json")
    assert refused.code == 2 and "--overwrite" in refused.err and (tmp_path / "mine.json").read_text() == "mine"


def test_only_what_the_generator_draws_is_drawn(pipe: zoo.Composition) -> None:
    """Classes of other data are left out and told; sets that become equal count together."""
    like = [
        {"labels": ["background", "skin", "tree"], "count": 3},
        {"labels": ["skin"], "count": 1},
        {"labels": ["HAT", "skin"], "count": 4},
        {"labels": ["sky"], "count": 50},
    ]
    names = drawn(pipe, labels_like=like)
    assert set(names) == {("skin",), ("skin", "hat")} and near(names.count(("skin", "hat")), 0.5)
    with pytest.warns(UserWarning, match="does not draw tree, sky: left out"):
        pipe(labels_like=like, n=1, seed=0)


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.json", "[", "is not readable JSON"),
        ("a.json", '{"classes": {"hat": {"maps": 3}}}', "holds no label sets"),
        ("a.json", '{"label_sets": [["skin"], 3]}', "set 1: label sets are written"),
        ("a.json", '{"label_sets": [{"labels": ["skin"], "count": 0}]}', "set 0: a weight of a label set"),
        ("metadata.jsonl", '{"index": 0}\n', "line 1 is no line of a sample"),
        ("metadata.jsonl", "", "holds 0 different label sets"),
    ],
)
def test_damaged_files_are_named(
    run: Run, pair: tuple[str, str], tmp_path: Path, name: str, content: str, part: str
) -> None:
    (tmp_path / name).write_text(content)
    told = run("compose", "+".join(pair), "--labels-like", tmp_path / name, "--out", tmp_path / "o")
    assert told.code and name in told.err and part in " ".join(told.err.split()) and not (tmp_path / "o").exists()
    told = run("compose", "+".join(pair), "--labels-like", tmp_path / "inputs", "--out", tmp_path / "o")
    assert told.code == 2 and "no data set of this name" in told.err


# --- what came out empty ----------------------------------------------------------------------------------------------


def test_empty_classes_are_drawn_anew(pipe: zoo.Composition) -> None:
    """Of the same label sets; samples that lack nothing are what they are without it."""
    plain, held = (pipe(n=24, seed=2, batch_size=8, **more) for more in ({}, {"reject_empty": True}))
    before, after = plain.report["samples"], held.report["samples"]
    assert [r["requested"] for r in before] == [r["requested"] for r in after]
    empty = [bool(r["empty"]) for r in before]
    assert any(empty) and not all(empty)
    for row, lacked in enumerate(empty):
        record, shown = after[row], held.maps[row].label_set().names
        assert bool(record["redrawn"]) == lacked and not record["exhausted"] and record["empty"] == []
        assert set(record["requested"]) <= set(shown)
        assert torch.equal(plain.maps.labels[row], held.maps.labels[row]) != lacked
        assert lacked or torch.equal(plain.images[row], held.images[row])
    counts = [r["redrawn"] for r in after]
    expected = {"draws": sum(counts), "redrawn": sum(empty), "most": max(counts), "exhausted": 0}
    assert held.report["reject_empty"] == expected and "reject_empty" not in plain.report
    assert "redrawn" not in before[0]


def test_what_stays_empty_is_counted(pipe: zoo.Composition, monkeypatch: pytest.MonkeyPatch) -> None:
    """A class that never comes: the sample keeps the draw that lacks fewest, and its line and the summary tell it."""
    generator = cast(Any, pipe.generator)
    honest = generator.generate

    def bald(conditions: Any, **more: Any) -> Any:
        without = [c.space.label_set(n for n in c.names if n != "hair") for c in conditions]
        latents = generator.sample_latents(without, Rng(0, range(len(without))))
        return honest(without, latents=latents)

    monkeypatch.setattr(generator, "generate", bald)
    report = pipe(labels="skin,hair", n=3, seed=0, reject_empty=2).report
    assert [(r["redrawn"], r["exhausted"], r["empty"]) for r in report["samples"]] == [(2, True, ["hair"])] * 3
    assert report["reject_empty"] == {"draws": 6, "redrawn": 3, "most": 2, "exhausted": 3}


def test_a_class_that_is_lost_in_small_files_is_empty(pipe: zoo.Composition) -> None:
    """What counts is what the written map shows."""
    plain = pipe(n=24, seed=2, size=8)
    lost = [not set(r["requested"]) - set(r["empty"]) <= set(r["labels"]) for r in plain.report["samples"]]
    held = pipe(n=24, seed=2, size=8, reject_empty=40)
    assert any(lost) and all(r["redrawn"] for r, gone in zip(held.report["samples"], lost, strict=True) if gone)
    for record, shown in zip(held.report["samples"], held.maps.label_sets(), strict=True):
        assert sorted(record["empty"]) == sorted(n for n in record["requested"] if n not in shown.names)
        assert record["exhausted"] == bool(record["empty"])


def test_empty_parts_of_edits(pipe: zoo.Composition, inputs: Path) -> None:
    """The edits are drawn anew; a map in which nothing random acts is not, and no draw of it is counted."""
    faces = pipe(maps=inputs / "face.png", n=1, seed=0).maps
    bald = SemanticMap(torch.where(faces.labels == pipe.space.index("hair"), 0, faces.labels), faces.space)
    call: dict[str, Any] = {"maps": [faces, bald], "edits": "redraw:hair", "n": 8, "seed": 1}
    plain, held = pipe(**call), pipe(**call, reject_empty=40)
    empty = [bool(r["empty"]) for r in plain.report["samples"]]
    assert any(empty[:8]) and not all(empty[:8]) and all(empty[8:])
    for record, lacked in zip(held.report["samples"][:8], empty, strict=False):
        assert bool(record["redrawn"]) == lacked and not record["exhausted"] and "hair" in record["labels"]
    assert [(r["redrawn"], r["exhausted"], r["empty"]) for r in held.report["samples"][8:]] == [(0, True, ["hair"])] * 8


def test_empty_classes_and_required_ones(pipe: zoo.Composition) -> None:
    """Each draw for what is required is complete in itself as far as it can be."""
    held = pipe(n=12, seed=2, require="eye_g", reject_empty=20)
    for record in held.report["samples"]:
        assert "eye_g" in record["labels"] and set(record["requested"]) <= set(record["labels"])
        assert {"tries", "missing", "redrawn", "exhausted"} <= record.keys()
    assert {"require", "reject_empty"} <= held.report.keys()


# --- in a run folder --------------------------------------------------------------------------------------------------


def test_on_the_command_line(run: Run, pair: tuple[str, str], tmp_path: Path) -> None:
    """A run, its replay without the file, and its continuation from a shorter one."""
    (tmp_path / "sets.json").write_text(json.dumps(SETS))
    asked = ("--labels-like", tmp_path / "sets.json", "--balance", "eye_g=.5", "--balance", "hat=.3", "--reject-empty")
    start = ("compose", "+".join(pair), *asked, "--batch-size", 2, "--seed", 4, "--device", "cpu", "--out")
    made = run(*start, tmp_path / "o", "-n", 6)
    assert made.code == 0, made.err
    told = " ".join(made.err.split())
    assert "Shares of samples: eye_g wanted in 50.0%, asked for in" in told and "shown by" in told
    manifest = json.loads((tmp_path / "o/manifest.json").read_text())
    request = manifest["request"]
    assert request["balance"] == {"eye_g": 0.5, "hat": 0.3} and request["reject_empty"] == 10
    assert request["labels_like"] == [{"labels": s["labels"], "weight": float(s["weight"])} for s in SETS]
    assert manifest["summary"]["balance"].keys() == {"eye_g", "hat"} and "reject_empty" in manifest["summary"]
    assert run(*start, tmp_path / "grown", "-n", 4).code == 0
    assert run(*start, tmp_path / "grown", "-n", 6).code == 0
    assert tree(tmp_path / "grown") == tree(tmp_path / "o")
    (tmp_path / "sets.json").unlink()
    replayed = run("replay", tmp_path / "o")
    assert (replayed.code, replayed.out) == (0, "12 of 12 files are equal\n"), replayed.err


def test_manifests_before_and_after(tmp_path: Path) -> None:
    """A request without these is written as it was; one with them is read as it was written, and a damaged one refused."""
    plain = request_to_json(Request(labels=("skin",)), Inputs())
    assert not plain.keys() & {"labels_like", "balance", "reject_empty"}
    assert request_from_json(plain, tmp_path) == Request(labels=("skin",))
    request = read_request({"labels_like": SETS, "balance": WANTED, "reject_empty": True})
    written = json.loads(json.dumps(request_to_json(request, Inputs())))
    assert request_from_json(written, tmp_path) == request
    damaged: dict[str, Any] = {
        "balance": [["hat"], {"hat": 2}, {"hat": "x"}, {"": 0.1}, {}],
        "reject_empty": [True, 1.5, "10", -1],
        "labels_like": [{}, [{"labels": ["skin"], "weight": 1}], [{"labels": [3], "weight": 1.0}], []],
    }
    for name, values in damaged.items():
        for value in values:
            with pytest.raises(DataError, match=name):
                request_from_json({**written, name: value}, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [("balance_got", "hat"), ("balance_asked", [3]), ("redrawn", -1), ("redrawn", "2"), ("exhausted", 1)],
)
def test_damaged_lines_are_made_again(run: Run, pair: tuple[str, str], tmp_path: Path, key: str, value: Any) -> None:
    """What a line of a run that is continued says of its draws is looked at before it is counted."""
    command = (
        "compose",
        "+".join(pair),
        "-n",
        2,
        "--balance",
        "hat=.5",
        "--reject-empty=2",
        "--seed",
        1,
        "--device",
        "cpu",
    )
    assert run(*command, "--out", tmp_path / "o").code == 0
    before = tree(tmp_path / "o")
    lines = [json.loads(line) for line in (tmp_path / "o/metadata.jsonl").read_text().splitlines()]
    lines[1][key] = value
    (tmp_path / "o/metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = run(*command, "--out", tmp_path / "o")
    assert told.code == 0 and tree(tmp_path / "o") == before


def test_the_tiny_models_draw_what_these_tests_count_on(pipe: zoo.Composition) -> None:
    """Three sets, each twice: a third of the samples has eye_g by itself."""
    assert isinstance(pipe.generator, MaskGenerator)
    assert sum("eye_g" in names for names in LABEL_SETS) == 1 and len(LABEL_SETS) == 3
