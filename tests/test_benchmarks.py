"""Scripts of `benchmarks/`: a finished run becomes a card with its terms and figures; the contact sheet of edits."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import zoo
from zoo.cards import card_digests, missing_facts, read_card
from zoo.composition.request.requests import parse_edit
from zoo.data.facts import FACTS, facts_of
from zoo.errors import UsageError
from zoo.files.decoding import open_image
from zoo.files.digests import sha256
from zoo.maps import SemanticMap
from zoo.registry import label_space, registry
from zoo.store.models import digests

ROOT = Path(__file__).resolve().parents[1]
RESULTS = {
    "format": 1,
    "subject": "run",
    "kind": "generator",
    "pairs": 7,
    "resolution": [32, 32],
    "label_space": "celebamask-hq",
    "request": {"seed": 3},
    "asked": [],
    "metrics": {
        "requests": {
            "scores": {"share_of_requests_met": 0.91, "classes": {"hair": {"asked": 24, "appeared": 24, "share": 1.0}}},
            "protocol": {"maps": 12},
            "warnings": [],
        },
        "reconstruction": {
            "scores": {"mean_code": {"miou": 0.5, "accuracy": None}},
            "protocol": {},
            "warnings": ["Few."],
        },
    },
    "not_measured": {"compatibility_error": "takes a shape predictor."},
}


pytestmark = pytest.mark.usefixtures("one_thread")


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script as a module."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(name)


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with a folder of cards of its own."""
    module = script("publish", monkeypatch)
    monkeypatch.setattr(module, "CARDS", tmp_path / "cards")
    (tmp_path / "cards").mkdir()
    return module


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of one step on drawn faces."""
    from test_training_cli import TRAIN

    from zoo.cli import main

    path = tmp_path_factory.mktemp("publish") / "run"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
        patch.setattr(sys, "argv", ["zoo", *TRAIN])
        main([*TRAIN, "--set", "steps=1", "--set", "dtype=float16", "--out", str(path)])
    assert not left.value.code
    return path


NOTES = "# mine\n\nWhat it is good for.\n\n## Limits\n\n- Small faces\n  only.\n- No hats.\n"


def call(publish: ModuleType, run: Path, tmp_path: Path, notes: str = NOTES, **other: Any) -> Path:
    weights = run / "model/model.safetensors"
    digest = sha256(weights) if weights.is_file() else ""
    (tmp_path / "results.json").write_text(json.dumps({**RESULTS, "digest": digest, **other}))
    (tmp_path / "notes.md").write_text(notes)
    files = ["--results", str(tmp_path / "results.json"), "--notes", str(tmp_path / "notes.md")]
    publish.main([str(run), "segvae-ccp", *files, "--recipe", "zoo train segvae/ccp --data ccp:DIR"])
    return tmp_path / "cards/segvae-ccp"


@pytest.mark.parametrize("name", ["ccp", "celebamask-hq"])
def test_a_card_has_the_terms_of_its_data(name: str, publish: ModuleType, finished: Path, tmp_path: Path) -> None:
    folder = call(publish, finished, tmp_path, data=f"{name}:/somewhere,crop=person#test")
    card = read_card(folder)
    assert card is not None and missing_facts(card) == []
    about = facts_of(name)
    assert card.facts["data"] == name and card.facts["data_license"] == about.terms
    assert card.facts["weights_license"] == about.weights and "non-commercial" in about.weights
    assert card.front["license_name"] == "non-commercial-research"
    listed = {"README.md", *card_digests(folder)}
    assert card_digests(folder) == digests(folder)
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == listed
    index = card.front["model-index"][0]["results"][0]
    side = card.facts["resolution"][0]
    assert index["dataset"] == {
        "name": f"{about.title}, 7 held-out {about.things} at {side} px",
        "type": name,
        "split": "test",
    }
    assert card.facts["limits"] == ["Small faces only.", "No hats."]
    assert (
        card.facts["bytes"] == card.size
        and card.front["datasets"] == [name]
        and card.front["license_link"] == about.url
    )
    figures = {m["type"]: m["value"] for m in index["metrics"]}
    assert figures == {"requests.share_of_requests_met": 0.91, "reconstruction.mean_code.miou": 0.5}
    for text in (
        "What it is good for",
        "zoo train segvae/ccp",
        f"zoo eval segvae-ccp --data '{name}:DIR,crop=person#test' --seed 3",
        "| hair | 24 | 24 | 1.0000 |",
        "- reconstruction: Few.",
        "- Not measured: compatibility_error: takes a shape predictor.",
        "Learning curve",
    ):
        assert text in card.body, text
    assert "/somewhere" not in card.body


def test_what_cannot_be_published(
    publish: ModuleType, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for run, other, text in (
        (finished, {"data": "folder:/x"}, "nothing is known of the terms of 'folder'"),
        (tmp_path, {"data": "ccp:/x"}, "no finished training run"),
        (finished, {"data": "ccp:/x", "digest": "0" * 64}, "measured on other weights"),
    ):
        with pytest.raises(SystemExit) as left:
            call(publish, run, tmp_path, **other)
        assert left.value.code == 2 and text in capsys.readouterr().err
        assert not list((tmp_path / "cards").iterdir())
    with pytest.raises(SystemExit):
        call(publish, finished, tmp_path, "# mine\n\n**Limits** None.", data="ccp:/x")
    assert "has no section `## Limits` with a list" in capsys.readouterr().err


def test_every_described_data_set_has_its_facts() -> None:
    for name, about in FACTS.items():
        assert (
            name in registry().names("datasets")
            and about.title
            and about.terms != "unknown"
            and about.weights != "unknown"
        )
    assert facts_of("folder").terms == "unknown"


# --- the sheet of edits -------------------------------------------------------------------------------------------


def test_the_sheet_has_a_row_per_face_and_edits_start_where_they_can(
    pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet, out = script("edits_sheet", monkeypatch), tmp_path / "sheet.png"
    edits = ("add:eye_g", "redraw:hair", "remove:nose")
    arguments = ["+".join(pair), *(x for e in edits for x in ("--edit", e)), "--faces", "2", "--cell", "32"]
    sheet.main([*arguments, "--out", str(out)])
    report = json.loads(capsys.readouterr().out)
    assert len(set(report["faces"])) == 2 and list(report["changed_outside_edits"]) == list(edits)
    image = open_image(out)
    # two maps and pictures for each start (with and without a nose) and for each edit
    assert image.size == (10 * 34 + 2, 2 * 34 + 2 + sheet.HEAD)
    sheet.main([*arguments, "--out", str(tmp_path / "again.png")])
    assert (tmp_path / "again.png").read_bytes() == out.read_bytes()


def test_the_sheet_of_sizes(pair: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, out = script("sizes_sheet", monkeypatch), tmp_path / "sheet.png"
    sheet.main([pair[0], pair[1], pair[1], "-n", "2", "--seed", "3", "--out", str(out)])
    image, side = np.asarray(open_image(out)), max(zoo.load(pair[1]).resolution)
    assert image.shape[:2] == (2 * (side + sheet.GAP) + sheet.GAP, 2 * (side + sheet.GAP) + sheet.GAP)
    cells = [image[top : top + side, sheet.GAP : sheet.GAP + side] for top in (sheet.GAP, 2 * sheet.GAP + side)]
    assert np.array_equal(*cells) and cells[0].std() > 1  # one model, one seed


def test_starts_and_unchanged_pixels_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    sheet, space = script("edits_sheet", monkeypatch), label_space("celebamask-hq")
    add, remove, redraw = specs = [parse_edit(e) for e in ("add:eye_g", "remove:hat", "redraw:hair")]
    whole = space.label_set(["skin", "hair", "hat", "eye_g"])
    found = {s: set(sheet.start(specs, s, whole).names) for s in (None, add, remove, redraw)}
    assert found[None] == found[add] == found[redraw] == {"skin", "hair"} and found[remove] == {"skin", "hair", "hat"}
    before, after = torch.zeros(1, 4, 4, dtype=torch.long), torch.zeros(1, 4, 4, dtype=torch.long)
    before[0, 0], after[0, 1] = space.index("hat"), space.index("skin")
    maps = (SemanticMap(labels, space) for labels in (before, after))
    assert sheet.outside(*maps, remove) == 4 / 16  # the hat's own row does not count
    with pytest.raises(UsageError, match="this sheet shows"):
        sheet.edit_of(parse_edit("interpolate:hair=x.png"))


# --- styles -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clvae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained CLVAE of faces as a model folder."""
    from clvae_tiny import model_of

    import zoo

    return zoo.save(model_of(), tmp_path_factory.mktemp("models") / "clvae")


