"""How a run of shards is watched: a bar on a terminal, a line now and then elsewhere; both with the rate and the time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from zoo.cli.show import say

EVERY = 60.0
"""Seconds after which a line is due although no shard was finished."""


class ShardWatch:
    """Counts what an engine tells (`zoo.sharding.local.Watch`). facts: of the shards that are finished."""

    def __init__(self, shards: int, samples: int, facts: dict[int, dict[str, Any]]) -> None:
        self.facts, self.total, self.count = facts, samples, shards
        self._there = sum(f["stop"] - f["start"] for f in facts.values())
        self._made = 0
        self._begun = self._spoken = time.monotonic()

    @property
    def done(self) -> int:
        """Samples that are made, also of shards that are not finished."""
        return self._there + self._made

    def samples(self, count: int) -> None:
        """So many more are made."""
        self._made += count
        self._tick()

    def lost(self, count: int) -> None:
        """So many have to be made again."""
        self._made -= count

    def shard(self, number: int, facts: dict[str, Any]) -> None:
        """One is finished."""
        self.facts[number] = facts
        self._line()

    def note(self, text: str) -> None:
        """What a user should know."""
        say(text)

    def pace(self) -> str:
        """The rate and the time left."""
        rate = self._made / max(1e-9, time.monotonic() - self._begun)
        if rate <= 0:
            return ""
        return f"{rate:.3g}/s, {duration((self.total - self.done) / rate)} left"

    def _tick(self) -> None:
        if time.monotonic() - self._spoken >= EVERY:
            self._line()

    def _line(self) -> None:
        self._spoken = time.monotonic()
        say(f"{len(self.facts)} of {self.count} shards, {self.done} of {self.total} samples, {self.pace()}")


class _Bar(ShardWatch):
    """The same as a bar."""

    def __init__(self, shards: int, samples: int, facts: dict[int, dict[str, Any]], bar: Any) -> None:
        super().__init__(shards, samples, facts)
        self._bar, self._task = bar, bar.add_task("", total=samples, completed=self.done, told="")

    def note(self, text: str) -> None:
        """Above the bar."""
        self._bar.console.print(text, markup=False, highlight=False)

    def _tick(self) -> None:
        self._line()

    def _line(self) -> None:
        self._bar.update(
            self._task, completed=self.done, told=f"{len(self.facts)} of {self.count} shards, {self.pace()}"
        )


@contextmanager
def watching(shards: int, samples: int, facts: dict[int, dict[str, Any]]) -> Iterator[ShardWatch]:
    """What to give to an engine. facts: of the shards that are there; those that are finished come to them."""
    if not sys.stderr.isatty():
        yield ShardWatch(shards, samples, facts)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield _Bar(shards, samples, facts, bar)


def duration(seconds: float) -> str:
    """A time for people: `40 s`, `12 min`, `3 h 20 min`, `4 days 6 h`."""
    if seconds < 100:
        return f"{max(0, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days {hours % 24} h"
