"""Label sets as they occur in something real (`labels_like`): a data set, a run, a folder of shards, or a file of counted sets.

What is kept is the counted sets, in a manifest too, so that nothing is read a second time. No torch at import.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from zoo.composition.request.labelsets import WantedSet, listed_sets, read_sets
from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import BYTES, named, read_json
from zoo.files.runfiles import METADATA, lines

MAX_SETS = 50_000
"""Different sets; CelebAMask-HQ has hundreds, ADE20K under twenty thousand."""
STATISTICS = "statistics.json"
"""Of a folder of shards: its `label_sets` say how often each set occurs."""
FORMS = (
    "a file of zoo data label-sets, a run folder or its metadata.jsonl, a folder of shards or its statistics.json, or a data set"
    " (NAME:PATH)"
)


def read_likeness(value: Any) -> tuple[WantedSet, ...]:
    """The sets of what a caller names, each with its count as weight, or sets as `read_sets` takes them.

    Raises TypeError for another form, UsageError for what is nowhere or holds no sets, DataError for a damaged file.
    """
    if not isinstance(value, str | Path):
        return read_sets(value, MAX_SETS)
    path = Path(value)
    if path.is_dir():
        inside = [path / name for name in (METADATA, STATISTICS) if (path / name).is_file()]
        if not inside:
            raise UsageError(
                f"<<labels_like>>: the folder {path} holds no {METADATA} (a run) and no {STATISTICS} (shards); a data set is written"
                f" with its name, for example celebamask-hq:{path}."
            )
        path = inside[0]
    if path.suffix == ".jsonl" and path.is_file():
        return _of_run(path)
    if path.is_file():
        return _of_file(path)
    return _of_data(str(value))


def _of_run(path: Path) -> tuple[WantedSet, ...]:
    """What the maps of a run show (of pictures alone: what was asked for)."""
    counts: Counter[tuple[str, ...]] = Counter()
    for number, (_, record) in enumerate(lines(path)):
        if isinstance(record, str):
            raise DataError(f"{path}: line {number + 1} {record}.")
        counts[tuple(record["labels"])] += 1
    return _counted(counts.items(), path)


def _of_file(path: Path) -> tuple[WantedSet, ...]:
    content = read_json(path, object, error=UsageError, what="a file of label sets", limit=BYTES)
    if isinstance(content, dict) and "label_sets" in content:
        content = content["label_sets"]
    elif isinstance(content, dict):
        content = content.get("sets")
    if not isinstance(content, list):
        raise UsageError(
            f"<<labels_like>>: {path} holds no label sets, neither as a list nor as sets or label_sets; it takes {FORMS}."
        )
    return listed_sets(content, path, MAX_SETS)


def _of_data(spec: str) -> tuple[WantedSet, ...]:
    from zoo.data.specs import parse_spec
    from zoo.registry import registry

    if ":" not in spec and parse_spec(spec).name not in registry().names("datasets"):
        raise UsageError(f"<<labels_like>>: there is no file {spec}, and no data set of this name; it takes {FORMS}.")
    from zoo.data.labelsets import count_sets
    from zoo.data.specs import open_source

    found = count_sets(open_source(spec))
    return _counted(((tuple(s["labels"]), s["count"]) for s in found.sets), spec)


def _counted(counts: Iterable[tuple[tuple[str, ...], int]], where: Path | str) -> tuple[WantedSet, ...]:
    """The sets that name something, the most frequent first."""
    sets = [WantedSet(names, float(count)) for names, count in counts if names]
    if not 1 <= len(sets) <= MAX_SETS:
        raise UsageError(
            f"<<labels_like>>: {where} holds {named(len(sets))} different label sets, expected 1 to {MAX_SETS}."
        )
    return tuple(sorted(sets, key=lambda wanted: (-wanted.weight, wanted.labels)))
