"""Whether the maps of a data set are in the order that they are said to be in: the judge of single maps, asked of some."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zoo.data.files import LabelArray
from zoo.data.pairs import Source
from zoo.errors import DataError
from zoo.files.mapfiles import read_map_file
from zoo.files.mapjudge import Verdict, judge, named_by_colors
from zoo.registry import registry

LOOKED_AT = 100
"""Maps of a data set that `zoo data check` asks the judge of, spread over all; training asks of the first `FIRST`."""
FIRST = 8


@dataclass(frozen=True)
class Found:
    """What the judge says of some maps of a data set: of the first of them, and of how many of those looked at."""

    verdict: Verdict
    where: str
    maps: int
    looked_at: int

    @property
    def text(self) -> str:
        """For people, with marks as in errors."""
        text = self.verdict.about(self.where, "space")
        return text if self.looked_at == 1 else f"{text} {self.maps} of {self.looked_at} maps looked at say so."


class Judged:
    """Collects what is found while the maps of a data set are read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.known = registry().working_spaces()[0]
        self.looked_at = 0
        self._found: dict[tuple[bool, str | None], list[tuple[str, Verdict]]] = {}

    def ask(self, index: int, labels: LabelArray) -> None:
        """Judge one map by its class numbers; drawn data and files whose colours name the classes are right."""
        files = self.source.files(index)
        if not files:
            return
        self.looked_at += 1
        verdict = judge(labels, self.source.label_space, self.known)
        if verdict is None:
            return
        path = files.get("map")
        if path is None or not named_by_colors(read_map_file(path), self.source.label_space):
            place = path or self.source.names[index]
            self._found.setdefault((verdict.refused, verdict.space), []).append((place, verdict))

    def found(self) -> list[Found]:
        """All kinds of findings, refusals first."""
        kinds = sorted(self._found.values(), key=lambda maps: (not maps[0][1].refused, -len(maps)))
        return [Found(maps[0][1], maps[0][0], len(maps), self.looked_at) for maps in kinds]


def looked_at(count: int) -> set[int]:
    """Which of `count` maps `zoo data check` asks of."""
    return set(np.linspace(0, count - 1, min(LOOKED_AT, count)).astype(int).tolist())


def judge_first(source: Source) -> list[str]:
    """Ask of the first maps of a data set; returns doubts, with marks as in errors. Raises DataError for another order."""
    judged = Judged(source)
    for index in range(min(FIRST, len(source.names))):
        if source.files(index):
            judged.ask(index, source.read(index)[1])
    found = judged.found()
    refused = next((f for f in found if f.verdict.refused), None)
    if refused is not None:
        raise DataError(refused.text)
    return [f.text for f in found]
