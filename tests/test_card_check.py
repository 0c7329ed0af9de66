"""`check_card`: a model folder whose card is incomplete or untrue is named with every fault, before anything is published."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_folder import complete_folder

from zoo.cards import read_card, write_card
from zoo.errors import WeightsError
from zoo.hub.checking import check_card

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return complete_folder(tmp_path_factory.mktemp("check") / "model")


@pytest.fixture
def folder(complete: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(complete, tmp_path / "model"))


def restate(folder: Path, **facts: Any) -> None:
    """Change facts of the card; None takes one away."""
    card = read_card(folder)
    assert card is not None
    stated = {k: v for k, v in {**card.facts, **facts}.items() if v is not None}
    write_card(folder, {**card.front, "zoo": stated}, card.body)


def test_a_complete_folder_passes(folder: Path) -> None:
    card = check_card(folder)
    assert card.facts["architecture"] == "face-parser" and set(card.files) == {"config.json", "model.safetensors"}


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"paper": None, "limits": None}, "the card lacks paper, limits"),
        ({"weights_license": None}, "the card lacks weights_license"),
        ({"limits": []}, "the card lacks limits"),
        ({"code_license": "Apache2"}, "code_license 'Apache2' is no SPDX id; did you mean 'Apache-2.0'"),
        ({"parameters": 5}, "the card says parameters 5, the model has 30989"),
        ({"resolution": [64, 64]}, "the card says resolution [64, 64], the model has [32, 32]"),
        ({"label_space": "atr"}, "the card says label_space 'atr', the model has 'celebamask-hq'"),
        ({"architecture": "scgan"}, "the card says architecture 'scgan', the model has 'face-parser'"),
        ({"kind": "mask-generator"}, "the card says kind 'mask-generator', the model has 'mask-parser'"),
        ({"variant": "celeba"}, "the card says variant 'celeba', the model has None"),
        ({"bytes": 9}, "the card says 9 bytes, the files have"),
        (
            {"files": {"model.safetensors": "0" * 64}},
            "the card does not list config.json; model.safetensors does not match",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_card_that_lacks_or_misstates_something(folder: Path, facts: dict[str, Any], told: str) -> None:
    restate(folder, **facts)
    with pytest.raises(WeightsError) as refused:
        check_card(folder)
    assert told in str(refused.value) and str(folder) in str(refused.value)


def test_unknown_licences_are_allowed(folder: Path) -> None:
    restate(folder, weights_license="unknown", data_license="unknown")
    assert check_card(folder).licenses["data"] == "unknown"


def flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def add(folder: Path) -> None:
    shutil.copyfile(folder / "model.safetensors", folder / "discriminator.safetensors")


def other_config(folder: Path) -> None:
    """A config of another width, with its digest in the card: only the strict load sees it."""
    path = folder / "config.json"
    values = json.loads(path.read_text())
    values["config"]["feature_scale"] = 16
    path.write_text(json.dumps(values))
    from zoo.store.models import vouched

    restate(folder, **vouched(folder))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (flip, "model.safetensors does not match the card: sha256"),
        (add, "the card does not list discriminator.safetensors"),
        (lambda f: (f / "model.safetensors").unlink(), "the card lists model.safetensors, which is missing"),
        (lambda f: (f / "config.json").write_text("{"), "is not readable JSON"),
        (lambda f: (f / "README.md").unlink(), "has no card (README.md). A card says"),
        (lambda f: (f / "README.md").write_text("# Notes\n"), "the card lacks architecture, kind"),
        (other_config, "the model does not load:"),
        (lambda f: (f / "config.json").rename(f / "weights.pt"), "pickles (weights.pt), which are neither loaded nor uploaded"),
        (lambda f: (f / "config.json").unlink(), "is not a model folder: it has no config.json"),
    ],
    ids=["flip", "extra", "missing", "config", "no card", "no facts", "strict", "pickles", "no config"],
)  # fmt: skip
def test_a_folder_that_is_not_what_it_says(folder: Path, spoil: Callable[[Path], object], told: str) -> None:
    spoil(folder)
    with pytest.raises(Exception, match=r".") as refused:
        check_card(folder)
    assert told in str(refused.value) and type(refused.value).__name__ in ("WeightsError", "ConfigError")
