"""The card that a training run writes: complete, true, and under the licences of all that went into the weights."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from test_training_cli import TRAIN, zoo
from tiny_folder import complete_folder, tiny_folder

from zoo.cards import parse_card
from zoo.hub.checking import check_card
from zoo.training.card import _with_origin

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_card_of_a_run_can_be_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [*TRAIN, "--set", "steps=1", "--out", str(tmp_path / "run")]
    monkeypatch.setattr(sys, "argv", ["zoo", *command])
    assert zoo(*command) == 0
    card = check_card(tmp_path / "run/model")
    text = (card.folder / "README.md").read_text("utf-8")
    assert ModelCard(text).data.to_dict() == card.front == parse_card(text, "here")[0]
    assert card.limits[0].startswith("Trained on 16 drawn faces of toy-faces") and all(
        line in card.body for line in card.limits
    )
    assert (
        card.not_commercial() == []
        and card.front["license"] == "apache-2.0"
        and card.front["datasets"] == ["toy-faces"]
    )
    result = card.front["model-index"][0]["results"][0]
    assert result["dataset"] == {"name": "toy faces, held-out part", "type": "toy-faces", "split": "validation"}
    assert {m["type"]: m["value"] for m in result["metrics"]} == card.facts["scores"]


def test_weights_that_started_from_others_stay_under_their_licence_too(tmp_path: Path) -> None:
    assert _with_origin("Apache-2.0", "weights_license", None) == "Apache-2.0"
    same, bare = complete_folder(tmp_path / "same"), tiny_folder(tmp_path / "bare")
    assert _with_origin("Apache-2.0", "weights_license", str(same)) == "Apache-2.0"
    assert _with_origin("Apache-2.0", "weights_license", str(bare)) == "Apache-2.0; started from bare: unknown"
    assert _with_origin("MIT", "data_license", str(tmp_path / "gone")).endswith("gone: unknown")
    assert "non-commercial research only" in _with_origin("MIT", "weights_license", "scgan-celeba")
