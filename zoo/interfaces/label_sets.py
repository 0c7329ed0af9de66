"""Label sets as the training data had them: the JSON asset `label_sets` of generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.labels import LabelSet, LabelSpace
from zoo.rng import RngLike, as_rng

if TYPE_CHECKING:
    from zoo.data import PairData

LABEL_SETS = "label_sets"
BATCH = 16


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
