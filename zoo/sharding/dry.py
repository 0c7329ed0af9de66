"""What a run of shards would make and take, by a few samples that are made and thrown away."""

from __future__ import annotations

import itertools
import time
from contextlib import closing
from dataclasses import dataclass

from zoo.files.tars import TarWriter
from zoo.sharding.encode import encode
from zoo.sharding.make import Maker
from zoo.sharding.plan import Plan

LONG = 10.0
"""Seconds of a first batch after which no second one is made: the first of a process takes longer, which matters less then."""


@dataclass(frozen=True)
class Estimate:
    """shards, samples: to be made. bytes: of a sample in its tar. seconds: of one processor for a sample. parallel: samples that are made at
    once."""

    shards: int
    samples: int
    bytes: float
    seconds: float
    parallel: int

    @property
    def total_bytes(self) -> int:
        """Of all that is to be made."""
        return round(self.bytes * self.samples)

    @property
    def total_seconds(self) -> float:
        """Until all is made."""
        return self.seconds * self.samples / self.parallel


def measure(maker: Maker, plan: Plan, numbers: list[int], parallel: int) -> Estimate:
    """Make the first batches of the first of these shards and time them, pictures written; nothing is kept."""
    samples = sum(len(plan.range(n)) for n in numbers)
    if not numbers:
        return Estimate(0, 0, 0, 0, parallel)
    tar, made, timed, seconds, first = TarWriter(_Nowhere()), 0, 0, 0.0, (0, 0.0)
    with closing(maker.parts(plan.range(numbers[0]))) as parts:
        since = time.perf_counter()
        for number, part in enumerate(itertools.islice(parts, 3)):
            batch = encode(part, plan)
            for sample in batch:
                for name, content in sample.members:
                    tar.add(name, content)
            now = time.perf_counter()
            made += len(batch)
            if number == 0 and now - since < LONG:
                first = len(batch), now - since
            else:
                timed, seconds = timed + len(batch), seconds + now - since
            if now - since >= LONG:
                break
            since = now
    if not timed:  # a run of one batch
        timed, seconds = first
    return Estimate(len(numbers), samples, tar.size / max(1, made), seconds / max(1, timed), parallel)


class _Nowhere:
    """Takes bytes and keeps none."""

    def write(self, content: bytes, /) -> None:
        """Nothing."""
