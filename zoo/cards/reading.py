"""Model cards: YAML front matter and Markdown, one folder per model id. Reading them needs neither torch nor a network."""

from __future__ import annotations

import fnmatch
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from zoo.cards.capabilities import capabilities
from zoo.cards.head import check_file_names, parse_card, read_text
from zoo.cards.licenses import permits_commercial_use
from zoo.errors import PluginError, UsageError, WeightsError, did_you_mean
from zoo.files.images import write_text
from zoo.files.names import is_name, is_repository, is_revision, one_line
from zoo.files.ordinary import ordinary_file, trust_installed
from zoo.files.private import public_text, public_value
from zoo.registry import FIRST_PARTY, import_string, registry, told

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
    "limits",
    "bytes",
    "files",
)
LICENSES = ("code", "weights", "data")


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
        return os.environ.get("ZOO_EMBEDDED", "1") != "0" and self.has_weights

    @property
    def has_weights(self) -> bool:
        """True if weights lie beside the card: one file of ours, or another library's layout in `wrapped/`."""
        return (self.folder / "model.safetensors").is_file() or (self.folder / "wrapped").is_dir()

    @property
    def files(self) -> dict[str, str]:
        """Names of the model's files with their sha256."""
        return {str(name): str(digest) for name, digest in self.facts.get("files", {}).items()}

    @property
    def size(self) -> int:
        """Bytes of the model's files: of those beside the card, else what the card says."""
        stated = self.facts.get("bytes")
        return listed_bytes(self.folder, self.files) or (
            stated if isinstance(stated, int) and 0 < stated < 2**63 else 0
        )

    @property
    def limits(self) -> list[str]:
        """What the model is bad at."""
        stated = self.facts.get("limits")
        return [str(line) for line in stated] if isinstance(stated, list) else []

    def score(self, name: str) -> float | None:
        """A measured figure of the card's head; None where it states none that is a finite number."""
        stated = self.facts.get("scores")
        value = stated.get(name) if isinstance(stated, Mapping) else None
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            return None
        return float(value)

    @property
    def licenses(self) -> dict[str, str | None]:
        """The three licences; None where the card does not state one (a complete card at least says `unknown`)."""
        stated = {name: self.facts.get(f"{name}_license") for name in LICENSES}
        return {name: None if text in (None, "") else str(text) for name, text in stated.items()}

    def not_commercial(self) -> list[str]:
        """What stands in the way of commercial use: `weights (non-commercial research only)`; empty if nothing does.

        Code, weights and data must each be under a licence that `permits_commercial_use` knows, and so must the data that
        an asset was fitted to afterwards.
        """
        stated = [(name, text or "not stated") for name, text in self.licenses.items()]
        fitted = self.facts.get("fitted")
        for asset, made in fitted.items() if isinstance(fitted, Mapping) else ():
            text = made.get("data_license") if isinstance(made, Mapping) else None
            stated.append((f"data of {asset}", str(text or "not stated")))
        return [f"{name} ({text})" for name, text in stated if not permits_commercial_use(text)]

    def to_json(self) -> dict[str, Any]:
        """All of it, for `--json`; a figure that is no number is null. The front matter cannot replace what the zoo found."""
        own = {
            "id": self.model_id,
            "embedded": self.embedded,
            "bytes": self.size,
            "plugin": self.owner,
            "commercial": not self.not_commercial(),
            "can": capabilities(self.facts, self.folder),
        }
        return _plain({**own, **self.front, **own, "text": self.body})


