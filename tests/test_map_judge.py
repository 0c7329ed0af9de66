"""The one judge of maps: known orders refused by name, off by one, doubts; asked by data check, training and compositions alike."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fixtures_models import Ran

import zoo
from zoo.data.check import check_data
from zoo.data.judging import judge_first
from zoo.data.specs import open_source, parse_spec
from zoo.errors import DataError
from zoo.files.mapfiles import read_map_file
from zoo.files.mapguess import FACES, PEOPLE
from zoo.files.mapjudge import Verdict, inspected, judge, judge_file
from zoo.labels import LabelClass, LabelSpace
from zoo.registry import label_space, registry

Run = Callable[..., Ran]
CELEBA = label_space("celebamask-hq")
KNOWN = [label_space(name) for name in (*FACES, *PEOPLE)]
BY_NAME = np.array([sorted(CELEBA.names).index(n) for n in CELEBA.names])
"""From the data set's order to one that nobody knows."""


def face(order: str = "celebamask-hq", index: int = 0, side: int = 96) -> np.ndarray:
    labels = open_source("toy-faces:8#train").read(index, (side, side))[1]
    return np.array(CELEBA.mapping_to(label_space(order)).table)[labels]


def person(order: str = "atr") -> np.ndarray:
    """A standing person of boxes down to the ankles, 104 x 60: its numbers are legal in all orders."""
    names = np.full((120, 60), "background", dtype="<U16")
    boxes = {
        "hair": (4, 14, 22, 38), "face": (10, 24, 24, 36), "scarf": (24, 28, 24, 36), "upper-clothes": (28, 60, 20, 40),
        "left-arm": (30, 58, 40, 46), "right-arm": (30, 58, 14, 20), "belt": (60, 62, 20, 40), "pants": (62, 88, 20, 40),
        "left-leg": (88, 106, 31, 38), "right-leg": (88, 106, 22, 29), "bag": (56, 74, 46, 56),
    }  # fmt: skip
    for name, (top, bottom, left, right) in boxes.items():
        names[top:bottom, left:right] = name
    space = label_space(order)
    return np.vectorize(lambda n: space.find(n) or 0)(names)[:104]


def told(values: np.ndarray, order: str) -> Verdict:
    verdict = judge(values, label_space(order), KNOWN)
    assert verdict is not None and verdict.taken == order
    return verdict


# --- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", FACES)
@pytest.mark.parametrize("taken", FACES)
def test_each_order_of_faces_is_told_from_each_other(right: str, taken: str) -> None:
    verdicts = [judge(face(right, i), label_space(taken), KNOWN) for i in range(6)]
    if right == taken:
        assert verdicts == [None] * 6
    else:
        named = [v.space for v in verdicts if v is not None and v.refused]
        assert len(named) >= 5 and set(named) == {right}  # one of six shows too few parts


@pytest.mark.parametrize("order", ["celebamask-hq", "face-parsing"])
@pytest.mark.parametrize("change", [1, -1])
def test_numbers_that_are_off_by_one_are_refused_where_they_are_legal(order: str, change: int) -> None:
    values = face(order)
    values[values == 18] = 0 if change > 0 else 18  # so that the highest number stays legal
    verdict = told(np.maximum(values + change, 0), order)
    assert verdict.refused and verdict.space is None
    assert f"all one too {'high: subtract' if change > 0 else 'low: add'} 1" in verdict.about("x.png")


def test_an_order_that_nobody_knows_is_doubted() -> None:
    verdict = told(BY_NAME[face()], "celebamask-hq")
    assert not verdict.refused and "rules of where its parts lie hold" in verdict.why
    assert verdict.about("a.png").endswith("If it is right as it stands, <<trust_maps>>.")


def test_a_space_of_ones_own_competes() -> None:
    own = LabelSpace("mine", tuple(LabelClass(n, (i, i, i)) for i, n in enumerate(sorted(CELEBA.names))))
    assert judge(BY_NAME[face()], own, KNOWN) is None
    assert told(BY_NAME[face()], "face-parsing").space is None
    verdict = judge(face("face-parsing"), own, KNOWN)
    assert verdict is not None and verdict.refused and verdict.space == "face-parsing"


@pytest.mark.parametrize("taken", PEOPLE)
@pytest.mark.parametrize("right", PEOPLE)
def test_orders_of_people(right: str, taken: str) -> None:
    verdict = judge(person(right), label_space(taken), KNOWN)
    if "atr" in (right, taken) and right != taken:
        assert (
            verdict is not None
            and verdict.refused
            and verdict.space in (("atr",) if right == "atr" else ("lip", "cihp"))
        )
        assert "would lie" in verdict.why
    else:
        assert verdict is None
    off = judge(person(right) + 1, label_space(right), KNOWN)
    assert off is not None and off.refused and "all one too high" in off.why


def test_what_lies_turned_is_doubted_never_renamed() -> None:
    for order in FACES:
        for turn, text in ((2, "is upside down"), (1, "lies on its left side"), (3, "lies on its right side")):
            guess = inspected(np.rot90(face(order), turn), KNOWN)
            assert guess is None or (order in (guess.space, *guess.also) and guess.offset == 0)
            verdict = judge(np.rot90(face(order), turn), label_space(order), KNOWN)
            assert verdict is None or (not verdict.refused and (text in verdict.why or "rules" in verdict.why))
    verdict = told(np.rot90(face(), 2), "celebamask-hq")
    assert "is upside down" in verdict.why


def test_what_has_no_rules_or_shows_nothing_is_let_pass() -> None:
    assert judge(face(), label_space("ade20k"), KNOWN) is None
    assert judge(np.zeros((20, 20), int), CELEBA, KNOWN) is None
    assert judge(np.array([[0, 1], [2, 3]]), CELEBA, KNOWN) is None
    assert judge(np.full((20, 20), 70000), CELEBA, KNOWN) is None
    noise = np.random.default_rng(0).integers(0, 19, (64, 64))
    verdict = judge(noise, CELEBA, KNOWN)
    assert verdict is None or not verdict.refused