def test_the_sheets_of_styles(
    pair: tuple[str, str],
    clvae: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sheet, out = script("styles_sheet", monkeypatch), tmp_path / "sheet.png"
    common = ("-n", "3", "--cell", "32", "--out", str(out))
    sheet.main([str(clvae), "--data", "toy-faces:20", "--classes", "hair", "--maps", "2", *common])
    change = json.loads(capsys.readouterr().out)["style_change"]["hair"]
    assert change["samples"] == 6 and change["inside"] > 0
    assert open_image(out).size == (5 * 34 + 2, 2 * 34 + 2 + 18)
    layers = ("--layers", "shallow", "--layers", "deep")
    sheet.main([f"{pair[0]}+{clvae}", "--classes", "all", *layers, *common])
    report = json.loads(capsys.readouterr().out)["style_change"]
    assert set(report) == {"@shallow", "@deep"} and all(r["inside"] > 0 for r in report.values())
    assert open_image(out).size == (6 * 34 + 2, 2 * 34 + 2 + 18)


def test_cards_are_measured_by_the_command_that_stands_in_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One command for each card whose data are here, with the place in place of DIR; what fails is told and exits with 1."""
    cards = script("cards", monkeypatch)
    asked: list[tuple[list[str], bool]] = []

    def measured(words: list[str], out: Path, write: bool) -> tuple[int, float]:
        asked.append((words, write))
        return (1 if "oasis-celeba" in words else 0), 2.5

    monkeypatch.setattr(cards, "measured", measured)
    words = ["celebamask-hq=/faces", "--results", str(tmp_path / "found"), "--without", "scgan-celeba"]
    assert cards.main(words) == 1
    oasis = ["eval", "oasis-celeba", "--data", "celebamask-hq:/faces#test", "--parser", "face-parser-celeba"]
    assert ([*oasis, "--extractor", "mobilenet-v2"], True) in asked
    assert not any("ccp" in w[1] or w[1] == "scgan-celeba" for w, _ in asked)
    told = capsys.readouterr().out
    assert "segvae-ccp: left out" in told and told.endswith("; failed: oasis-celeba\n")
    assert cards.main([*words[1:3], "ccp=/people", "--only", "segvae-ccp", "--keep"]) == 0
    assert asked[-1] == (["eval", "segvae-ccp", "--data", "ccp:/people,crop=person,pad=square#test"], False)
    assert (tmp_path / "found").is_dir()


def test_every_published_model_has_its_command() -> None:
    """No card names another way in which its figures came about."""
    from benchmarks.cards import words_of
    from zoo.cards import all_cards

    cards = {name: card for name, card in all_cards().items() if card.has_weights}
    assert len(cards) > 10
    for name, card in cards.items():
        words = words_of(card, {"celebamask-hq": "/faces", "ccp": "/people"})
        assert words is not None and words[:2] == ["eval", name] and "quality.py" not in card.body
