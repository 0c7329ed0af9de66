"""Cards: reading and searching them, and every published card against the files beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest

import zoo
from zoo import cards
from zoo.cards import Card, card_digests, missing_facts, parse_card, read_card, reading, write_card
from zoo.cards.writing import listed_under
from zoo.errors import UsageError, WeightsError
from zoo.files.headers import read_header
from zoo.hub import resolve
from zoo.hub.checking import check_card
from zoo.registry import KINDS, registry
from zoo.store import models

ROOT = Path(__file__).resolve().parents[1]
PUBLISHED = sorted(p for p in (ROOT / "cards").iterdir() if p.is_dir() and p.name != "__pycache__")
LIMITS = {"mask-vae-celeba": 16, "scgan-celeba": 18, "sean-celeba": 6, "oasis-celeba": 6}
LIMIT, TOTAL = 9, 110
"""Megabytes of one published folder, where LIMITS does not say otherwise, and of all of them."""

published = pytest.mark.parametrize("folder", PUBLISHED, ids=lambda p: p.name)


def embedded_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def stored_elements(path: Path, dtype: str) -> int:
    """Elements of the tensors of a type, from the header of a safetensors file."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return sum(prod(t["shape"]) for n, t in header.items() if n != "__metadata__" and t["dtype"] == dtype)


# --- what is published --------------------------------------------------------------------------------------------


@published
def test_a_published_card_lists_exactly_the_files_beside_it_with_their_digests(folder: Path) -> None:
    assert card_digests(folder) == models.digests(folder)
    listed = {"README.md", *card_digests(folder)}
    assert {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()} == listed


@published
def test_a_published_card_has_all_facts_and_a_text(folder: Path) -> None:
    card = read_card(folder)
    assert card is not None and not missing_facts(card)
    assert listed_under(card.body, "Limits") == card.facts["limits"]
    assert card.facts["kind"] in KINDS and len(card.body.split()) > 40
    assert "unknown" not in {card.facts["data_license"], card.facts["weights_license"]}
    assert "non-commercial" in card.facts["weights_license"] if "celeba" in folder.name else True
    assert "zoo train" in card.facts["recipe"] or not (folder / "model.safetensors").is_file()


@published
def test_a_published_card_agrees_with_its_config(folder: Path) -> None:
    card = read_card(folder)
    assert card is not None
    config = models.read_config(folder)
    arch = registry().architecture(config["architecture"])
    assert card.facts["architecture"] == arch.name and card.facts["kind"] == arch.kind
    assert card.facts["label_space"] == config["label_space"] and card.facts["resolution"] == config["resolution"]
    assert config["dtype"] == "float16" and config["variant"] in registry().load(arch, "variants")


@published
def test_a_published_model_loads_and_has_the_stated_parameters(folder: Path) -> None:
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"{folder.name} has a card only")
    card, model = read_card(folder), zoo.load(folder)
    assert card is not None and card.facts["parameters"] == sum(p.numel() for p in model.parameters())
    # the header says so too: parameters are stored in half precision, buffers as they are
    rest = 0
    if base := getattr(model.config, "base", ""):  # a grown model's file holds its own part alone
        stored = set(read_header(folder / "model.safetensors"))
        rest = sum(p.numel() for name, p in zoo.load(base).named_parameters() if name not in stored)
        assert 0 < rest < card.facts["parameters"]
    assert card.facts["parameters"] == rest + stored_elements(folder / "model.safetensors", "F16")
    variant = registry().load(registry().architecture(card.facts["architecture"]), "variants")[card.facts["variant"]]
    assert model.config == variant.config, "the card names a variant that this model is not"


@published
def test_a_published_folder_passes_the_check_of_push(folder: Path) -> None:
    if (folder / "model.safetensors").is_file():
        assert check_card(folder).model_id == folder.name


def test_every_card_of_the_tree_is_among_the_published() -> None:
    heads = [p for p in ROOT.rglob("README.md") if p.read_text("utf-8").startswith("---\n")]
    heads = [p for p in heads if not {"build", "examples", "site-packages", "tests"} & set(p.relative_to(ROOT).parts)]
    assert sorted(p.parent for p in heads) == PUBLISHED


@published
def test_embedded_weights_stay_below_their_limit(folder: Path) -> None:
    assert embedded_bytes(folder) <= LIMITS.get(folder.name, LIMIT) * 1_000_000


def test_all_that_is_embedded_stays_below_110_mb() -> None:
    assert sum(map(embedded_bytes, PUBLISHED)) < TOTAL * 1_000_000


def test_every_published_folder_is_a_default_or_belongs_to_an_architecture() -> None:
    for folder in PUBLISHED:
        assert any(folder.name.startswith(name) for name in registry().architectures), folder.name


