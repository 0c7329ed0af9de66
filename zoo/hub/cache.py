"""What lies in the cache of `huggingface_hub`, and the records of what was verified there. Reads and stats only.

The client stores whatever a server sends under the good digest's name, so a file in its cache proves nothing. A pull hashes
every file and then writes a record `models--OWNER--REPO/zoo/REVISION.json`; only a snapshot with a record is used. The record
lies inside the repository's folder: it is deleted and copied to other machines with it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from zoo.cards import Card
from zoo.errors import ZooError
from zoo.files.images import write_text
from zoo.files.jsonfiles import field, read_json
from zoo.files.names import is_inside
from zoo.hub.references import Remote, remote_of

RECORDS = "zoo"
_NAMES = ("repo", "revision", "commit", "model")


def hub_cache() -> Path:
    """The cache folder of `huggingface_hub`, by its own rules (HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME)."""
    shared = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{shared}/huggingface"
    text = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(text)).expanduser()


def storage(repo: str) -> Path:
    """The folder of a repository in the cache."""
    return hub_cache() / ("models--" + repo.replace("/", "--"))


@dataclass(frozen=True)
class Record:
    """A verified snapshot. `files`: name to (sha256, size in bytes); `model`: what `zoo pull` gets it again by."""

    repo: str
    revision: str
    commit: str
    model: str
    files: Mapping[str, tuple[str, int]]
    storage: Path

    @property
    def folder(self) -> Path:
        """The snapshot: a model folder."""
        return self.storage / "snapshots" / self.commit

    @property
    def path(self) -> Path:
        """The record's own file."""
        return self.storage / RECORDS / f"{quote(self.revision, safe='')}.json"

    @property
    def digests(self) -> dict[str, str]:
        """Name to sha256."""
        return {name: digest for name, (digest, _) in self.files.items()}

    def present(self) -> bool:
        """All files are there with their sizes (by stat: whoever loads or verifies them hashes them)."""
        return all(_size(self.folder / name) == size for name, (_, size) in self.files.items())

    def has(self, pins: Mapping[str, str]) -> bool:
        """It holds these files with these digests."""
        known = self.digests
        return all(known.get(name) == digest for name, digest in pins.items())

    def write(self) -> None:
        """Make the snapshot usable (atomically). Raises DataError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        values: dict[str, Any] = {name: getattr(self, name) for name in _NAMES}
        values["files"] = {n: {"sha256": d, "size": s} for n, (d, s) in sorted(self.files.items())}
        write_text(self.path, json.dumps(values, indent=2) + "\n")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _read(path: Path, folder: Path) -> Record | None:
    """A record, or None for what is none."""
    try:
        values = read_json(path, what="a record")
        listed = field(values, "files", dict, where=str(path))
        files = {n: (str(f["sha256"]), int(f["size"])) for n, f in listed.items()}
        repo, revision, commit, model = (field(values, k, str, where=str(path)) for k in _NAMES)
    except (ZooError, ValueError, KeyError, TypeError):
        return None
    if not all(map(is_inside, (commit, *files))) or "/" in commit:
        return None
    return Record(repo, revision, commit, model, files, folder)


def records(folder: Path) -> Iterator[Record]:
    """The records in the folder of a repository."""
    for path in sorted((folder / RECORDS).glob("*.json")):
        if (record := _read(path, folder)) is not None:
            yield record


def all_records() -> list[Record]:
    """Every record in the cache."""
    return [r for folder in sorted(hub_cache().glob("models--*")) for r in records(folder)]


def find_remote(remote: Remote) -> Record | None:
    """The record of a repository at a revision as it was last pulled, or of that commit."""
    known = list(records(storage(remote.repo)))
    return next((r for r in known if r.revision == remote.revision), None) or next(
        (r for r in known if r.commit == remote.revision), None
    )


def find_card(card: Card) -> Record | None:
    """The record of a card's weights: by the card's digests, from whatever namespace they came."""
    remote, pins = remote_of(card), card.files
    if not pins:
        return find_remote(remote) if remote else None
    places = [storage(remote.repo)] if remote else []
    places += sorted(hub_cache().glob(f"models--*--{card.model_id.rpartition(':')[2]}"))
    candidates = [r for place in places for r in records(place) if r.has(pins)]
    return next((r for r in candidates if r.present()), candidates[0] if candidates else None)


def pinned(folder: Path) -> dict[str, str]:
    """The verified digests of a snapshot folder of the cache; empty for any other folder."""
    if folder.parent.name != "snapshots":
        return {}
    commit_records = (r for r in records(folder.parent.parent) if r.commit == folder.name)
    return {name: digest for record in commit_records for name, digest in record.digests.items()}
