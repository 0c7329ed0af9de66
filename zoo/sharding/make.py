"""One shard, made: the one function that every engine calls, so that the bytes are the same whoever makes them."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol

from zoo.composition.run.part import Part
from zoo.files.shardfiles import compact, facts_name, key_of, listed_sets, tar_name
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
            for batch, left_out in _encoded(parts, plan):
                for sample in batch:
                    for name, content in sample.members:
                        tar.add(name, content)
                    tally.add(sample)
                tally.left_out |= {key_of(index): reason for index, reason in left_out.items()}
                if progress is not None:
                    progress(len(batch) + len(left_out))
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


def _encoded(parts: Iterator[Part], plan: Plan) -> Iterator[tuple[list[Encoded], dict[int, str]]]:
    """The batches with their pictures encoded and what they leave out, in order; at most `AHEAD` wait."""
    with ThreadPoolExecutor(1, thread_name_prefix="zoo-encode") as pool:
        waiting: deque[tuple[Future[list[Encoded]], dict[int, str]]] = deque()
        for part in parts:
            waiting.append((pool.submit(encode, part, plan), part.left_out))
            del part  # nothing of a batch is held once it is written
            while len(waiting) > AHEAD or (waiting and waiting[0][0].done()):
                batch, left_out = waiting.popleft()
                yield batch.result(), left_out
        while waiting:
            batch, left_out = waiting.popleft()
            yield batch.result(), left_out


class Tally:
    """What is counted of the samples of a shard.

    classes: in how many maps each is, and how many pixels show it. label_sets: how often each set of classes is what a map shows. asked, got:
    in how many samples a class was asked for, and in how many of these it appeared; balance: the same of `--balance`. rejected: samples
    that were drawn anew; exhausted: those that never showed what was required. left_out: why there is nothing of some samples.
    """

    def __init__(self) -> None:
        self.samples = self.rejected = self.exhausted = 0
        self.left_out: dict[str, str] = {}
        self._counts = {part: Counter[str]() for part in ("maps", "pixels", "asked", "got", "wanted", "came", "splits")}
        self._sets: Counter[tuple[str, ...]] = Counter()
        self._hashes: list[str] = []

    def add(self, sample: Encoded) -> None:
        """Count one more."""
        record, counts = sample.record, self._counts
        self.samples += 1
        counts["maps"].update(sample.pixels.keys())
        counts["pixels"].update(sample.pixels)
        counts["asked"].update(record["requested"])
        counts["got"].update(set(record["requested"]) - set(record["empty"]))
        counts["wanted"].update(record.get("balance_asked") or ())
        counts["came"].update(record.get("balance_got") or ())
        counts["splits"][record["split"]] += 1
        if sample.shown is not None:
            self._sets[sample.shown] += 1
        self.rejected += record.get("tries", 1) > 1 or record.get("redrawn", 0) > 0
        self.exhausted += bool(record.get("missing") or record.get("exhausted"))
        self._hashes.append(sample.hash)

    def report(self) -> dict[str, Any]:
        """As it stands in a shard's facts."""
        counts = self._counts
        return {
            "samples": self.samples,
            "classes": {n: {"maps": c, "pixels": counts["pixels"][n]} for n, c in counts["maps"].items()},
            "label_sets": listed_sets(self._sets),
            "asked": dict(counts["asked"]),
            "got": {n: counts["got"][n] for n in counts["asked"]},
            "balance": {
                n: {"asked": counts["wanted"][n], "got": counts["came"][n]} for n in counts["wanted"] | counts["came"]
            },
            "rejected": self.rejected,
            "exhausted": self.exhausted,
            "splits": dict(counts["splits"]),
            "hashes": self._hashes,
            **({"left_out": self.left_out} if self.left_out else {}),
        }
