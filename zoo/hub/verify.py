"""Hash what is here against what vouches for it. No network, no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import cards
from zoo.errors import WeightsError, shown
from zoo.files.digests import sha256
from zoo.files.headers import SUFFIX, check_finite, read_header
from zoo.files.names import is_repository
from zoo.files.ordinary import ordinary_file
from zoo.hub.cache import Record, all_records, find_card, find_remote, pinned
from zoo.hub.references import PREFIX, is_path, parse_remote
from zoo.hub.resolving import absent, card_of, model_folder, not_pulled
from zoo.store.vouching import card_files, model_files, unlisted


@dataclass(frozen=True)
class Damage:
    """A file that is not what it should be; `actual` is None for a missing file. reason: what is wrong with one whose digest is right."""

    path: Path
    expected: str
    actual: str | None
    reason: str = ""

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        if self.actual is None:
            return f"{self.path} is missing: sha256 {self.expected} was expected"
        return f"{self.path}: sha256 {self.actual}, expected {self.expected}"


@dataclass(frozen=True)
class Checked:
    """A model whose files were hashed. `kind`: embedded, cached or folder; `pins`: the digests that they must have;
    `repair`: what to do if one is damaged."""

    name: str
    kind: str
    folder: Path
    pins: Mapping[str, str]
    damaged: tuple[Damage, ...]
    repair: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        damaged = [
            {"file": str(d.path), "expected": d.expected, "found": d.actual}
            | ({"reason": d.reason} if d.reason else {})
            for d in self.damaged
        ]
        head = {"name": self.name, "state": self.kind, "folder": str(self.folder), "files": len(self.pins)}
        return {**head, "ok": not damaged, "damaged": damaged, "repair": self.repair if damaged else None}


def damages(folder: Path, pins: Mapping[str, str]) -> tuple[Damage, ...]:
    """The files of a folder that are missing, have other digests, are not listed, or hold weights that are none (a header that does not
    fit, numbers that are not finite). Raises WeightsError for an unreadable file."""
    damaged = []
    for name, digest in pins.items():
        path = folder / name
        try:
            file = ordinary_file(folder, name)
            actual = sha256(file) if file is not None else None
        except OSError as error:
            raise WeightsError(f"Cannot read {path}: {error.strerror or error}.") from error
        if actual != digest:
            damaged.append(Damage(path, shown(digest, 80), actual))
        elif path.suffix == SUFFIX and (reason := _fault(path)):
            damaged.append(Damage(path, digest, actual, reason))
    present = {p.relative_to(folder).as_posix(): p for p in model_files(folder)}
    damaged += [Damage(present[n], "", "", f"{present[n]} is not listed") for n in unlisted(sorted(present), pins)]
    return tuple(damaged)


def _fault(path: Path) -> str:
    """What is wrong with a file of weights, or ""."""
    try:
        check_finite(path, read_header(path))
    except WeightsError as error:
        return str(error).rstrip(".")
    return ""


def check_embedded(card: cards.Card) -> Checked:
    """The weights beside a card."""
    repair = f"install maskzoo again, or: ZOO_EMBEDDED=0 zoo pull {card.model_id}"
    return Checked(card.model_id, "embedded", card.folder, card.files, damages(card.folder, card.files), repair)


def check_record(record: Record, pins: Mapping[str, str] | None = None) -> Checked:
    """A pulled snapshot, against its record and a card's digests."""
    expected = {**record.digests, **(pins or {})}
    repair = f"zoo pull {record.model} (it removes what is damaged and fetches it again)"
    return Checked(record.model, "cached", record.folder, expected, damages(record.folder, expected), repair)


def check_folder(reference: str) -> Checked:
    """A folder, against the digests of its card. Raises WeightsError without any."""
    model = model_folder(reference)
    if not model.folder.is_dir():
        on_hub = f" (a repository of the Hub is written hf:{reference})" if is_repository(reference) else ""
        raise WeightsError(f"There is no model folder {model.folder}{on_hub}.")
    expected = pinned(model.folder) or card_files(model.folder)
    if not expected:
        raise WeightsError(
            f"{model.folder} has nothing to be verified against: no card (README.md) there lists sha256 digests."
        )
    damaged = damages(model.folder, expected)
    return Checked(model.name, "folder", model.folder, expected, damaged, "get the folder again")


def check_model(reference: str) -> Checked:
    """A model id, an architecture's default, a pulled `hf:owner/repo[@revision]`, or a folder. Raises as `resolve` does."""
    if is_path(reference):
        return check_folder(reference)
    if reference.startswith(PREFIX):
        record = find_remote(parse_remote(reference))
        if record is None:
            raise WeightsError(not_pulled(reference))
        return check_record(record)
    card = card_of(reference)
    if card.embedded:
        return check_embedded(card)
    record = find_card(card)
    if record is None:
        raise WeightsError(absent(card))
    return check_record(record, card.files)


def check_all() -> Iterator[Checked]:
    """Every model that is here: embedded weights, then what was pulled."""
    for card in cards.all_cards().values():
        if card.embedded:
            yield check_embedded(card)
    for record in all_records():
        yield check_record(record)
