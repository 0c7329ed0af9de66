"""The finished samples of a run that is continued: each line looked at, each file held against its digest. No torch at import."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zoo.composition.folder.records import FOLDERS, LISTS, METADATA, SINGLE, files_of, modern
from zoo.errors import DataError
from zoo.files.digests import sha256
from zoo.files.jsonfiles import field, parse_json

_LONGEST = 1 << 20
"""Bytes that a line may have."""
_THREADS = 4


def finished(folder: Path, kinds: Collection[str], *, samples: int, seed: int) -> tuple[dict[int, dict[str, Any]], int]:
    """The records of the samples below `samples` whose line and files are in order, by number; and how many others have a line.

    kinds: the files that a sample has, of `records.FOLDERS`. Of two lines of one number the later counts.
    """
    lines: dict[int, dict[str, Any]] = {}
    for line in _lines(folder / METADATA):
        record = _record(line, kinds, seed)
        if record is not None and record["index"] < samples:
            lines[record["index"]] = record
    with ThreadPoolExecutor(_THREADS) as pool:
        sound = list(pool.map(lambda record: _is_sound(folder, record), lines.values()))
    good = {index: record for (index, record), ok in zip(lines.items(), sound, strict=True) if ok}
    return dict(sorted(good.items())), len(lines) - len(good)


def _lines(path: Path) -> Iterator[bytes]:
    """The complete lines of a file, without those that are too long for a sample's."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        while line := file.readline(_LONGEST):
            if line.endswith(b"\n"):
                yield line
            else:  # of a line that is longer, its end is no JSON
                continue


def _record(line: bytes, kinds: Collection[str], seed: int) -> dict[str, Any] | None:
    """A line in today's form, or None where it is no record of such a sample."""
    where = "a line"
    try:
        record = parse_json(line, where=where)
        index, digests = field(record, "index", int, where=where), field(record, "sha256", dict, where=where)
        if index < 0 or field(record, "seed", int, where=where) != seed or not all(map(_is_text, digests.values())):
            return None
        for name in (*LISTS, "labels"):
            if not all(isinstance(v, str) for v in field(record, name, list, where=where, default=[])):
                return None
        for name in SINGLE:
            field(record, name, dict, float, None, where=where, default=None)
    except DataError:
        return None
    record = modern(record)
    if any((record["sha256"].get(kind) is not None) != (kind in kinds) for kind in FOLDERS):
        return None
    names, has_map = list(files_of(record)), "map" in kinds
    right = record.get("file_name") == names[-1] and record.get("map_file_name") == (names[0] if has_map else None)
    return record if right else None


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_sound(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the files of a sample are there, ordinary ones, with the bytes that were written."""
    try:
        return all(
            stat.S_ISREG(os.lstat(folder / name).st_mode) and sha256(folder / name) == digest
            for name, digest in files_of(record).items()
        )
    except OSError:
        return False
