"""One shard, made: the one function that every engine calls, so that the bytes are the same whoever makes them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol

from zoo.composition.run.part import Part
from zoo.files.shardfiles import compact, facts_name, tar_name
from zoo.files.tars import TarWriter
from zoo.sharding.encode import Encoded, encode
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store

AHEAD = 2
"""Batches that may wait to be written while others are made."""


class Maker(Protocol):
    """What makes samples: a composition, or a parser of photos (`zoo.sharding.makers`)."""

    def parts(self, samples: range) -> Generator[Part, None, None]:
        """The batches of these samples, in order; both ends are batch boundaries, or the end."""
        ...


def make_shard(
    maker: Maker, plan: Plan, number: int, store: Store, progress: Callable[[int], object] | None = None
) -> dict[str, Any]:
    """Make a shard and write its tar, then what is said of it, which it returns. progress: called with the samples that were added.

    Pictures are written as PNG or JPEG in a thread of its own while the next batch is made. Raises DataError where it cannot be written,
    and what the maker raises; then neither file is there.
    """
    samples = plan.range(number)
    tally = Tally()
    with store.writing(tar_name(number)) as file:
        tar = TarWriter(file)
        with closing(maker.parts(samples)) as parts:
            for batch in _encoded(parts, plan):
                for sample in batch:
                    for name, content in sample.members:
                        tar.add(name, content)
                    tally.add(sample)
                if progress is not None:
                    progress(len(batch))
        tar.finish()
    facts = {
        "shard": number,
        "start": samples.start,
        "stop": samples.stop,
        "sha256": tar.sha256,
        "bytes": tar.size,
        **tally.report(),
    }
    with store.writing(facts_name(number)) as file:
        file.write(compact(facts) + b"\n")
    return facts


def _encoded(parts: Iterator[Part], plan: Plan) -> Iterator[list[Encoded]]:
    """The batches with their pictures encoded, in order; at most `AHEAD` wait."""
    with ThreadPoolExecutor(1, thread_name_prefix="zoo-encode") as pool:
        waiting: deque[Future[list[Encoded]]] = deque()
        for part in parts:
            waiting.append(pool.submit(encode, part, plan))
            del part
            while len(waiting) > AHEAD or (waiting and waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class Tally:
    """What is counted of the samples of a shard.

    classes: in how many maps each is, and how many pixels show it. asked, got: in how many samples a class was asked for, and in how
    many of these it appeared. rejected: draws that were thrown away; exhausted: samples that never showed what was required.
    """

    def __init__(self) -> None:
        self.samples = self.rejected = self.exhausted = 0
        self._maps: Counter[str] = Counter()
        self._pixels: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._got: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._hashes: list[str] = []

    def add(self, sample: Encoded) -> None:
        """Count one more."""
        record = sample.record
        self.samples += 1
        self._maps.update(sample.pixels.keys())
        self._pixels.update(sample.pixels)
        self._asked.update(record["requested"])
        self._got.update(set(record["requested"]) - set(record["empty"]))
        self._splits[record["split"]] += 1
        self.rejected += record.get("tries", 1) - 1
        self.exhausted += bool(record.get("missing"))
        self._hashes.append(sample.hash)

    def report(self) -> dict[str, Any]:
        """As it stands in a shard's facts."""
        return {
            "samples": self.samples,
            "classes": {n: {"maps": self._maps[n], "pixels": self._pixels[n]} for n in self._maps},
            "asked": dict(self._asked),
            "got": {n: self._got[n] for n in self._asked},
            "rejected": self.rejected,
            "exhausted": self.exhausted,
            "splits": dict(self._splits),
            "hashes": self._hashes,
        }
