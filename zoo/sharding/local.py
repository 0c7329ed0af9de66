"""Shards made by this process: one after the other, several batches at once where there are processors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from zoo.sharding.make import Maker, make_shard
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store


class Watch(Protocol):
    """What an engine tells while it works."""

    def samples(self, count: int) -> object:
        """So many more samples are made."""
        ...

    def lost(self, count: int) -> object:
        """So many samples that were told of have to be made again."""
        ...

    def shard(self, number: int, facts: dict[str, Any]) -> object:
        """A shard is finished."""
        ...

    def note(self, text: str) -> object:
        """What a user should know."""
        ...


def make_here(maker: Maker, plan: Plan, numbers: Sequence[int], store: Store, watch: Watch) -> None:
    """Make these shards, in order. Raises what `make_shard` raises; finished shards stay."""
    for number in numbers:
        watch.shard(number, make_shard(maker, plan, number, store, watch.samples))
