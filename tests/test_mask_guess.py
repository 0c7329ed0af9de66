"""`zoo mask inspect` on faces: which of the known orders a map's numbers are in, and whether they are off by one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from click.testing import CliRunner

from zoo.cli.mask import mask as mask_group
from zoo.data.specs import open_source
from zoo.files.mapguess import FACES as SPACES
from zoo.files.mapguess import Guess, guess_order
from zoo.registry import label_space

FACES = label_space("celebamask-hq")
ORDERS = [label_space(name) for name in SPACES]
TABLES = {space.name: np.array(FACES.mapping_to(space).table) for space in ORDERS}
SHIFTS = {
    "as it is": (0, lambda v: v),
    "one more": (1, lambda v: v + 1),
    "background wrapped": (-1, lambda v: np.where(v == 0, 255, v - 1)),
    "background clipped": (-1, lambda v: np.maximum(v - 1, 0)),
    "background last": (-1, lambda v: np.where(v == 0, 18, v - 1)),
}


def toy(index: int = 0, side: int = 96) -> np.ndarray:
    return open_source("toy-faces:8#train").read(index, (side, side))[1].astype(np.int64)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("order", SPACES)
def test_drawn_faces_are_told(order: str, shift: str) -> None:
    offset, change = SHIFTS[shift]
    found = [guess_order(change(TABLES[order][toy(i)]), ORDERS) for i in range(8)]
    right = [g for g in found if g is not None]
    assert all((g.space, g.offset, g.turn) == (order, offset, 0) for g in right)
    # lapa has few parts for a clear lead, and what lies at facer's 1, the neck, drowns in the background
    assert len(right) >= (7 if order in ("celebamask-hq", "face-parsing") or not offset else 0)


def test_a_nose_above_the_eyes_gives_the_wrong_order_away() -> None:
    found = guess_order(TABLES["face-parsing"][toy()], ORDERS)
    assert found is not None and any("nose would lie above the eyes" in fault for fault in found.faults)


def test_what_is_no_face_is_not_guessed() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert guess_order(rng.integers(0, 19, (48, 48)), ORDERS) is None
        assert guess_order(np.kron(rng.integers(0, 19, (6, 6)), np.ones((8, 8), int)), ORDERS) is None
    assert guess_order(np.zeros((8, 8), int), ORDERS) is None
    assert guess_order(np.where(toy() == 1, 1, 0), ORDERS) is None  # skin alone
    assert guess_order(np.full((8, 8), 77), ORDERS) is None


def test_real_faces_are_told(faces: Path) -> None:
    paths = sorted((faces / "labels").glob("*.png"))[::20]
    tally = {"right": 0, "silent": 0, "wrong": 0}
    for path in paths:
        labels = np.asarray(PIL.Image.open(path).resize((192, 192), PIL.Image.Resampling.NEAREST)).astype(np.int64)
        for order, table in TABLES.items():
            for offset, change in SHIFTS.values():
                found = guess_order(change(table[labels]), ORDERS)
                kind = (
                    "silent"
                    if found is None
                    else "right"
                    if (found.space, found.offset) == (order, offset)
                    else "wrong"
                )
                tally[kind] += 1
    assert tally["wrong"] == 0 and tally["right"] >= 0.98 * 10 * len(paths), tally


def test_people_are_no_faces(shared: Path) -> None:
    for path in sorted((shared / "data" / "ccp" / "labels_atr").glob("*.png"))[::10]:
        assert guess_order(np.asarray(PIL.Image.open(path)).astype(np.int64), ORDERS) is None, path


# --- the command ----------------------------------------------------------------------------------------------------


def written(path: Path, values: np.ndarray, palette: bool = False) -> Path:
    image = PIL.Image.fromarray(values.astype(np.uint8))
    if palette:
        image.putpalette([c for color in FACES.palette for c in color])
    image.save(path)
    return path


def inspect(*args: object) -> str:
    result = CliRunner().invoke(mask_group, ["inspect", *map(str, args)])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_inspect_says_the_order(tmp_path: Path) -> None:
    path = written(tmp_path / "a.png", TABLES["face-parsing"][toy()])
    text = inspect(path)
    assert "its numbers are in the order of face-parsing; in celebamask-hq nose would lie above the eyes" in text
    assert "do not tell" not in text
    nose = next(line for line in text.splitlines() if line.split()[-1] == "nose")
    assert nose.split()[0] == "10"  # the histogram names the classes in the guessed order
    text = inspect(path, "--space", "celebamask-hq")
    assert "Warning: This file was taken for a map of celebamask-hq, but by where its parts lie, its numbers" in text
    assert "are in the order of face-parsing (in celebamask-hq, nose would lie above the eyes" in text
    assert "Say --mask-space face-parsing; if it is right as it stands, --trust-maps." in text
    assert "Warning" not in inspect(path, "--space", "face-parsing")
    assert "face-parsing" not in inspect(path, "--space", "atr").split("fits:")[1].splitlines()[1:]
    guess = json.loads(inspect(path, "--json"))["guess"]
    assert guess["label_space"] == "face-parsing" and guess["offset"] == 0 and guess["lead"] >= 6


def test_inspect_warns_of_numbers_that_are_off_by_one(tmp_path: Path) -> None:
    text = inspect(written(tmp_path / "a.png", toy() + 1))
    assert "its numbers are all one too high: subtract 1, and they are in the order of celebamask-hq" in text
    path = written(tmp_path / "b.png", np.maximum(toy() - 1, 0))
    text = inspect(path)
    assert "its numbers are all one too low: add 1, and they are in the order of celebamask-hq (as it stands, " in text
    assert json.loads(inspect(path, "--json"))["guess"]["offset"] == -1


def test_inspect_trusts_colours_and_stays_silent_where_nothing_tells(tmp_path: Path) -> None:
    assert json.loads(inspect(written(tmp_path / "a.png", toy(), palette=True), "--json"))["guess"] is None
    text = inspect(written(tmp_path / "b.png", np.array([[0, 1], [2, 3]])))
    assert "Warning" not in text and "do not tell" in text
    assert json.loads(inspect(tmp_path / "b.png", "--json"))["guess"] is None
    PIL.Image.fromarray(np.asarray(FACES.palette, np.uint8)[toy()]).save(tmp_path / "c.png")
    assert json.loads(inspect(tmp_path / "c.png", "--json"))["guess"] is None


def test_a_guess_as_json() -> None:
    assert Guess("face-parsing", 1, ("x",), 20.0, 9.123).to_json() == {
        "label_space": "face-parsing",
        "offset": 1,
        "turn": 0,
        "also": [],
        "otherwise": ["x"],
        "score": 20.0,
        "lead": 9.12,
    }
