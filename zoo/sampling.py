"""Label sets as the training data had them: the JSON asset `label_sets` of generators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError
from zoo.labels import LabelSet
from zoo.rng import RngLike, as_rng

if TYPE_CHECKING:
    from zoo.interfaces import MaskGenerator

LABEL_SETS = "label_sets"


def count_label_sets(sets: Iterable[LabelSet]) -> list[dict[str, Any]]:
    """The asset: each distinct set with its count, most frequent first (ties by name)."""
    counts = Counter(s.names for s in sets)
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [{"labels": list(names), "count": count} for names, count in ordered]


def draw_label_sets(model: MaskGenerator, count: int, rng: RngLike | int | None) -> list[LabelSet]:
    """`count` sets, each drawn with its frequency from the sample's own stream (key "label-set").

    Raises UsageError if the model has no such asset.
    """
    asset = model.assets.get(LABEL_SETS)
    if not asset:
        raise UsageError(
            "This model does not know the label sets of its training data: say which classes (--labels a,b,c)."
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
        drawn.append(model.label_space.label_set(entry["labels"]))
    return drawn