# --- reading and searching ----------------------------------------------------------------------------------------


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Three cards in the place of the published ones; the first has its weights."""
    facts: dict[str, dict[str, Any]] = {
        "mask-vae-celeba": {
            "architecture": "mask-vae",
            "kind": "mask-generator",
            "label_space": "celebamask-hq",
            "parameters": 1234567,
        },
        "mask-vae-toy": {"architecture": "mask-vae", "kind": "mask-generator"},
        "scgan-celeba": {"architecture": "scgan", "kind": "image-synthesizer"},
    }
    for name, values in facts.items():
        (tmp_path / name).mkdir()
        write_card(tmp_path / name, {"license": "other", "zoo": values}, f"# {name}\n\nText – with a dash.")
    (tmp_path / "mask-vae-celeba/model.safetensors").write_bytes(b"1234")
    write_card(
        tmp_path / "mask-vae-celeba",
        {"zoo": facts["mask-vae-celeba"] | {"files": {"model.safetensors": "0" * 64}}},
        "# Text",
    )
    folders = sorted(tmp_path.iterdir())
    monkeypatch.setattr(reading, "_card_folders", lambda package: folders if package == cards.CORE_CARDS else [])
    cards.all_cards.cache_clear()
    yield tmp_path
    cards.all_cards.cache_clear()


def test_a_card_comes_back_as_written(three: Path) -> None:
    card = read_card(three / "scgan-celeba")
    assert card is not None and card.model_id == "scgan-celeba" and card.front["license"] == "other"
    assert (
        card.facts == {"architecture": "scgan", "kind": "image-synthesizer"}
        and card.body == "# scgan-celeba\n\nText – with a dash.\n"
    )
    assert read_card(three) is None
    assert set(missing_facts(card)) >= {"label_space", "recipe", "files"} and "kind" not in missing_facts(card)


def test_search_is_by_glob_architecture_and_kind(three: Path) -> None:
    assert zoo.list_models() == ["mask-vae-celeba", "mask-vae-toy", "scgan-celeba"]
    assert zoo.list_models("*celeba*") == ["mask-vae-celeba", "scgan-celeba"]
    assert zoo.list_models("mask-vae") == ["mask-vae-celeba", "mask-vae-toy"]
    assert zoo.list_models(kind="image-synthesizer") == ["scgan-celeba"] and zoo.list_models("nothing*") == []


def test_an_unknown_model_gets_near_misses(three: Path) -> None:
    with pytest.raises(UsageError, match=r"No model 'mask-vae-celba'; did you mean 'mask-vae-celeba'"):
        cards.find("mask-vae-celba")
    with pytest.raises(UsageError, match=r"No model 'scgn'; did you mean .*'scgan'"):
        resolve("scgn")


def test_names_resolve_to_folders(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("mask-vae").folder == resolve("mask-vae-celeba").folder == three / "mask-vae-celeba"
    assert resolve("./run").folder == Path("run") and resolve("./run").name == "run"
    with pytest.raises(
        WeightsError, match=r"scgan-celeba has no weights here. It is not published yet: train or convert it"
    ):
        resolve("scgan")
    with pytest.raises(WeightsError, match="'face-parser' has no published model yet: train one"):
        resolve("face-parser")
    with pytest.raises(UsageError, match="empty"):
        resolve("")
    with pytest.raises(WeightsError, match=r"hf:a/b is not here. Get it with: zoo pull hf:a/b"):
        resolve("hf:a/b")
    monkeypatch.chdir(three)
    (three / "myrun").mkdir()
    with pytest.raises(UsageError, match=r"if you mean the folder, write \./myrun"):
        resolve("myrun")


def test_zoo_embedded_0_hides_the_weights(three: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = cards.find("mask-vae-celeba")
    assert card.embedded and card.size == 4 and not cards.find("scgan-celeba").embedded
    monkeypatch.setenv("ZOO_EMBEDDED", "0")
    assert not card.embedded
    with pytest.raises(WeightsError, match=r"no weights here \(ZOO_EMBEDDED=0 hides"):
        resolve("mask-vae-celeba")


def test_the_json_form_has_facts_text_and_state(three: Path) -> None:
    found = json.loads(json.dumps(cards.find("mask-vae-celeba").to_json()))
    assert (
        found["id"] == "mask-vae-celeba"
        and found["embedded"] is True
        and found["bytes"] == 4
        and found["text"] == "# Text\n"
    )
    assert found["zoo"]["parameters"] == 1234567


@pytest.mark.parametrize("text", ["---\n: [\n---\n", "---\n- a\n---\n"])
def test_a_head_that_is_no_mapping_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(WeightsError, match="HERE: the card's front matter is not"):
        parse_card(text, "HERE")


@pytest.mark.parametrize("files", ["files: null", "files: [model.safetensors]"])
def test_digests_that_are_no_mapping_are_refused(tmp_path: Path, files: str) -> None:
    (tmp_path / "README.md").write_text(f"---\nzoo:\n  {files}\n---\n")
    with pytest.raises(WeightsError, match=r"README.md: `files` of the card is"):
        card_digests(tmp_path)


def test_a_text_without_a_head_is_a_card_without_facts(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Notes\n")
    card = read_card(tmp_path)
    assert isinstance(card, Card) and card.facts == {} and card.body == "# Notes\n" and card_digests(tmp_path) == {}


def test_cards_are_not_executable_yaml(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not YAML"):
        parse_card("---\nzoo: !!python/object/apply:os.getcwd []\n---\n", "here")
    assert os.getcwd()
