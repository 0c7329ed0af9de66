"""Runs as data: splits by hash, several folders as one, merged folders, what a check finds, and whose terms hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fixtures_models import Ran
from run_folders import MODEL, contents, lines_of, write_lines, write_manifest, write_run

from zoo.composition.folder.merge import merge
from zoo.data.facts import UNKNOWN
from zoo.data.joined import Joined
from zoo.data.places import folders_of, labels_of
from zoo.data.specs import open_source, parse_spec, splits_of
from zoo.data.splits import hashed_split
from zoo.errors import DataError, LabelError, UsageError
from zoo.files.runaccount import account
from zoo.files.runfiles import read_manifest
from zoo.registry import label_space
from zoo.training.origin import facts_of_data
from zoo.training.plan import absolute_data, public_name

Run = Callable[..., Ran]


def pairs(spec: str) -> dict[str, tuple[bytes, bytes]]:
    """Photo and labels of every pair, by its name."""
    source = open_source(spec)
    read = {n: source.read(i) for i, n in enumerate(source.names)}
    return {n: (b"" if p is None else p.tobytes(), labels.tobytes()) for n, (p, labels) in read.items()}


# --- splits -----------------------------------------------------------------------------------------------------------


def test_splits_by_the_hash_of_each_name(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 60)
    spec = f"folder:{tmp_path}/run"
    splits = splits_of(spec)
    assert splits == ("train", "val", "test")
    by_split = {s: open_source(f"{spec}#{s}").names for s in splits}
    assert all(hashed_split(n) == s for s, names in by_split.items() for n in names)
    assert sorted(n for names in by_split.values() for n in names) == list(open_source(spec).names)
    assert 0.6 < len(by_split["train"]) / 60 < 0.95


def test_a_sample_stays_in_its_split_when_the_run_grows(tmp_path: Path) -> None:
    write_run(tmp_path / "few", 20)
    write_run(tmp_path / "many", 60)
    for split in splits_of(f"folder:{tmp_path}/few"):
        before, after = (set(open_source(f"folder:{tmp_path}/{n}#{split}").names) for n in ("few", "many"))
        assert before and before == {n for n in after if int(n) < 20}


def test_lists_in_the_folder_come_first(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", 20)
    (folder / "splits").mkdir()
    (folder / "splits/train.txt").write_text("000001\n000002\n")
    assert splits_of(f"folder:{folder}") == ("train",) and len(open_source(f"folder:{folder}#train").names) == 2


def test_one_pair_has_no_splits(tmp_path: Path) -> None:
    write_run(tmp_path / "run", 1)
    assert splits_of(f"folder:{tmp_path}/run") == ()


# --- joined -----------------------------------------------------------------------------------------------------------


def test_a_path_of_several_folders(tmp_path: Path) -> None:
    for name in ("a", "b", "a+b", "c+d"):
        (tmp_path / name).mkdir()
    at = str(tmp_path)
    assert folders_of(f"{at}/a+b") == [f"{at}/a+b"], "a folder of that name comes first"
    assert folders_of(f"{at}/b+{at}/a") == [f"{at}/b", f"{at}/a"]
    assert folders_of(f"{at}/a+{at}/c+d+{at}/b") == [f"{at}/a", f"{at}/c+d", f"{at}/b"]
    assert folders_of(f"{at}/a+{at}/none") == [f"{at}/a+{at}/none"]
    assert labels_of(["x/a", "y/a", "b/"]) == ["a", "a-2", "b"]
    with pytest.raises(DataError, match=r"There is no folder .*/none\."):
        open_source(f"folder:{at}/a+{at}/none")


def test_joined_pairs_are_those_of_the_parts(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", 30), write_run(tmp_path / "b", 25, seed=1)
    spec = f"folder:{a}+{b}"
    joined = pairs(spec)
    parts = {f"{n}/{k}": v for n, f in (("a", a), ("b", b)) for k, v in pairs(f"folder:{f}").items()}
    assert joined == parts and len(joined) == 55
    for split in splits_of(spec):
        alone = {
            f"{n}/{k}"
            for n, f in (("a", a), ("b", b))
            if split in splits_of(f"folder:{f}")
            for k in pairs(f"folder:{f}#{split}")
        }
        assert set(open_source(f"{spec}#{split}").names) == alone
    with pytest.raises(DataError, match="no split 'tset'; did you mean 'test'"):
        open_source(f"{spec}#tset")


def test_other_label_spaces_are_joined_by_name_and_said(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", space="face-parsing")
    source = open_source(f"folder:{a}+{b}")
    assert isinstance(source, Joined) and source.label_space.name == "celebamask-hq"
    assert any("b is joined by the names of classes: face-parsing -> celebamask-hq" in n for n in source.notes())
    own, target = label_space("face-parsing"), label_space("celebamask-hq")
    table = np.array(own.mapping_to(target).table)
    before = open_source(f"folder:{b}").read(2)[1]
    assert np.array_equal(source.read(source.names.index("b/000002"))[1], table[before])
    with pytest.raises(LabelError, match="c cannot be joined"):
        open_source(
            f"folder:{a}+{write_run(tmp_path / 'c', space='camvid' if _knows('camvid') else 'cityscapes-train')}"
        )


def _knows(name: str) -> bool:
    from zoo.registry import registry

    return name in registry().label_spaces()


def test_places_of_joined_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / "secret" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "secret")
    far = absolute_data(parse_spec("folder:a+b#train"))
    assert str(far) == f"folder:{tmp_path}/secret/a+{tmp_path}/secret/b#train"
    assert public_name(far) == "folder:a+b#train" and public_name(parse_spec("folder:a+b")) == "folder:a+b"
    assert public_name(parse_spec(f"folder:a+{tmp_path}/secret/b")) == "folder:a+b"


# --- merged -----------------------------------------------------------------------------------------------------------


def test_a_merged_folder_is_a_data_set_with_every_sample(tmp_path: Path, run: Run) -> None:
    a, b = write_run(tmp_path / "a", 20), write_run(tmp_path / "b", 15, seed=1)
    before = contents(tmp_path)
    made = run("data", "merge", a, b, "--out", tmp_path / "c")
    assert made.code == 0 and made.out == f"{tmp_path / 'c'}\n"
    assert {n: c for n, c in contents(tmp_path).items() if not n.startswith("c/")} == before
    c = tmp_path / "c"
    lines = lines_of(c)
    assert [(r["index"], r["source"], r["source_index"]) for r in lines] == [
        *((i, "a", i) for i in range(20)),
        *((20 + i, "b", i) for i in range(15)),
    ]
    assert all(list(r) == list(lines[0]) for r in lines) and {r["seed"] for r in lines} == {0, 1}
    assert (c / "maps/000021.png").read_bytes() == (b / "maps/000001.png").read_bytes()
    assert account(c, read_manifest(c, merged=True)).problems() == []
    for split in splits_of(f"folder:{a}+{b}"):
        joined, merged = (pairs(f"folder:{p}#{split}") for p in (f"{a}+{b}", f"{c}"))
        assert sorted(joined.values()) == sorted(merged.values()), "every sample stays in its split"
    text = "".join(p.read_text() for p in (c / "manifest.json", c / "README.md", c / "metadata.jsonl"))
    assert str(tmp_path) not in text
    assert run("replay", c).code == 1 and "merged of several" in run("replay", c).err
    assert run("data", "check", f"folder:{c}").out.count("35 of 35 samples have their line") == 1
    again = tmp_path / "d"
    assert merge([c, write_run(tmp_path / "e", 3, seed=2)], again) == []
    assert lines_of(again)[21]["source"] == "c/b" and len(lines_of(again)) == 38
    assert [m["source"] for m in json.loads((again / "manifest.json").read_text())["merged"]] == ["c/a", "c/b", "e"]


def test_merging_another_label_space(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", space="face-parsing")
    told = merge([a, b], tmp_path / "c")
    assert len(told) == 1 and told[0].startswith("b is joined by the names of classes: face-parsing -> celebamask-hq")
    joined, merged = pairs(f"folder:{a}+{b}"), pairs(f"folder:{tmp_path / 'c'}")
    assert list(joined.values()) == list(merged.values())
    line = lines_of(tmp_path / "c")[5]
    known = label_space("celebamask-hq")
    shown = np.unique(open_source(f"folder:{tmp_path / 'c'}").read(5)[1])
    assert line["labels"] == [known.names[v] for v in shown]
    assert account(tmp_path / "c", read_manifest(tmp_path / "c", merged=True)).problems() == []


def test_imagefolder_reads_a_merged_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    merge([write_run(tmp_path / "a", 2), write_run(tmp_path / "b", 3, seed=1)], tmp_path / "c")
    for how in ({"path": "imagefolder", "data_dir": str(tmp_path / "c")}, {"path": str(tmp_path / "c")}):
        read = datasets.load_dataset(**how, split="train", cache_dir=str(tmp_path / "cache"))
        assert len(read) == 5 and read[3]["source"] == "b" and read[3]["source_index"] == 1
        assert np.array_equal(np.array(read[3]["map"]), open_source(f"folder:{tmp_path / 'b'}").read(1)[1])


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda f: (f / "maps/000001.png").write_bytes(b"x"), "cannot be merged as it is"),
        (lambda f: (f / "maps/000001.png").unlink(), "maps/000001.png is missing"),
        (lambda f: ((f / "maps/000001.png").unlink(), (f / "maps/000001.png").symlink_to("/etc/passwd")), "is a link"),
        (lambda f: write_lines(f, lines_of(f)[:2]), "2 lines"),
        (lambda f: (f / "manifest.json").unlink(), "There is no manifest"),
    ],
)
def test_a_run_that_is_not_complete_is_not_merged(tmp_path: Path, spoil: Callable[[Path], object], part: str) -> None:
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1)
    spoil(b)
    with pytest.raises((DataError, UsageError), match=part):
        merge([a, b], tmp_path / "c")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_where_a_merged_folder_may_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x").write_text("mine")
    for folders, out in (
        ([a], "c"),
        ([a, a], "c"),
        ([a, tmp_path / "link"], "c"),
        ([a, b], "mine"),
        ([a, b], "link"),
        ([a, b], "a/c"),
    ):
        with pytest.raises(UsageError):
            merge(folders, tmp_path / out)
    before = contents(tmp_path)
    monkeypatch.setattr("zoo.composition.folder.merge._card", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        merge([a, b], tmp_path / "c")
    assert contents(tmp_path) == before and not (tmp_path / "c").exists(), "whole or not at all"


# --- checks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda f: None, None),
        (lambda f: (f / "maps/000001.png").unlink(), "maps/000001.png is missing"),
        (lambda f: (f / "images/000001.png").write_bytes((f / "images/000000.png").read_bytes()), "images/000001.png has not the digest"),
        (lambda f: (f / "maps/000009.png").write_bytes((f / "maps/000000.png").read_bytes()), "maps/000009.png belongs to no line"),
        (lambda f: (f / "maps/000001.png").write_bytes(b"x"), "maps/000001.png is not a picture"),
        (lambda f: write_lines(f, lines_of(f)[:3]), "3 lines"),
        (lambda f: write_lines(f, [3] * 4), "line 1 of metadata.jsonl is no line of a sample"),
        (lambda f: write_manifest(f, {**json.loads((f / "manifest.json").read_text()), "samples": "4"}), "'samples' should be a whole number"),
        (lambda f: (f / "metadata.jsonl").unlink(), "0 lines"),
        (lambda f: ((f / "metadata.jsonl").rename(f / "x"), (f / "metadata.jsonl").symlink_to("x")), "metadata.jsonl is a link"),
    ],
)  # fmt: skip
def test_data_check_holds_a_run_against_its_lines(
    tmp_path: Path, run: Run, spoil: Callable[[Path], object], part: str | None
) -> None:
    folder = write_run(tmp_path / "run")
    spoil(folder)
    checked = run("data", "check", f"folder:{folder}", "--trust-maps")
    assert "Traceback" not in checked.err
    if part is None:
        assert checked.code == 0 and "4 of 4 samples have their line; files: as the lines say" in checked.out
    else:
        assert checked.code == 1 and part in checked.out
        assert run("data", "check", f"folder:{write_run(tmp_path / 'other')}+{folder}", "--trust-maps").code == 1


# --- terms ------------------------------------------------------------------------------------------------------------


class Told:
    """A card that states two licences, of the files of `MODEL`."""

    def __init__(self, weights: str, data: str) -> None:
        self.facts, self.files = {"weights_license": weights, "data_license": data}, MODEL["sha256"]


@pytest.mark.parametrize(
    ("weights", "data", "inputs", "licence"),
    [
        ("Apache-2.0", "Apache-2.0", False, "Apache-2.0"),
        ("MIT", "CC0-1.0", False, "MIT AND CC0-1.0"),
        ("MIT", "non-commercial research only", False, None),
        ("non-commercial research only (x)", "MIT", False, None),
        ("unknown", "MIT", False, None),
        ("MIT", "MIT", True, None),
    ],
)
def test_the_terms_of_a_run_are_those_of_its_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str, data: str, inputs: bool, licence: str | None
) -> None:
    from zoo.cards.licenses import permits_commercial_use

    monkeypatch.setattr("zoo.training.origin.all_cards", lambda: {"toy": Told(weights, data)})
    folder = write_run(tmp_path / "run")
    if inputs:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["request"]["masks"] = ["inputs/0123456789abcdef.png"]
        write_manifest(folder, manifest)
    merge([folder, write_run(tmp_path / "more", seed=1)], tmp_path / "merged")
    for place in (f"{folder}", f"{folder}+{tmp_path / 'more'}", f"{tmp_path / 'merged'}"):
        facts = facts_of_data(parse_spec(f"folder:{place}#train"))
        if licence is not None:
            assert facts.terms == facts.weights == licence and permits_commercial_use(facts.weights)
        else:
            assert not permits_commercial_use(facts.weights) and not permits_commercial_use(facts.terms)
            assert f"toy (weights: {weights}; its data: {data})" in facts.weights and "toy" in facts.terms
            assert ("non-commercial" in f"{weights}{data}") == facts.weights.startswith("non-commercial research only")
            assert ("its user put in" in facts.weights) == inputs


def test_other_files_under_a_known_name_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Told("MIT", "MIT")
    card.files = {"model.safetensors": "2" * 64}
    monkeypatch.setattr("zoo.training.origin.all_cards", lambda: {"toy": card})
    assert (
        "toy (weights: unknown; its data: unknown)"
        in facts_of_data(parse_spec(f"folder:{write_run(tmp_path / 'a')}")).terms
    )


def test_a_folder_that_no_run_made_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.training.origin.all_cards", lambda: {"toy": Told("MIT", "MIT")})
    a, b = write_run(tmp_path / "a"), write_run(tmp_path / "b", seed=1)
    (b / "manifest.json").unlink()
    assert facts_of_data(parse_spec(f"folder:{b}")) is UNKNOWN
    assert "unknown origin" in facts_of_data(parse_spec(f"folder:{a}+{b}")).weights
