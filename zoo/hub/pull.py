"""`zoo pull`: a model by name, made usable here; what is here already makes no request."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo import cards
from zoo.errors import DataError, UsageError, WeightsError
from zoo.files.folders import whole_folder
from zoo.hub.cache import Record, find_card, find_remote
from zoo.hub.fetch import drop, fetch, lock
from zoo.hub.job import Job
from zoo.hub.references import BRANCH, PREFIX, Remote, endpoint, is_path, offline, parse_remote, remote_of
from zoo.hub.resolving import absent, card_of
from zoo.hub.verify import Checked, check_embedded, check_folder, check_record, damages

TIMEOUT = 1800.0
"""Seconds that one model may take altogether; `ZOO_PULL_TIMEOUT` says otherwise."""
LONGEST = 1e7
"""More seconds than a clock of the system takes."""


@dataclass(frozen=True)
class Pulled:
    """A model that is here, verified. `record` is None for embedded models and folders; `fetched`: requests were made."""

    name: str
    folder: Path
    state: str
    files: Mapping[str, str]
    record: Record | None = None
    fetched: bool = False

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        hub = {"repo": self.record.repo, "commit": self.record.commit} if self.record else {}
        return {"name": self.name, "folder": str(self.folder), "state": self.state, "fetched": self.fetched, **hub,
                "files": dict(self.files)}  # fmt: skip


def pull(
    reference: str, *, refresh: bool = False, timeout: float | None = None, talk: Callable[[str], None] = lambda _: None
) -> Pulled:
    """Make a model usable here and verify it: an id, an architecture (its default model), `hf:owner/repo[@revision]`, a folder.

    refresh: ask the Hub for the newest commit even if `hf:owner/repo` is here. timeout: seconds for all of it. talk: gets a
    line when something is fetched. Raises UsageError, WeightsError (not published, not reachable, no access,
    mismatch, too late), DataError (disk).
    """
    if is_path(reference):
        return _sound(check_folder(reference))
    card = None if reference.startswith(PREFIX) else card_of(reference)
    if card is not None and card.embedded:
        return _sound(check_embedded(card))
    remote = parse_remote(reference) if card is None else remote_of(card)
    model = reference if card is None else card.model_id
    pins = card.files if card is not None else {}
    refresh = refresh and card is None
    record = _known(card, remote)
    if record is not None and not refresh and not check_record(record, pins).damaged:
        return _pulled(record, card, fetched=False)
    if remote is None and record is not None:  # no longer published there, but that is where it came from
        remote = Remote(record.repo, record.revision)
    if remote is None:
        raise WeightsError(absent(card_of(reference)))
    _check_online(model, remote)
    seconds = seconds_allowed(timeout)
    job = Job(remote, model, pins, time.monotonic() + seconds, seconds)
    with lock(job):
        before = None if refresh else _known(card, remote)
        if before is not None:
            damaged = check_record(before, pins).damaged
            if not damaged:  # somebody else brought it while we waited
                return _pulled(before, card, fetched=False)
            drop(before, damaged)
            talk(f"{model}: removed what is damaged ({'; '.join(map(str, damaged))})")
        at = f" at {remote.revision}" if remote.revision != BRANCH else ""
        talk(f"{model}: from {job.where}{at}")
        return _pulled(fetch(job), card, fetched=True)


def _known(card: cards.Card | None, remote: Remote | None) -> Record | None:
    """What was pulled before."""
    return find_card(card) if card is not None else find_remote(remote) if remote is not None else None


def _pulled(record: Record, card: cards.Card | None, *, fetched: bool) -> Pulled:
    name = card.model_id if card is not None else Remote(record.repo).name
    return Pulled(name, record.folder, "cached", record.digests, record, fetched)


def _sound(checked: Checked) -> Pulled:
    if checked.damaged:
        raise WeightsError(
            f"{checked.name} is damaged: {'; '.join(map(str, checked.damaged))}. To repair it: {checked.repair}"
        )
    return Pulled(checked.name, checked.folder, checked.kind, checked.pins)


def _check_online(model: str, remote: Remote) -> None:
    """Raise WeightsError if requests are forbidden."""
    if forbidden := offline():
        raise WeightsError(
            f"{model} has to be fetched, and {forbidden} forbids requests: unset it to pull {remote} from {endpoint()}, or copy"
            " the cache of a machine that has it (HF_HOME)."
        )


def seconds_allowed(timeout: float | None = None) -> float:
    """The given time, else `ZOO_PULL_TIMEOUT`, else TIMEOUT. Raises UsageError for what is no positive number of seconds."""
    stated = os.environ.get("ZOO_PULL_TIMEOUT") or str(TIMEOUT)
    name, text = ("ZOO_PULL_TIMEOUT", stated) if timeout is None else ("<<timeout>>", str(timeout))
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"{name}={text!r}: expected a positive number of seconds, at most {LONGEST:.0f}.")
    return seconds


# --- a plain folder -----------------------------------------------------------------------------------------------


def check_copy_target(target: Path) -> None:
    """Refuse a place that holds something else, before anything is fetched. Raises UsageError."""
    if target.is_dir() and any(target.iterdir()) and not cards.card_digests(target):
        raise UsageError(f"{target} is not empty and holds no model with a card: choose another <<target>>.")
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: choose another <<target>>.")


def copy_to(pulled: Pulled, target: Path) -> Path:
    """A plain folder with the model's files (and its card), made whole or not at all; returns it.

    A folder that already holds exactly this model is left as it is. Raises UsageError for one that holds something else,
    DataError if it cannot be written.
    """
    names = [*pulled.files, *(n for n in (cards.README,) if n not in pulled.files and (pulled.folder / n).is_file())]
    if target.is_dir() and any(target.iterdir()):
        if not damages(target, pulled.files):
            return target
        raise UsageError(
            f"{target} is not empty and holds another (or a damaged) model: choose another <<target>>, or remove it."
        )
    with whole_folder(target) as part:
        for name in names:
            (part / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pulled.folder / name, part / name)
        if wrong := damages(part, pulled.files):
            raise DataError(f"Copying to {target} failed: {'; '.join(map(str, wrong))}.")
    return target
