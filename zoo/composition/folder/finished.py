"""The finished samples of a run that is continued: each line looked at, each file held against its digest. No torch at import."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from zoo.files.digests import sha256
from zoo.files.runfiles import FOLDERS, METADATA, PASTED_NAME, files_of, lines, own_file

_THREADS = 4


def finished(
    folder: Path, kinds: Collection[str], *, samples: int, seed: int, pasted: bool = False
) -> tuple[dict[int, dict[str, Any]], int]:
    """The records of the samples below `samples` whose line and files are in order, by number; and how many others have a line.

    kinds: the files that a sample has, of `runfiles.FOLDERS`; pasted: and its picture in its photo. Of two lines of one number the later counts. Raises DataError for a
    `metadata.jsonl` that is a link.
    """
    records: dict[int, dict[str, Any]] = {}
    for _, record in lines(folder / METADATA):
        if (
            isinstance(record, dict)
            and record["index"] < samples
            and record["seed"] == seed
            and _has(record, kinds, pasted)
        ):
            records[record["index"]] = record
    with ThreadPoolExecutor(_THREADS) as pool:
        sound = list(pool.map(lambda record: _is_sound(folder, record), records.values()))
    good = {index: record for (index, record), ok in zip(records.items(), sound, strict=True) if ok}
    return dict(sorted(good.items())), len(records) - len(good)


def _has(record: dict[str, Any], kinds: Collection[str], pasted: bool) -> bool:
    """Whether a line tells of the files that a sample of this run has, and no other."""
    return (PASTED_NAME in record) == pasted and all(
        (record["sha256"].get(kind) is not None) == (kind in kinds) for kind in FOLDERS
    )


def _is_sound(folder: Path, record: dict[str, Any]) -> bool:
    """Whether the files of a sample are there, ordinary ones, with the bytes that were written."""
    try:
        return all(
            own_file(folder, name) is not None and sha256(folder / name) == digest
            for name, digest in files_of(record).items()
        )
    except OSError:
        return False
