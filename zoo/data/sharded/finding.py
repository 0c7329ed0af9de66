"""Which shards lie in a folder, behind a URL or in a list of tars, and which of them are finished. No torch."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data.cache import cache_folder, cached
from zoo.data.sharded.places import Place, expanded
from zoo.errors import DataError, UsageError, few, shown
from zoo.files import jsonfiles
from zoo.files.shardfiles import FORMAT, MANIFEST, facts_name, shard_number, tar_name
from zoo.files.writing import write_atomic

AGAIN = "run the command that made them again: it makes what is missing"
CHUNK = 1 << 20
_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Shard:
    """A finished shard: its tar, and what the JSON beside it says."""

    place: Place
    number: int
    start: int
    stop: int
    samples: int
    bytes: int
    sha256: str
    facts: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        """Of the tar."""
        return tar_name(self.number)

    @property
    def told(self) -> str:
        """The tar, as messages name it."""
        return self.place.at(self.name)


@dataclass
class Folder:
    """One folder of shards. manifest: what `shards.json` holds, None where it lacks. asked: the numbers that were asked for, None: all.

    left_out: the shards that are not read, by number, with the reason.
    """

    place: Place
    manifest: dict[str, Any] | None = None
    shards: list[Shard] = field(default_factory=list)
    left_out: dict[int, str] = field(default_factory=dict)
    asked: list[int] | None = None

    @property
    def expected(self) -> int | None:
        """How many shards the manifest promises."""
        if self.manifest is None:
            return None
        return -(-self.manifest["samples"] // self.manifest["per_shard"])


def find(urls: str | Sequence[str]) -> list[Folder]:
    """The folders of shards that these places name: a folder, a URL of one, tars, braces (`shard-{000000..000012}.tar`), or a list of such.

    Raises DataError where nothing lies or a manifest is no manifest of shards, UsageError for an empty list or a file that is no tar.
    """
    listed = [urls] if isinstance(urls, str) else [str(u) for u in urls]
    names = [name.rstrip("/") for text in listed for name in expanded(text)]
    if not names:
        raise UsageError("No shards were named: expected a folder, a URL, or the tars of one.")
    folders: dict[str, Folder] = {}
    for name in names:
        base, _, last = name.rpartition("/")
        number = shard_number(last) if last.endswith(".tar") else None
        if number is None and name.endswith((".tar", ".json")):
            raise UsageError(
                f"{name} is not called as a shard is (shard-000000.tar). Of other tars webdataset reads what it can."
            )
        if number is None:
            folders[name] = Folder(Place(name))
        elif (here := folders.setdefault(base or ".", Folder(Place(base or "."), asked=[]))).asked is not None:
            here.asked.append(number)
    for folder in folders.values():
        _look(folder)
    return list(folders.values())


def _look(folder: Folder) -> None:
    place = folder.place
    sizes = place.sizes()
    if MANIFEST in sizes:
        folder.manifest = _manifest(place)
    numbers = {n for name in sizes if name.endswith(".tar") and (n := shard_number(name)) is not None}
    numbers |= {n for n in range(folder.expected or 0) if facts_name(n) in sizes}
    if not numbers and folder.manifest is None:
        there = few(sorted(sizes)) or "nothing"
        raise DataError(f"{place.base} holds no shards (shards.json, shard-000000.tar). There lie: {there}.")
    for number in sorted(numbers if folder.asked is None else set(folder.asked)):
        found = _finished(place, number, sizes)
        if isinstance(found, str):
            folder.left_out[number] = found
        else:
            folder.shards.append(found)


def _manifest(place: Place) -> dict[str, Any]:
    where = place.at(MANIFEST)
    values = place.json(MANIFEST, "a manifest of shards")
    form = jsonfiles.field(values, "format", str, where=where)
    if form != FORMAT:
        raise DataError(f"{where} is of the form {form!r}, this zoo reads {FORMAT!r}: a newer zoo may have written it.")
    for name in ("samples", "per_shard"):
        if jsonfiles.field(values, name, int, where=where) < 1:
            raise DataError(f"{where}: {name} should be 1 or more, got {values[name]}.")
    jsonfiles.field(values, "kind", str, where=where)
    return values


def _finished(place: Place, number: int, sizes: Mapping[str, int]) -> Shard | str:
    """The shard, or why it is not read."""
    tar, told = tar_name(number), facts_name(number)
    if tar not in sizes:
        return f"{tar} is missing"
    if told not in sizes:
        return f"{tar} is not finished (there is no {told})"
    where = place.at(told)
    try:
        facts = place.json(told, "the facts of a shard")
        start, stop, size, samples = (
            jsonfiles.field(facts, name, int, where=where) for name in ("start", "stop", "bytes", "samples")
        )
        digest = jsonfiles.field(facts, "sha256", str, where=where)
        if _DIGEST.fullmatch(digest) is None:  # it becomes the name of a file
            raise DataError(f"{where}: sha256 should be 64 hex digits, got {shown(digest)}.")
        shard = Shard(place, number, start, stop, samples, size, digest, facts)
    except DataError as error:
        return f"{tar}: {error}"
    if size != sizes[tar]:
        return f"{tar} has {sizes[tar]:,} bytes, {told} says {size:,}"
    return shard


def left_out(folders: Sequence[Folder]) -> list[str]:
    """A line for each shard that is not read."""
    return [f"{f.place.base}: {reason}" for f in folders for reason in f.left_out.values()]


def tell_left_out(folders: Sequence[Folder]) -> None:
    """Warn of the shards that are not read. Raises DataError where none is left."""
    lines, bases = left_out(folders), " + ".join(folder.place.base for folder in folders)
    told = "; ".join(lines[:3]) + (f"; … {len(lines)} in all" if len(lines) > 3 else "")
    if not any(folder.shards for folder in folders):
        raise DataError(f"{bases} has no finished shard{f' ({told})' if told else ''}: {AGAIN}.")
    if told:
        warnings.warn(f"Shards are left out: {told}.", stacklevel=3)


def check_count(shard: Shard, samples: int) -> None:
    """Raise DataError where a tar holds another number of samples than is said of it: its end may be gone."""
    if samples != shard.samples:
        raise DataError(f"{shard.told} holds {samples} samples, {facts_name(shard.number)} says {shard.samples}.")


def local_tar(shard: Shard) -> Path:
    """The tar on this machine: itself, or a copy in the cache, made once and held against its digest. Raises DataError."""
    folder = shard.place.local
    if folder is not None:
        return folder / shard.name
    copy = cache_folder() / "shards" / f"{shard.sha256}.tar"
    if not (cached(copy) and copy.stat().st_size == shard.bytes):
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(copy, lambda part: _fetch(shard, part))
    return copy


def _fetch(shard: Shard, part: Path) -> None:
    digest, left = hashlib.sha256(), shard.bytes
    with shard.place.open(shard.name) as file, part.open("wb") as target:
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            target.write(chunk)
            left -= len(chunk)
    if digest.hexdigest() != shard.sha256:
        raise DataError(
            f"{shard.told} is damaged: its sha256 is not the one that {facts_name(shard.number)} states: {AGAIN}."
        )
