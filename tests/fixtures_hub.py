"""One Hub on the loopback for all tests, emptied before each, and this process set up to talk to nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer
from tiny_folder import tiny_folder

from zoo import cards
from zoo.cards import reading


@pytest.fixture(scope="session")
def hub_server() -> Iterator[HubServer]:
    """The server of the session."""
    with HubServer() as server:
        yield server


@pytest.fixture
def hub(hub_server: HubServer) -> HubServer:
    """An empty Hub without faults."""
    hub_server.reset()
    return hub_server


@pytest.fixture
def hub_home(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """HF_HOME of an empty cache; this process and its children use it and the Hub of the test (no token, not offline)."""
    wanted = hub.environment(tmp_path / "home")
    for name in set(os.environ) - set(wanted):
        monkeypatch.delenv(name)
    for name, value in wanted.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "home"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny face parser with its card."""
    return tiny_folder(tmp_path_factory.mktemp("models") / "tiny-celeba")


@pytest.fixture
def tiny_card(
    tiny_model: Path, hub_home: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The zoo has one card, `tiny-celeba`, without weights; they are on the Hub under the namespace `me`. Gives the card's folder."""
    folder = tmp_path / "cards" / "tiny-celeba"
    folder.mkdir(parents=True)
    (folder / cards.README).write_bytes((tiny_model / cards.README).read_bytes())
    hub.add("me/tiny-celeba", tiny_model)
    monkeypatch.setenv("ZOO_HUB_NAMESPACE", "me")
    monkeypatch.setattr(reading, "_card_folders", lambda package: [folder] if package == cards.CORE_CARDS else [])
    cards.all_cards.cache_clear()
    yield folder
    cards.all_cards.cache_clear()
