"""Which models the editor offers, and what can be said of them before one is loaded. No torch in here.

The page names a model by its id, which is looked up in this list and nowhere else: no text of the page becomes a path.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from zoo import cards, configs, hub
from zoo.composition.roles import serving
from zoo.errors import LabelError, UsageError, ZooError, plain
from zoo.files.configfile import config_values
from zoo.hub.resolving import absent
from zoo.labels import LabelSpace, parse_space
from zoo.registry import registry
from zoo.registry.capabilities import may, narrowed
from zoo.registry.kinds import of_role
from zoo.store.vouching import digests

ROLES = {"generators": "generator", "synthesizers": "synthesizer", "parsers": "parser"}
"""Lists of the facts and the places in a composition that their models take."""
LARGE = 512
"""Pixels of a side from which on a model is called slow."""
MANY = 60_000_000
"""Parameters from which on a model is called slow."""
ASSETS = {"prior", "latent_prior"}
"""Fitted priors, by the names of their assets."""


@dataclass(frozen=True)
class Offer:
    """A model that the page may name. folder: where it lies, None for one that is not here (`reason` says why)."""

    id: str
    architecture: str
    kind: str
    space: LabelSpace
    resolution: tuple[int, int]
    channels: tuple[str, ...]
    can: frozenset[str]
    folder: Path | None
    reason: str | None = None
    title: str = ""
    parameters: int = 0
    bytes: int = 0
    first: bool = False
    files: dict[str, str] = field(default_factory=dict)

    @property
    def role(self) -> str:
        """Its place in a composition."""
        return next(role for role in ROLES.values() if self.kind in of_role(role))  # type: ignore[arg-type]

    @cached_property
    def digest(self) -> str:
        """sha256 of the list of its files with their sha256: what tells two models of one name apart; "" for one that is not here."""
        if self.folder is None:
            return ""
        files = self.files or digests(self.folder)
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    @property
    def slow(self) -> bool:
        """Whether a picture takes so long that nobody should wait for it after each stroke."""
        return "steps" in self.can or max(self.resolution) >= LARGE or self.parameters >= MANY

    @property
    def options(self) -> type | None:
        """The class of its sampling options, None where it has none. Raises PluginError for a class that cannot be imported."""
        reg = registry()
        arch = reg.architecture(self.architecture)
        return reg.load(arch, "options") if arch.options and "options" in self.can else None

    def priors(self) -> list[str]:
        """What `prior` of a generator may be."""
        names = {p.stem for p in (self.folder / "assets").glob("*")} if self.folder is not None else set()
        return ["fitted", "normal"] if names & ASSETS else ["normal"]


class Offers:
    """The models of one server, in the order of the lists."""

    def __init__(self, offers: Sequence[Offer]) -> None:
        self.models = {offer.id: offer for offer in offers}
        self.spaces = {offer.space.name: offer.space for offer in offers}

    def of(self, role: str) -> list[Offer]:
        """Those of a place in a composition."""
        return [offer for offer in self.models.values() if offer.role == role]

    def find(self, name: Any, role: str) -> Offer:
        """The model that the page names. Raises UsageError for one that is not offered, is not here, or is of another kind."""
        found = self.models.get(name) if isinstance(name, str) else None
        if found is None or found.role != role:
            known = ", ".join(o.id for o in self.of(role)) or "none"
            raise UsageError(f"No {role} {str(name)[:80]!r} is offered here (there are: {known}).")
        if found.folder is None:
            raise UsageError(found.reason or f"{found.id} is not here.")
        return found

    def space(self, name: Any) -> LabelSpace:
        """A label space of the offered models. Raises LabelError."""
        if not isinstance(name, str) or name not in self.spaces:
            raise LabelError(
                f"No model here works with the label space {str(name)[:80]!r} (there are: {', '.join(self.spaces)})."
            )
        return self.spaces[name]


def gather(references: Sequence[str] = ()) -> Offers:
    """The models that are named (ids, architectures, folders, `hf:…`), else all that have a card. Raises UsageError and what
    resolving a name raises; of all cards those that cannot be used stand in the list with their reason."""
    if references:
        offers = [offer_of(reference) for reference in references]
    else:
        offers = [offer for card in cards.search("*") if (offer := _of_card(card)) is not None]
    usable = [o for o in offers if o.folder is not None]
    if not any(o.role in ("generator", "synthesizer") for o in usable):
        raise UsageError(
            "The editor has nothing to offer: no mask generator and no synthesizer is here (see: zoo list)."
        )
    return Offers(sorted(offers, key=lambda o: (o.folder is None, not o.first, o.id)))


def _roles() -> tuple[str, ...]:
    return of_role("generator", "synthesizer", "parser")


def offer_of(reference: str) -> Offer:
    """One model that a user names. Raises UsageError for one that the editor cannot use, and what resolving a name raises."""
    resolved = hub.resolve(reference)
    offer = _of_folder(resolved.name, resolved.folder)
    if offer is None:
        raise UsageError(
            f"{reference} is no mask generator, synthesizer or parser: the editor cannot use it (see: zoo list)."
        )
    return offer


def _of_card(card: cards.Card) -> Offer | None:
    """None for a kind that the editor has no place for, and for a card that says too little."""
    if card.facts.get("kind") not in _roles():
        return None
    folder = hub.location(card)
    if folder is not None:
        try:
            return _of_folder(card.model_id, folder, card)
        except ZooError as error:
            return _not_here(card, plain(str(error)))
    return _not_here(card, plain(absent(card)))


def _not_here(card: cards.Card, reason: str) -> Offer | None:
    reg, facts = registry(), card.facts
    try:
        arch, space = reg.architecture(str(facts.get("architecture"))), reg.label_space(str(facts.get("label_space")))
    except ZooError:
        return None
    side = facts.get("resolution")
    height, width = side if isinstance(side, list) and len(side) == 2 else (0, 0)
    return Offer(
        card.model_id,
        arch.name,
        str(facts["kind"]),
        space,
        (height, width),
        space.names,
        may(arch.can),
        None,
        reason,
        arch.title,
    )


def _of_folder(name: str, folder: Path, card: cards.Card | None = None) -> Offer | None:
    """Raises what a damaged config raises."""
    values, reg = config_values(folder), registry()
    arch = serving(reg.architecture(str(values.get("architecture"))), _roles())
    if arch.kind not in _roles():
        return None
    stated = values.get("label_space")
    space = reg.label_space(stated) if isinstance(stated, str) else parse_space(stated, str(folder))
    config = configs.from_dict(reg.load(arch, "config"), values["config"], network=True)
    card = card or cards.read_card(folder)
    facts = card.facts if card is not None else {}
    parameters = facts.get("parameters")
    height, width = values["resolution"]
    return Offer(
        name,
        arch.name,
        arch.kind,
        space,
        (int(height), int(width)),
        tuple(values["channels"]),
        narrowed(may(arch.can), config),
        folder,
        title=arch.title,
        parameters=parameters if isinstance(parameters, int) else 0,
        bytes=sum(p.stat().st_size for p in folder.glob("*.safetensors")),
        first=arch.default == name,
        files=dict(card.files) if card is not None else {},
    )


def join_fault(source: LabelSpace, target: LabelSpace) -> str | None:
    """Why maps of one space are nothing for a model of another, in a sentence; None where they are joined.

    Stricter than a composition, which takes any class in common: of what is asked of a map half must have a name there, for a body's
    map with its hair alone makes no face.
    """
    if source.names == target.names:
        return None
    try:
        mapping = source.mapping_to(target)
    except ZooError as error:
        return plain(str(error))
    met = {b for a, b in mapping.pairs if a != source.background and b != target.background}
    asked = [n for n in target.names if n != target.background]
    if 2 * len(met) < min(len(asked), len(source.names)):
        return (
            f"Of the {len(asked)} classes of {target.name} only {', '.join(sorted(met))} exist in {source.name}:"
            " such a map would leave out most of the picture."
        )
    return None
