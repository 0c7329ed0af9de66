"""Drawing again what lacks a required class, each sample from streams of its own, so that no other sample changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo.maps import SemanticMap
from zoo.rng import Rng

Drawn = tuple[SemanticMap, list[dict[str, Any]]]


@dataclass(frozen=True)
class Requirement:
    """names: classes of the output space. size: (height, width) of the files, in which they must be seen. tries: draws at most, the
    first one counted. draw: maps in the output space, with their records, of some rows of the batch from these streams. promising: the
    rows, of these, that the streams can give all the classes; the others need not be drawn."""

    names: tuple[str, ...]
    size: tuple[int, int]
    tries: int
    draw: Callable[[Sequence[int], Rng], Drawn]
    promising: Callable[[Sequence[int], Rng], list[int]]

    def lacking(self, maps: SemanticMap) -> list[list[str]]:
        """For each map the required classes that it does not show."""
        return [[n for n in self.names if n not in shown.names] for shown in maps.resize(self.size).label_sets()]

    def meet(self, maps: SemanticMap, records: list[dict[str, Any]], rng: Rng) -> Drawn:
        """The maps, those that lack a class replaced by the first draw of its own streams that shows more of them.

        The k-th draw of a sample is from its streams under ("try", k). A record gets `tries`, the draws that it took, and `missing`,
        the classes that no draw showed together with the others: such a sample stays, as the draw that showed most of them.
        """
        rows = range(len(maps))
        labels, missing, tries = maps.labels.clone(), self.lacking(maps), [1] * len(maps)
        for attempt in range(1, self.tries):
            open_ = [row for row in rows if missing[row]]
            if not open_:
                break
            for row in open_:
                tries[row] += 1
            streams = rng.within("try", attempt)
            chosen = self.promising(open_, streams.take([rng.samples[row] for row in open_]))
            if not chosen:
                continue
            drawn, notes = self.draw(chosen, streams.take([rng.samples[row] for row in chosen]))
            for position, (row, lacks) in enumerate(zip(chosen, self.lacking(drawn), strict=True)):
                if len(lacks) < len(missing[row]):
                    labels[row], missing[row], records[row] = drawn.labels[position], lacks, notes[position]
        for row, record in enumerate(records):
            record.update(tries=tries[row], missing=missing[row])
        return SemanticMap(torch.as_tensor(labels), maps.space, maps.instances), records
