"""Label sets as the training data had them: the JSON asset `label_sets` of generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, shown
from zoo.files.jsonfiles import named
from zoo.labels import LabelSet, LabelSpace
from zoo.rng import RngLike, as_rng

if TYPE_CHECKING:
    from zoo.data import PairData

LABEL_SETS = "label_sets"
BATCH = 16
_MOST_SETS = 100_000
_MOST_MAPS = 1 << 50
"""Counts stay whole in float64, added up, too."""


def count_label_sets(sets: Iterable[LabelSet]) -> list[dict[str, Any]]:
    """The asset: each distinct set with its count, most frequent first (ties by name)."""
    counts = Counter(s.names for s in sets)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"labels": list(names), "count": count} for names, count in ordered]


def only(label_set: LabelSet, names: Iterable[str]) -> LabelSet:
    """The classes of the set that are among these names (or aliases). Raises LabelError for a name that no class has."""
    values = {label_set.space.index(n) for n in names}
    kept = zip(label_set.names, label_set.indices, strict=True)
    return LabelSet(label_set.space, tuple(n for n, v in kept if v in values))


def fit_label_sets(data: PairData, names: Collection[str], *, mirror: bool = False) -> list[dict[str, Any]]:
    """The asset `label_sets` of data: what each map shows of the classes `names` (a model's parts), with counts.

    mirror: count each map's mirror image too, in which left and right classes change places. Maps that show none of the
    classes are left out; [] if that is all of them.
    """
    sets = [only(s, names) for batch in data.batches(BATCH) for s in batch.maps.label_sets()]
    if mirror:
        table = data.label_space.mirror_table
        sets += [LabelSet(s.space, tuple(s.space.names[v] for v in sorted(table[v] for v in s.indices))) for s in sets]
    return count_label_sets(s for s in sets if s.names)


def label_sets_fault(space: LabelSpace, asset: Any) -> str:
    """What is wrong with the asset for a model that speaks this label space, in words, or ""."""
    if not isinstance(asset, list) or not asset or len(asset) > _MOST_SETS:
        return f"expected a list of 1 to {_MOST_SETS:,} label sets with their counts, got {named(asset)}"
    for entry in asset:
        if not isinstance(entry, dict) or entry.keys() != {"labels", "count"}:
            return f'expected {{"labels": [names], "count": number}}, got {named(entry)}'
        labels, count = entry["labels"], entry["count"]
        if type(count) is not int or not 1 <= count <= _MOST_MAPS:
            return f"a label set occurs 1 to {_MOST_MAPS:,} times, got {named(count)}"
        if not isinstance(labels, list) or not labels or not all(isinstance(n, str) for n in labels):
            return f"labels are a list of class names, got {named(labels)}"
        if unknown := [n for n in labels if space.find(n) is None]:
            return f"label space {space.name!r} has no class {shown(unknown[0])}"
    return ""


def draw_label_sets(
    assets: Mapping[str, Any], space: LabelSpace, count: int, rng: RngLike | int | None
) -> list[LabelSet]:
    """`count` sets, each drawn with its frequency from the sample's own stream (key "label-set").

    assets: the model's; space: its label space. Raises UsageError if the model has no such asset.
    """
    asset = assets.get(LABEL_SETS)
    if not asset:
        raise UsageError(
            'This model does not know the label sets of its training data: say which classes (<<labels="a,b,c">>).'
        )
    source = as_rng(rng, count)
    total = sum(entry["count"] for entry in asset)
    drawn = []
    for u in source.uniform("label-set", shape=(1,)).flatten().tolist():
        position = u * total
        for entry in asset:
            position -= entry["count"]
            if position <= 0:
                break
        drawn.append(space.label_set(entry["labels"]))
    return drawn
