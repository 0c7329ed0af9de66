"""Is every sample of a run folder accounted for: lines against the manifest, files against the lines. No torch at import."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.errors import DataError, few
from zoo.files.digests import sha256
from zoo.files.images import is_picture
from zoo.files.names import printable
from zoo.files.runfiles import FOLDERS, MANIFEST, METADATA, files_of, lines, own_file

LISTED = 1000
"""So many names of each kind are kept; the rest is counted."""


@dataclass
class Account:
    """records: the lines that are whole, one for each sample from 0 on. faults: what is wrong with lines, a text each.

    missing, linked, changed, extra: names of files that are not there, are links or no files, have another digest, or belong to no
    line. All are counted in full, and named up to `LISTED` of each kind.
    """

    samples: int
    records: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    linked: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    def problems(self) -> list[str]:
        """A line for each kind of fault, and each file by its name."""
        told = (
            (self.missing, "is missing"),
            (self.linked, "is a link or no ordinary file"),
            (self.changed, f"has not the digest of its line in {METADATA}"),
            (self.extra, f"belongs to no line of {METADATA}"),
        )
        named = [f"{name} {what}" for names, what in told for name in names[:LISTED]]
        more = [f"… {len(n) - LISTED} more files: each {what}" for n, what in told if len(n) > LISTED]
        return [*self.faults, *named, *more]

    def counts(self) -> str:
        """In one line."""
        parts = {"missing": self.missing, "links": self.linked, "changed": self.changed, "extra": self.extra}
        told = [f"{len(names)} {what}" for what, names in parts.items() if names]
        return f"{len(self.records)} of {self.samples} samples have their line; files: {', '.join(told) or 'as the lines say'}"


def account(folder: Path, manifest: dict[str, Any], *, digests: bool = True) -> Account:
    """Hold a run folder against its manifest (`runfiles.read_manifest`). digests: read every file of a line, too.

    Raises DataError for lines that cannot be read at all.
    """
    found = Account(int(manifest["samples"]))
    kinds = [kind for kind, key in (("image", "images"), ("map", "maps")) if manifest.get(key, True)]
    more = 0
    for number, (_, record) in enumerate(lines(folder / METADATA), 1):
        if number > found.samples:
            more += 1
        elif isinstance(record, str):
            found.faults.append(f"line {number} of {METADATA} {record}")
        elif record["index"] != number - 1:
            found.faults.append(f"line {number} of {METADATA} is of sample {record['index']}, expected {number - 1}")
        elif lacking := [k for k in kinds if record["sha256"][k] is None]:
            found.faults.append(f"line {number} of {METADATA} has no sha256 of its {' and '.join(lacking)}")
        elif record["seed"] != manifest.get("request", record).get("seed", record["seed"]):
            found.faults.append(f"line {number} of {METADATA} has the seed {record['seed']}, another than the run's")
        else:
            found.records.append(record)
        if len(found.faults) > LISTED:
            break
    got = len(found.records) + len(found.faults)
    if more or got < found.samples:
        found.faults.insert(
            0, f"{METADATA} has {got + more} lines, and {MANIFEST} says that there are {found.samples} samples"
        )
    _look_at_files(folder, found, digests)
    return found


def _look_at_files(folder: Path, found: Account, digests: bool) -> None:
    known = {name: digest for record in found.records for name, digest in files_of(record).items()}
    for name, digest in known.items():
        path = own_file(folder, name)
        if path is None:
            (found.linked if os.path.lexists(folder / name) else found.missing).append(name)
        elif digests:
            try:
                same = sha256(path) == digest
            except OSError:
                same = False
            if not same:
                found.changed.append(name)
    for inner in FOLDERS.values():
        if (folder / inner).is_symlink():
            found.linked.append(inner)
            continue
        try:
            names = sorted(entry.name for entry in os.scandir(folder / inner))
        except OSError:
            continue
        extra = [n for n in names if f"{inner}/{n}" not in known and is_picture(Path(n))]
        found.extra += [printable(f"{inner}/{n}") for n in extra]


def check_accounted(folder: Path, found: Account) -> None:
    """Raise DataError where lines, or files beside them, do not account for every sample; files that changed are not looked at."""
    wrong = [*found.faults, *(f"{n} belongs to no sample" for n in found.extra)]
    if wrong:
        raise DataError(f"{folder}: not every sample is accounted for: {few(wrong, 5)}.")
