"""What a generator is asked for, sample by sample: label sets and scene graphs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from zoo.composition.checks.wanted import Generator, shares, weighted_sets
from zoo.composition.request.requests import Request
from zoo.composition.request.scenegraphs import graphs_in
from zoo.interfaces.label_sets import LABEL_SETS, draw_label_sets
from zoo.labels import LabelSet
from zoo.rng import Rng


class Wanted:
    """The sets of a run: drawn by the sample's number from streams of its own, and nothing else."""

    def __init__(self, model: Generator, request: Request) -> None:
        """request: a checked one."""
        self._model, self._request = model, request
        self._graphs = None if request.graphs is None else graphs_in(model.label_space, request.graphs)
        several = request.label_sets is not None or request.labels_like is not None
        self._sets = weighted_sets(model, request) if several else None
        self._shares = shares(model, request) if request.balance else ()

    def sets(self, rng: Rng) -> list[LabelSet]:
        """The set of the request for every sample; of several each sample's own draw by weight; the graph of its number; without any, sets
        drawn as the training data had them. Then what `balance` puts in and takes out."""
        drawn = self._drawn(rng)
        if not self._shares:
            return drawn
        streams = rng.within("balance")
        names = [set(labels.names) for labels in drawn]
        for share in self._shares:
            numbers = streams.uniform(share.name, shape=(1,)).flatten().tolist()
            for own, number in zip(names, numbers, strict=True):
                (own.add if share.has(share.name in own, number) else own.discard)(share.name)
        return [self._model.label_space.label_set(own) for own in names]

    def _drawn(self, rng: Rng) -> list[LabelSet]:
        count, request, space = len(rng.samples), self._request, self._model.label_space
        if self._graphs is not None:
            return [self._graphs[sample // request.n] for sample in rng.samples]
        if self._sets is not None:
            return draw_label_sets({LABEL_SETS: self._sets}, space, count, rng)
        if request.labels is None:
            return self._model.sample_label_sets(count, rng)
        return [space.label_set(request.labels)] * count

    def note(self, record: dict[str, Any], target: Mapping[str, str], shown: Collection[str] | None) -> None:
        """Write into a sample's record which of the balanced classes its set has, and which its map shows.

        target: by the generator's name the class of the output. shown: classes of the output that the map shows (None: there is no map).
        """
        if not self._shares:
            return
        asked = record["labels"] if shown is None else record["requested"]
        record["balance_asked"] = [s.asked_as for s in self._shares if s.name in asked]
        if shown is not None:
            came = set(asked) - set(record["empty"])
            others = Counter(target.values())  # two classes that become one are told apart by what was drawn
            record["balance_got"] = [
                s.asked_as
                for s in self._shares
                if target[s.name] in shown and (s.name in came or others[target[s.name]] == 1)
            ]
