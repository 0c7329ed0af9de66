"""The stages of `zoo.data.shards`: shards to samples, shuffled, in batches. No webdataset in here."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any

import torch

from zoo.data.files import label_array, photo_array
from zoo.data.sharded.finding import Shard, check_count
from zoo.data.sharded.members import members_of
from zoo.errors import DataError
from zoo.files.decoding import decode_image
from zoo.files.images import photo_tensor
from zoo.files.jsonfiles import parse_json
from zoo.labels import LabelSpace
from zoo.rng import Rng

Sample = dict[str, Any]
BLOCK = 1024
"""Draws at once."""


@dataclass(frozen=True)
class Reading:
    """A stage: shards to samples, one after the other."""

    space: LabelSpace
    split: str | None
    size: tuple[int, int] | None
    numbers: str

    def __call__(self, shards: Iterable[Shard]) -> Iterator[Sample]:
        for shard in shards:
            for key, content in contents(shard):
                record = parse_json(content["json"], where=f"{shard.told}:{key}") if "json" in content else {}
                if self.split is None or record.get("split") == self.split:
                    yield self._sample(shard, key, content, record)

    def _sample(self, shard: Shard, key: str, content: dict[str, bytes], record: dict[str, Any]) -> Sample:
        where = Path(f"{shard.told}:{key}")
        if "map" not in content:
            raise DataError(f"{where} has no map: pictures alone are no data set of pairs.")
        image = decode_image(where, io.BytesIO(content["map"]), exact=True)
        labels = torch.from_numpy(label_array(where, image, self.space, self.size))
        sample: Sample = {"name": key, "map": labels if self.numbers == "uint8" else labels.long(), "record": record}
        if "image" in content:
            photo = photo_array(where, decode_image(where, io.BytesIO(content["image"])), self.size)
            sample["image"] = photo_tensor(photo).contiguous()
        return sample


def contents(shard: Shard) -> Iterator[tuple[str, dict[str, bytes]]]:
    """The samples of a shard as they lie, each with its files by role; the tar is read from begin to end. Raises DataError."""
    key, parts, seen = "", dict[str, bytes](), 0
    with shard.place.open(shard.name) as file:
        for member in members_of(file, shard.told, seek=False):
            if member.key != key and parts:
                yield key, parts
                parts, seen = {}, seen + 1
            key = member.key
            parts[member.role] = file.read(member.size)
            if len(parts[member.role]) < member.size:
                raise DataError(f"{shard.told} is cut off in {member.name}.")
    if parts:
        yield key, parts
        seen += 1
    check_count(shard, seen)


@dataclass(frozen=True)
class Shuffling:
    """A stage: each sample that comes takes the place of one that is drawn of those that wait. room: how many wait."""

    room: int
    seed: int
    epoch: torch.Tensor
    process: Callable[[], tuple[int, int]]

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        waiting: list[Sample] = []
        draws = self._draws()
        for sample in samples:
            if len(waiting) < self.room:
                waiting.append(sample)
                continue
            place = int(next(draws) * self.room)
            waiting[place], sample = sample, waiting[place]
            yield sample
        while waiting:
            place = int(next(draws) * len(waiting))
            waiting[place], waiting[-1] = waiting[-1], waiting[place]
            yield waiting.pop()

    def _draws(self) -> Iterator[float]:
        rng = Rng(self.seed, (int(self.epoch),)).within("shards", "samples", *self.process())
        for block in count():
            yield from rng.uniform(block, shape=(BLOCK,))[0].tolist()


@dataclass(frozen=True)
class Batching:
    """A stage: samples to batches."""

    size: int

    def __call__(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        rows = iter(samples)
        while batch := list(islice(rows, self.size)):
            yield {name: _joined([row[name] for row in batch]) for name in batch[0]}


def _joined(values: list[Any]) -> Any:
    return torch.stack(values) if isinstance(values[0], torch.Tensor) else values


def order(count: int, seed: int, epoch: int) -> list[int]:
    """The shards of an epoch in the order that is drawn, the same in every process."""
    return Rng(seed, (epoch,)).uniform("shards", "order", shape=(count,))[0].argsort(stable=True).tolist()
