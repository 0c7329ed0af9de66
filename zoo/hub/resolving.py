"""From what a user calls a model to a folder on disk. No request is made here: `zoo pull` does that."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zoo import cards
from zoo.errors import UsageError, WeightsError, did_you_mean
from zoo.files.configfile import CONFIG
from zoo.files.jsonfiles import read_json
from zoo.hub.cache import find_card, find_remote, hub_cache
from zoo.hub.references import PREFIX, Remote, is_path, parse_remote, remote_of
from zoo.registry import registry

State = Literal["embedded", "cached", "remote", "unpublished"]


@dataclass(frozen=True)
class Resolved:
    """Where a model lies. `name`: how reports call it (its id, or the folder's name); `source`: what the user wrote.

    `lasting`: what finds the same files later where `source` may not: an absolute folder, `hf:owner/repo@commit`.
    """

    name: str
    folder: Path
    source: str
    lasting: str = ""


def state(card: cards.Card) -> State:
    """Where a card's weights are, by stat alone."""
    if card.embedded:
        return "embedded"
    record = find_card(card)
    if record is not None and record.present():
        return "cached"
    return "remote" if remote_of(card) else "unpublished"


def location(card: cards.Card) -> Path | None:
    """The folder of a card's weights if they are here (embedded or pulled), by stat alone."""
    if card.embedded:
        return card.folder
    record = find_card(card)
    return record.folder if record is not None and record.present() else None


def resolve(reference: str) -> Resolved:
    """A model id, an architecture (then its default model), a folder (a model's, or a finished training run's), or a pulled
    `hf:owner/repo[@revision]`.

    Raises UsageError for an unknown name (near misses, and the folder spelling if one of that name exists), WeightsError
    for a model without weights here.
    """
    if not reference:
        raise UsageError("The name of a model is empty (see: zoo list).")
    if reference.startswith(PREFIX):
        return _pulled(parse_remote(reference), reference)
    if is_path(reference):
        return model_folder(reference)
    card = card_of(reference)
    folder = location(card)
    if folder is None:
        raise WeightsError(absent(card))
    return Resolved(card.model_id, folder, reference)


def model_folder(reference: str) -> Resolved:
    """A model folder, or a training run, which holds its model in `model/`."""
    path = Path(reference)
    name = Path(os.path.realpath(path)).name
    finished = path / "model" / "config.json"
    folder = finished.parent if finished.is_file() and not (path / "config.json").is_file() else path
    return Resolved(name, folder, reference, os.path.realpath(folder))


def _pulled(remote: Remote, source: str) -> Resolved:
    record = find_remote(remote)
    if record is None and (folder := library_snapshot(remote)) is not None:
        return Resolved(remote.name, folder, source, str(Remote(remote.repo, folder.name)))
    if record is None or not record.present():
        raise WeightsError(not_pulled(source))
    return Resolved(remote.name, record.folder, source, str(Remote(remote.repo, record.commit)))


def library_snapshot(remote: Remote) -> Path | None:
    """The folder of a model of the library transformers that its own tools fetched (`hf download OWNER/REPO`), from the client's cache
    alone; None where there is none, or where it is a model of the zoo, which `zoo pull` fetches and verifies."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(remote.repo, CONFIG, revision=remote.revision, cache_dir=str(hub_cache()))
    if not isinstance(found, str):
        return None
    values = read_json(Path(found), error=WeightsError, what="a model's config")
    return Path(found).parent if "model_type" in values and "architecture" not in values else None


def not_pulled(source: str) -> str:
    """Why `hf:owner/repo` has no weights here, and what to do about it."""
    repo = source.removeprefix(PREFIX).partition("@")[0]
    return f"{source} is not here. Get it with: zoo pull {source} (a model of transformers: hf download {repo})"


def card_of(name: str) -> cards.Card:
    """The card of a model id, or of an architecture's default model.

    Raises UsageError for an unknown name, WeightsError for an architecture without a published model.
    """
    known, reg = cards.all_cards(), registry()
    if name in known:
        return known[name]
    if name in reg.architectures:
        default = reg.architectures[name].default
        if default is None or default not in known:
            raise WeightsError(
                f"{name!r} has no published model yet: train one (zoo train {name} --data …) and give its folder."
            )
        return known[default]
    folder = f"; if you mean the folder, write ./{name}" if Path(name).is_dir() else ""
    near = did_you_mean(name, [*known, *reg.architectures])
    raise UsageError(f"No model {name!r}{near}{folder} (see: zoo list){reg.broken_hint()}")


def absent(card: cards.Card) -> str:
    """Why a card has no weights here, and what to do about it."""
    hidden = " (ZOO_EMBEDDED=0 hides the embedded weights)" if card.has_weights else ""
    remote = remote_of(card)
    if remote is not None:
        return (
            f"{card.model_id} is not here{hidden}. It is on the Hub ({remote}); get it with: zoo pull {card.model_id}"
        )
    return (
        f"{card.model_id} has no weights here{hidden}. It is not published yet: train or convert it"
        f" (zoo card {card.model_id} shows the recipe) and give the folder."
    )
