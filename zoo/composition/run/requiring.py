"""Drawing again what lacks a class, each sample from streams of its own, so that no other sample changes.

What `require` and `reject_empty` share: they differ in what a sample may lack, and in what is drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from zoo.maps import SemanticMap
from zoo.rng import Rng

Records = list[dict[str, Any]]
Drawn = tuple[SemanticMap, Records]


class Met(NamedTuple):
    """maps and records: of the draw that was kept for each sample. tries: draws that it took, the first one counted. missing: the classes
    that it still lacks."""

    maps: SemanticMap
    records: Records
    tries: list[int]
    missing: list[list[str]]


@dataclass(frozen=True)
class Requirement:
    """key: of the streams of further draws. tries: draws at most, the first one counted. lacking: for each map (with its record) the
    classes that it should show and does not. draw: maps in the output space, with their records, of some rows of the batch from these
    streams. promising: the rows, of these, that the streams can give all the classes; the others need not be drawn."""

    key: str
    tries: int
    lacking: Callable[[SemanticMap, Records], list[list[str]]]
    draw: Callable[[Sequence[int], Rng], Drawn]
    promising: Callable[[Sequence[int], Rng], list[int]]

    def meet(self, maps: SemanticMap, records: Records, rng: Rng) -> Met:
        """The maps, those that lack a class replaced by the first draw of its own streams that shows more of them.

        The k-th draw of a sample is from its streams under (key, k). A sample that no draw gives all the classes stays as the draw that
        lacked fewest.
        """
        rows = range(len(maps))
        labels, missing, tries = maps.labels.clone(), self.lacking(maps, records), [1] * len(maps)
        kept = list(records)
        for attempt in range(1, self.tries):
            open_ = [row for row in rows if missing[row]]
            if not open_:
                break
            for row in open_:
                tries[row] += 1
            streams = rng.within(self.key, attempt)
            chosen = self.promising(open_, streams.take([rng.samples[row] for row in open_]))
            if not chosen:
                continue
            drawn, notes = self.draw(chosen, streams.take([rng.samples[row] for row in chosen]))
            for position, (row, lacks) in enumerate(zip(chosen, self.lacking(drawn, notes), strict=True)):
                if len(lacks) < len(missing[row]):
                    labels[row], missing[row], kept[row] = drawn.labels[position], lacks, notes[position]
        return Met(SemanticMap(labels, maps.space, maps.instances), kept, tries, missing)
