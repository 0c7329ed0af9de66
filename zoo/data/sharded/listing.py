"""What each tar holds, and where: read once, remembered while the file does not change."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zoo.data.sharded.members import BLOCK, ROLES, members_of
from zoo.errors import DataError
from zoo.files.jsonfiles import parse_json

IMAGE, MAP, RECORD = range(len(ROLES))


@dataclass(frozen=True)
class Listing:
    """What a tar holds. keys: of its samples; places: int64 [samples, 3, 2], offset and bytes of picture, map and record (0, 0: it
    has none); splits: what each record says, "" where it says nothing; space: the name in the first record."""

    keys: tuple[str, ...]
    places: NDArray[np.int64]
    splits: tuple[str, ...]
    space: str = ""


def listing_of(tar: Path, told: str) -> Listing:
    """Where the files of a tar lie; remembered while the file does not change. Raises DataError."""
    try:
        facts = tar.stat()
    except OSError as error:
        raise DataError(f"Cannot read {tar}: {error.strerror or error}.") from error
    return _listing(tar, told, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4096)
def _listing(tar: Path, told: str, size: int, changed: int) -> Listing:
    del size, changed  # a key of the memory
    keys: list[str] = []
    places: list[list[int]] = []
    splits: list[str] = []
    space = ""
    with tar.open("rb", buffering=8 * BLOCK) as file:
        for member in members_of(file, told):
            if not keys or member.key != keys[-1]:
                keys.append(member.key)
                places.append([0] * (2 * len(ROLES)))
                splits.append("")
            at = 2 * ROLES.index(member.role)
            places[-1][at : at + 2] = member.offset, member.size
            if member.role == "json":
                record = parse_json(file.read(member.size), where=f"{told}:{member.key}")
                splits[-1] = record["split"] if isinstance(record.get("split"), str) else ""
                space = space or (record["label_space"] if isinstance(record.get("label_space"), str) else "")
    if not keys:
        raise DataError(f"{told} holds no samples.")
    return Listing(tuple(keys), np.array(places, np.int64).reshape(-1, len(ROLES), 2), tuple(splits), space)
