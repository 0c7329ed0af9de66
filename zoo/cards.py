"""Model cards: YAML front matter and Markdown, one folder per model id. Reading them needs neither torch nor a network."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

from zoo.errors import UsageError, WeightsError, did_you_mean
from zoo.images import write_text
from zoo.registry import registry

README = "README.md"
CORE_CARDS = "zoo_cards"
REQUIRED = (
    "architecture",
    "kind",
    "label_space",
    "resolution",
    "parameters",
    "data",
    "data_license",
    "code_license",
    "weights_license",
    "paper",
    "recipe",
    "files",
)

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML without libyaml
    from yaml import SafeLoader as _Loader


@dataclass(frozen=True)
class Card:
    """A card: the model id, its folder, the `zoo:` part of the front matter, the whole front matter and the text."""

    model_id: str
    folder: Path
    facts: Mapping[str, Any]
    front: Mapping[str, Any]
    body: str
    owner: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def embedded(self) -> bool:
        """True if the weights lie beside the card and `ZOO_EMBEDDED=0` does not hide them."""
        return os.environ.get("ZOO_EMBEDDED", "1") != "0" and (self.folder / "model.safetensors").is_file()

    @property
    def size(self) -> int:
        """Bytes of the model's files that lie beside the card."""
        return sum(
            (self.folder / name).stat().st_size
            for name in self.facts.get("files", {})
            if (self.folder / name).is_file()
        )

    def to_json(self) -> dict[str, Any]:
        """All of it, for `--json`."""
        return {
            "id": self.model_id,
            "embedded": self.embedded,
            "bytes": self.size,
            "plugin": self.owner,
            **self.front,
            "text": self.body,
        }


def parse_card(text: str, where: str) -> tuple[dict[str, Any], str]:
    """Front matter and body of a card. Raises WeightsError if the front matter is no YAML mapping."""
    if not text.startswith("---\n"):
        return {}, text
    head, _, body = text[4:].partition("\n---\n")
    try:
        front = yaml.load(head, Loader=_Loader)
    except yaml.YAMLError as error:
        raise WeightsError(f"{where}: the card's front matter is not YAML: {error}") from error
    if not isinstance(front, dict):
        raise WeightsError(f"{where}: the card's front matter is not a mapping.")
    return front, body.lstrip("\n")


def read_card(folder: Path, *, owner: str = "") -> Card | None:
    """The card of a model folder, or None if it has none."""
    path = folder / README
    if not path.is_file():
        return None
    front, body = parse_card(path.read_text("utf-8"), str(path))
    facts = front.get("zoo")
    if isinstance(facts, dict) and not isinstance(facts.get("files", {}), dict):
        raise WeightsError(f"{path}: `files` of the card is {facts['files']!r}, expected file names with their sha256.")
    return Card(folder.name, folder, facts if isinstance(facts, dict) else {}, front, body, owner)


def write_card(folder: Path, front: Mapping[str, Any], body: str) -> None:
    """Write `README.md` (atomically)."""
    head = yaml.safe_dump(dict(front), sort_keys=False, allow_unicode=True, width=120)
    write_text(folder / README, f"---\n{head}---\n\n{body.strip()}\n")


def card_digests(folder: Path) -> dict[str, str]:
    """The digests that the card of a folder lists; empty without a card."""
    card = read_card(folder)
    files = card.facts.get("files", {}) if card else {}
    return {str(name): str(digest) for name, digest in files.items()}


def missing_facts(card: Card) -> list[str]:
    """Fields that a complete card has and this one lacks."""
    return [name for name in REQUIRED if card.facts.get(name) in (None, "")]


@cache
def all_cards() -> dict[str, Card]:
    """Every card of the core and of the plugins, by model id; the core's win."""
    packages = [(CORE_CARDS, "maskzoo")] + [
        (r.plugin.cards, r.label) for r in registry().plugins if r.plugin and r.plugin.cards
    ]
    cards: dict[str, Card] = {}
    for package, owner in packages:
        for folder in _card_folders(package):
            try:
                card = read_card(folder, owner=owner)
            except (WeightsError, OSError, UnicodeDecodeError):
                if package == CORE_CARDS:
                    raise
                continue  # a plugin's damaged card is its own loss
            if card is not None:
                cards.setdefault(card.model_id, card)
    return cards


def _card_folders(package: str) -> list[Path]:
    try:
        root = Path(import_module(package).__path__[0])
    except Exception:
        return []  # a plugin that names a package it does not ship loses its cards, nothing else
    return sorted(p for p in root.iterdir() if (p / README).is_file()) if root.is_dir() else []


def search(pattern: str = "*", *, kind: str | None = None) -> list[Card]:
    """Cards whose id or architecture matches a glob, in order of their ids."""
    found = [
        c
        for c in all_cards().values()
        if fnmatch.fnmatch(c.model_id, pattern) or c.facts.get("architecture") == pattern
    ]
    return sorted((c for c in found if kind is None or c.facts.get("kind") == kind), key=lambda c: c.model_id)


def find(model_id: str) -> Card:
    """The card of a model id. Raises UsageError with near misses."""
    cards = all_cards()
    if model_id not in cards:
        raise UsageError(
            f"No model {model_id!r}{did_you_mean(model_id, cards)} (see: zoo list){registry().broken_hint()}"
        )
    return cards[model_id]
