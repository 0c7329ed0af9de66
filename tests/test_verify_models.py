"""`zoo verify`: hash what is here again, without any request; both digests and the repair for what is damaged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fixtures_models import Ran
from hub_server import HubServer

import zoo
from zoo import cards
from zoo.errors import UsageError, WeightsError
from zoo.hub.pull import pull
from zoo.hub.verify import check_model
from zoo.store.models import digests

Run = Callable[..., Ran]
WEIGHTS = "model.safetensors"


def flip(path: Path) -> None:
    """Change one bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_all_that_is_here(run: Run, tiny_card: Path, tiny_model: Path, hub: HubServer) -> None:
    ran = run("verify")
    assert (ran.code, ran.out) == (0, "") and "No model is here" in ran.err
    shutil.copy(tiny_model / WEIGHTS, tiny_card)
    shutil.copy(tiny_model / "config.json", tiny_card)
    hub.add("me/other", tiny_model)
    pull("hf:me/other")
    hub.requests.clear()
    ran = run("verify", "--json")
    found = json.loads(ran.out)
    assert ran.code == 0 and [(c["name"], c["state"], c["ok"]) for c in found] == [
        ("tiny-celeba", "embedded", True),
        ("hf:me/other", "cached", True),
    ]
    assert hub.requests == []


def test_damaged_embedded_weights(run: Run, tiny_card: Path, tiny_model: Path) -> None:
    shutil.copy(tiny_model / WEIGHTS, tiny_card)
    shutil.copy(tiny_model / "config.json", tiny_card)
    flip(tiny_card / WEIGHTS)
    found, expected = (digests(folder)[WEIGHTS] for folder in (tiny_card, tiny_model))
    for command in (("verify", "tiny-celeba"), ("verify",)):
        ran = run(*command)
        assert ran.code == 1 and "damaged" in ran.out
        assert f"tiny-celeba: {tiny_card / WEIGHTS}: sha256 {found}, expected {expected}" in ran.err
        assert "repair: install maskzoo again, or: ZOO_EMBEDDED=0 zoo pull tiny-celeba" in ran.err
    ran = run("pull", "tiny-celeba")
    assert ran.code == 1 and ran.out == "" and "tiny-celeba is damaged" in ran.err


def test_a_damaged_pulled_model_is_refused_and_repaired(
    run: Run, tiny_card: Path, tiny_model: Path, hub: HubServer
) -> None:
    folder = pull("tiny-celeba").folder
    expected = digests(tiny_model)[WEIGHTS]
    flip(folder / WEIGHTS)
    found = digests(folder)[WEIGHTS]
    with pytest.raises(WeightsError, match=rf"sha256 {found}, expected {expected}.*zoo pull gets it again"):
        zoo.load("tiny-celeba")
    ran = run("verify", "tiny-celeba", "--json")
    told = json.loads(ran.out)[0]
    assert ran.code == 1 and told["damaged"] == [{"file": str(folder / WEIGHTS), "expected": expected, "found": found}]
    assert "repair: zoo pull tiny-celeba (it removes what is damaged and fetches it again)" in ran.err
    hub.requests.clear()
    assert pull("tiny-celeba").fetched and hub.count("GET", "resolve") == 1
    assert run("verify").code == 0 and zoo.load("tiny-celeba")


def test_a_pulled_model_without_one_of_its_files(run: Run, tiny_card: Path) -> None:
    folder = pull("tiny-celeba").folder
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match="get it with: zoo pull tiny-celeba"):
        zoo.load("tiny-celeba")
    ran = run("verify", "tiny-celeba")
    assert ran.code == 1 and f"{folder / 'config.json'} is missing" in ran.err
    assert pull("tiny-celeba").fetched and zoo.load("tiny-celeba")


def test_folders(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    ran = run("verify", folder)
    assert ran.code == 0 and ran.out.splitlines()[1].split()[:4] == ["model", "folder", "2", "ok"]
    flip(folder / "config.json")
    assert run("verify", folder).code == 1
    (folder / cards.README).unlink()
    with pytest.raises(WeightsError, match="has nothing to be verified against: no card"):
        check_model(str(folder))
    with pytest.raises(WeightsError, match="There is no model folder"):
        check_model(str(tmp_path / "nosuch"))


def test_what_is_not_here(tiny_card: Path, hub: HubServer) -> None:
    with pytest.raises(WeightsError, match="tiny-celeba is not here"):
        check_model("tiny-celeba")
    with pytest.raises(WeightsError, match="hf:me/tiny-celeba is not here. Get it with: zoo pull"):  # noqa: RUF043
        check_model("hf:me/tiny-celeba")
    with pytest.raises(UsageError, match="No model 'tiny-celba'; did you mean 'tiny-celeba'"):
        check_model("tiny-celba")
    assert hub.requests == []