def _plain(value: Any) -> Any:
    """What JSON can hold: NaN and infinities become null, keys text."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def listed_bytes(folder: Path, names: Iterable[str]) -> int:
    """Bytes of those of the named files that lie in a folder."""
    return sum((folder / name).stat().st_size for name in names if (folder / name).is_file())


def read_card(folder: Path, *, owner: str = "") -> Card | None:
    """The card of a model folder, or None if it has none. Raises WeightsError for one that is not well formed, or names files
    outside its folder."""
    path = ordinary_file(folder, README)
    if path is None:
        return None
    try:
        text = read_text(path)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
    front, body = parse_card(text, str(path))
    facts = front.get("zoo")
    if isinstance(facts, dict):
        check_file_names(facts.get("files", {}), str(path))
    return Card(folder.name, folder, facts if isinstance(facts, dict) else {}, front, body, owner)


def write_card(folder: Path, front: Mapping[str, Any], body: str) -> None:
    """Write `README.md` (atomically): the front matter as `huggingface_hub.ModelCardData` writes it, then the text.

    A card travels: places of this machine are shortened to their last name, whoever wrote them (`zoo.files.private`).
    """
    from huggingface_hub import ModelCardData

    head = ModelCardData(**public_value(front)).to_yaml()
    write_text(folder / README, f"---\n{head}\n---\n\n{public_text(body.strip())}\n")


def card_digests(folder: Path) -> dict[str, str]:
    """The digests that the card of a folder lists; empty without a card."""
    card = read_card(folder)
    return card.files if card else {}


def missing_facts(card: Card) -> list[str]:
    """Fields that a complete card has and this one lacks."""
    return [name for name in REQUIRED if card.facts.get(name) in (None, "", [], {})]


@cache
def all_cards() -> dict[str, Card]:
    """Every card of the core and of the plugins, by model id. The core's win; an id that two third parties claim is used
    as `distribution:id`. A plugin's damaged card is its own loss (`zoo plugins` says so)."""
    claims: dict[str, dict[Path, tuple[str, Card]]] = {}
    core, faults = read_cards(CORE_CARDS, FIRST_PARTY)
    if faults:
        raise WeightsError(faults[0])
    for card in core:
        claims[card.model_id] = {card.folder: (FIRST_PARTY, card)}
    reg = registry()
    for record in reg.plugins:
        if record.plugin and record.plugin.cards:
            for card in read_cards(record.plugin.cards, record.label)[0]:
                claims.setdefault(card.model_id, {}).setdefault(card.folder, (record.distribution, card))
    cards: dict[str, Card] = {}
    for model_id, by_folder in claims.items():
        rivals = list(by_folder.values())
        # an architecture's name means its default model: a plugin's card takes none of ours
        taken = model_id in reg.architectures and reg.owner(model_id).distribution == FIRST_PARTY
        if rivals[0][0] == FIRST_PARTY or (len(rivals) == 1 and not taken):
            cards[model_id] = rivals.pop(0)[1]
        for distribution, card in rivals:
            qualified = f"{distribution}:{model_id}"
            cards[qualified] = replace(card, model_id=qualified)
    return cards


def read_cards(package: str, owner: str) -> tuple[list[Card], list[str]]:
    """The cards in a package, and what is wrong with those that cannot be read."""
    cards, faults = [], []
    try:
        folders = _card_folders(package)
    except PluginError as error:
        return [], [str(error)]
    for folder in folders:
        trust_installed(folder)
        try:
            card = read_card(folder, owner=owner)
            if card is not None:
                _check_names(card)
                cards.append(card)
        except Exception as error:  # whatever a plugin's card holds, the others are read
            faults.append(f"The card of {one_line(folder.name, 80)} cannot be read: {told(error)}")
    return cards, faults


def _check_names(card: Card) -> None:
    """Raise WeightsError for a card whose names would not do in lists, commands and requests."""
    hub, revision = (str(card.facts.get(name) or "") for name in ("hub", "revision"))
    if not is_name(card.model_id):
        raise WeightsError("its folder's name is no model id: expected letters, digits, dots, dashes and underscores.")
    if hub and not is_repository(hub):
        raise WeightsError(f"`hub: {hub}` names no repository: expected OWNER/REPO.")
    if revision and not is_revision(revision):
        raise WeightsError(f"`revision: {revision}` is no branch, tag or commit id.")


def _card_folders(package: str) -> list[Path]:
    """The folders with a card in a package. Raises PluginError if it is not there or cannot be read."""
    try:
        places = list(import_string(package, "its cards").__path__)
        root = Path(places[0] if places else package)
        return sorted(p for p in root.iterdir() if (p / README).is_file()) if root.is_dir() else []
    except (AttributeError, TypeError, OSError) as error:
        raise PluginError(f"its cards {package!r} are no package with a folder for each model ({error})") from error


def search(pattern: str = "*", *, kind: str | None = None) -> list[Card]:
    """Cards whose id or architecture matches a glob, in order of their ids."""
    cards = [
        c
        for c in all_cards().values()
        if fnmatch.fnmatch(c.model_id, pattern) or c.facts.get("architecture") == pattern
    ]
    return sorted((c for c in cards if kind is None or c.facts.get("kind") == kind), key=lambda c: c.model_id)


def find(model_id: str) -> Card:
    """The card of a model id. Raises UsageError with near misses."""
    cards = all_cards()
    if model_id not in cards:
        raise UsageError(
            f"No model {model_id!r}{did_you_mean(model_id, cards)} (see: zoo list){registry().broken_hint()}"
        )
    return cards[model_id]