def test_real_faces_and_people_pass(faces: Path, shared: Path) -> None:
    paths = [
        *sorted((faces / "labels").glob("*.png"))[::50],
        *sorted((shared / "data/ccp/labels_atr").glob("*.png"))[::50],
    ]
    for path in paths:
        values = np.asarray(PIL.Image.open(path)).astype(int)
        own = CELEBA if path.parent.name == "labels" else label_space("atr")
        assert judge(values, own, KNOWN) is None, path
        for other in FACES if own is CELEBA else PEOPLE:
            found = judge(np.array(own.mapping_to(label_space(other)).table)[values], own, KNOWN)
            assert found is None or other in (found.space, "cihp"), (path, other)
            assert (found is None) == (other == own.name), (path, other)


# --- files ----------------------------------------------------------------------------------------------------------


def written(path: Path, values: np.ndarray, palette: list[tuple[int, int, int]] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = PIL.Image.fromarray(values.astype(np.uint8))
    if palette is not None:
        image.putpalette([c for color in palette for c in color])
    image.save(path)
    return path


def test_palettes_that_name_the_classes_are_believed(tmp_path: Path) -> None:
    spaces = registry().working_spaces()[0]
    odd = BY_NAME[face()]
    assert judge_file(read_map_file(written(tmp_path / "a.png", odd, list(CELEBA.palette))), CELEBA, spaces) is None
    voc = [zoo.label_space("voc").palette[v] for v in range(19)]
    verdict = judge_file(read_map_file(written(tmp_path / "b.png", odd, voc)), CELEBA, spaces)
    assert verdict is not None and "rules" in verdict.why
    lip = read_map_file(written(tmp_path / "c.png", person("atr"), voc))
    verdict = judge_file(lip, label_space("lip"), spaces)  # the palette is lip's, and everybody's
    assert verdict is not None and verdict.refused and verdict.space == "atr"


def folder(root: Path, values: Callable[[int], np.ndarray], count: int = 4) -> Path:
    for i in range(count):
        written(root / "labels" / f"{i}.png", values(i))
    return root


def test_data_check_says_what_the_judge_says(run: Run, tmp_path: Path) -> None:
    wrong = folder(tmp_path / "wrong", lambda i: face("face-parsing", i))
    made = run("data", "check", f"folder:{wrong}", "--space", "celebamask-hq")
    assert made.code == 1 and "was taken for a map of celebamask-hq, but by where its parts lie" in made.out
    assert (
        "Say --space face-parsing; if it is right as it stands, --trust-maps. 4 of 4 maps looked at say so." in made.out
    )
    assert run("data", "check", f"folder:{wrong}", "--space", "face-parsing").code == 0
    assert run("data", "check", f"folder:{wrong}", "--space", "celebamask-hq", "--trust-maps").code == 0
    strange = folder(tmp_path / "strange", lambda i: BY_NAME[face(index=i)])
    made = run("data", "check", f"folder:{strange}", "--space", "celebamask-hq", "--json")
    report = json.loads(made.out)
    assert made.code == 0 and any("rules of where its parts lie" in n for n in report["notes"])
    spec = parse_spec(f"folder:{wrong}")
    report = check_data(spec, open_source(spec, space=CELEBA))
    assert 'Say space="face-parsing"; if it is right as it stands, trust_maps.' in report.problems[0]


def test_training_asks_the_first_maps(run: Run, tmp_path: Path) -> None:
    wrong = folder(tmp_path / "wrong", lambda i: face("lapa", i))
    tiny = ("train", "mask-vae/celeba-128", "--data", f"folder:{wrong}", "--set", "steps=1", "--device", "cpu")
    made = run(*tiny, "--out", tmp_path / "run")
    assert made.code == 1 and "in the order of lapa" in made.err and "--trust-maps" in made.err
    assert not (tmp_path / "run/options.json").exists()
    dry = run(*tiny, "--trust-maps", "--dry-run")
    assert json.loads(dry.out)["trust_maps"] is True
    assert "trust_maps" not in json.loads(run(*tiny, "--dry-run").out)


def test_doubts_and_drawn_data(tmp_path: Path) -> None:
    strange = folder(tmp_path / "a", lambda i: BY_NAME[face(index=i)])
    assert "3 of 4 maps" in judge_first(open_source(f"folder:{strange}", space=CELEBA))[0]
    assert judge_first(open_source("toy-faces:8")) == []
    with pytest.raises(DataError, match="order of face-parsing"):
        judge_first(open_source(f"folder:{folder(tmp_path / 'b', lambda i: face('face-parsing', i))}", space=CELEBA))


def test_a_doubt_is_said_and_the_map_used(run: Run, model_root: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "odd.png", BY_NAME[face(side=48)])
    made = run("synth", model_root / "scgan-celeba", path, "--seed", 0, "--out", tmp_path / "out", "--device", "cpu")
    assert made.code == 0 and f"{path} was taken for a map of celebamask-hq, but only " in made.err
    assert made.err.count("was taken for") == 1
    made = run(
        "synth",
        model_root / "scgan-celeba",
        path,
        "--seed",
        0,
        "--out",
        tmp_path / "b",
        "--trust-maps",
        "--device",
        "cpu",
    )
    assert made.code == 0 and "was taken for" not in made.err
    composition = zoo.compose((None, str(model_root / "scgan-celeba")), device="cpu")
    with pytest.warns(UserWarning, match="rules of where its parts lie hold"):
        composition(maps=str(path), seed=0)
