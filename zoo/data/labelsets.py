"""Which classes occur together in the maps of a data set: `zoo data label-sets`, and what `labels_like` draws from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.files import resize_labels
from zoo.data.pairs import Source
from zoo.interfaces.label_sets import count_label_sets
from zoo.labels import LabelSet


@dataclass(frozen=True)
class CountedSets:
    """sets: `{"labels": [...], "count": n}`, the most frequent first, the background left out. maps: how many were looked at;
    blank: of them, those that show nothing but background. label_space: its name."""

    label_space: str
    maps: int
    blank: int
    sets: list[dict[str, Any]]

    def shares(self) -> dict[str, float]:
        """For each class that occurs the share of all maps that show it, the most frequent first."""
        counts: dict[str, int] = {}
        for entry in self.sets:
            for name in entry["labels"]:
                counts[name] = counts.get(name, 0) + entry["count"]
        return {n: c / self.maps for n, c in sorted(counts.items(), key=lambda item: (-item[1], item[0]))}

    def to_json(self) -> dict[str, Any]:
        """What a file of label sets holds."""
        head = {"label_space": self.label_space, "maps": self.maps, "blank": self.blank}
        return {**head, "classes": {n: round(s, 6) for n, s in self.shares().items()}, "sets": self.sets}


def count_sets(
    source: Source, side: int | None = None, progress: Callable[[int, int], None] | None = None
) -> CountedSets:
    """The label sets of all maps of a data set. side: as seen at so many pixels a side (None: at each map's own size), where small
    parts may be gone. Raises DataError for a file that cannot be read."""
    space, found, blank = source.label_space, list[LabelSet](), 0
    for index in range(len(source.names)):
        if progress is not None:
            progress(index, len(source.names))
        size = None if side is None else (side, side)
        labels = source.read(index, size)[1]
        if size is not None:
            labels = resize_labels(labels, size)
        values = [v for v in np.unique(labels).tolist() if v < len(space) and v != space.background_index]
        if values:
            found.append(LabelSet(space, tuple(space.names[v] for v in values)))
        blank += not values
    return CountedSets(space.name, len(source.names), blank, count_label_sets(found))
