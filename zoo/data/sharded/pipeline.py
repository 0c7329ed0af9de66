"""The stages of `zoo.data.shards` as a pipeline of webdataset, which this imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import count
from typing import Any

import torch

from zoo.data.sharded.finding import Shard
from zoo.data.sharded.stages import Batching, Reading, Shuffling, order
from zoo.errors import UsageError

# an extra: type checkers may not have it
wds: Any = import_module("webdataset")
pytorch_worker_info = import_module("webdataset.utils").pytorch_worker_info


class ShardPipeline(wds.DataPipeline, wds.FluidInterface):
    """Shards in order, divided among processes and workers, read, shuffled, batched."""

    def __init__(
        self,
        shards: Sequence[Shard],
        reading: Reading,
        *,
        seed: int,
        shuffle: int,
        batch_size: int | None,
        repeat: bool,
    ) -> None:
        # in shared memory: workers that outlive an epoch see it change
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        listing = Listing(tuple(shards), seed, shuffle > 0, self._epoch, repeat)
        stages = [listing, wds.split_by_node, wds.split_by_worker, reading]
        stages += [Shuffling(shuffle, seed, self._epoch, process)] if shuffle else []
        stages += [Batching(batch_size)] if batch_size else []
        super().__init__(*stages)

    def set_epoch(self, epoch: int) -> None:
        """The next iterations are of this epoch, in workers as well."""
        self._epoch.fill_(epoch)


class Listing:
    """The first stage: the shards of an epoch (repeat: of this and all that follow)."""

    def __init__(self, shards: tuple[Shard, ...], seed: int, drawn: bool, epoch: torch.Tensor, repeat: bool) -> None:
        self.shards, self.seed, self.drawn, self.epoch, self.repeat = shards, seed, drawn, epoch, repeat

    def __call__(self) -> Iterator[Shard]:
        _, processes, *_ = pytorch_worker_info()
        if processes > len(self.shards):
            raise UsageError(
                f"{len(self.shards)} shards cannot be divided among {processes} processes, each of which needs one: make them with fewer"
                " samples a shard, or train with fewer processes."
            )
        first = int(self.epoch)
        for epoch in count(first) if self.repeat else (first,):
            places = order(len(self.shards), self.seed, epoch) if self.drawn else range(len(self.shards))
            yield from (self.shards[place] for place in places)


def process() -> tuple[int, int]:
    """Which process of a training this is, and which worker of its loader."""
    rank, _, worker, _ = pytorch_worker_info()
    return rank, worker
