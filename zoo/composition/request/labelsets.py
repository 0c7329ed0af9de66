"""Label sets of a request: several with weights, from a list, a JSON file or a manifest. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.composition.request.written import names_from_json, split_names
from zoo.errors import UsageError
from zoo.files.jsonfiles import named, read_json

MAX_SETS = 10_000
MAX_BYTES = 16 * 2**20
"""Of a file of label sets."""
MAX_WEIGHT = 1e12
FORM = '[{"labels": ["skin", "hair"], "weight": 2}, …], the same under "sets", or lists of class names'


@dataclass(frozen=True)
class WantedSet:
    """A label set as written, and how often it is drawn against the others."""

    labels: tuple[str, ...]
    weight: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """For a manifest."""
        return {"labels": list(self.labels), "weight": self.weight}


def read_sets(value: Any, most: int = MAX_SETS) -> tuple[WantedSet, ...]:
    """Label sets of a caller, at most so many: a JSON file's path, `{"sets": [...]}`, or a sequence of sets.

    A set is a WantedSet, a sequence of class names, a text of them with commas, or `{"labels": [...], "weight": 2}`; `count` is
    read as a weight, so that the asset `label_sets` of a model (`zoo fit MODEL label_sets --data DATA`) is such a file as it is.
    Raises TypeError for another form, UsageError for weights that are none and for too many sets, DataError for the file.
    """
    if isinstance(value, str | Path):
        return _of_file(Path(value))
    values = value.get("sets") if isinstance(value, Mapping) else value
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError
    return _bounded([_one(v, "") for v in values], most)


def _of_file(path: Path) -> tuple[WantedSet, ...]:
    content = read_json(path, object, error=UsageError, what="a file of label sets", limit=MAX_BYTES, by_hand=True)
    values = content.get("sets") if isinstance(content, dict) else content
    if not isinstance(values, list):
        raise UsageError(f"{path}: label sets are written {FORM}, got {named(content)}.")
    return listed_sets(values, path)


def listed_sets(values: list[Any], path: Path, most: int = MAX_SETS) -> tuple[WantedSet, ...]:
    """The sets of a list that a file holds. Raises UsageError with the number of one that is none."""
    sets = []
    for number, entry in enumerate(values[: most + 1]):
        try:
            sets.append(_one(entry, f"{path}: set {number}: "))
        except TypeError:
            raise UsageError(f"{path}: set {number}: label sets are written {FORM}, got {named(entry)}.") from None
    return _bounded(sets, most, f"{path}: ")


def _one(value: Any, where: str) -> WantedSet:
    """One set of a caller or a file."""
    if isinstance(value, WantedSet):
        return value
    weight: Any = 1.0
    if isinstance(value, Mapping):
        if not set(value) <= {"labels", "weight", "count"} or "labels" not in value:
            raise TypeError
        weight = value.get("weight", value.get("count", 1.0))
        value = value["labels"]
    names = split_names(value) if isinstance(value, str) else tuple(value)
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return WantedSet(names, _weight(weight, where))


def _weight(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_WEIGHT:
        raise UsageError(
            f"{where}a weight of a label set is a number above 0 and at most {MAX_WEIGHT:g}, got {named(value)}."
        )
    return float(value)


def _bounded(sets: Sequence[WantedSet], most: int, where: str = "") -> tuple[WantedSet, ...]:
    if not 1 <= len(sets) <= most:
        raise UsageError(f"{where}1 to {most} label sets can be asked for, got {len(sets)}.")
    if not all(wanted.labels for wanted in sets):
        raise UsageError(f"{where}a label set is empty: name at least one class in each.")
    return tuple(sets)


def sets_from_json(values: Any, most: int = MAX_SETS) -> tuple[WantedSet, ...]:
    """The sets of a manifest, at most so many. Raises TypeError, KeyError, UsageError."""
    if not isinstance(values, list):
        raise TypeError(f"{named(values)} is no list")
    sets = []
    for entry in values:
        if not isinstance(entry, dict):
            raise TypeError(f"{named(entry)} is no JSON object")
        weight = entry["weight"]
        if type(weight) is not float or not math.isfinite(weight):
            raise TypeError(f"{named(weight)} is no weight")
        sets.append(WantedSet(names_from_json(entry["labels"]), _weight(weight, "")))
    return _bounded(sets, most)


def spread_labels(given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call, with several sets in `labels` as `label_sets` (a single one stays `labels`).

    Raises UsageError where both say sets, or `labels` holds names and sets.
    """
    labels = given.get("labels")
    if isinstance(labels, str | None) or not isinstance(labels, Sequence):
        return dict(given)
    texts = [isinstance(entry, str) for entry in labels]
    if not labels or all(texts):
        return dict(given)
    try:
        if any(texts):
            raise TypeError
        sets = read_sets(labels)
    except TypeError:
        raise UsageError(f"<<labels>> takes class names, or label sets ({FORM}), got {named(labels)}.") from None
    if given.get("label_sets") is not None:
        raise UsageError("Label sets are given twice, in <<labels>> and <<label_sets>>: give one of the two.")
    plain = {name: value for name, value in given.items() if name != "labels"}
    return {**plain, "labels": sets[0].labels} if len(sets) == 1 else {**plain, "label_sets": sets}
