"""`zoo.data.shards`: shard folders as a webdataset pipeline of class numbers. Needs webdataset (extra `interop`)."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, Literal

import torch

from zoo.data.files import label_array, photo_array
from zoo.data.sharded.finding import Shard, find, tell_left_out
from zoo.data.sharded.members import members_of
from zoo.data.sharded.source import space_of
from zoo.errors import DataError, UsageError
from zoo.files.decoding import decode_image
from zoo.files.images import photo_tensor
from zoo.files.jsonfiles import parse_json
from zoo.labels import LabelSpace
from zoo.rng import Rng

Sample = dict[str, Any]
BLOCK = 1024
"""Draws at once."""


def shards(
    urls: str | Path | Sequence[str | Path],
    *,
    split: str | None = None,
    resolution: int | tuple[int, int] | None = None,
    numbers: Literal["int64", "uint8"] = "int64",
    shuffle: int = 0,
    seed: int = 0,
    batch_size: int | None = None,
    repeat: bool = False,
    space: LabelSpace | None = None,
) -> Any:
    """The samples of all finished shards, as a `webdataset.DataPipeline`: iterate it, add stages (`.compose`), or give it to a
    `torch.utils.data.DataLoader` (with `batch_size`: `DataLoader(…, batch_size=None)`).

    A sample is {"name", "map": numbers [H, W], "record": dict} and, where there are pictures, "image": float32 [3, H, W] in [0, 1].
    With `batch_size` a batch is {"name": list, "map": [B, H, W], "record": list, "image": [B, 3, H, W]}; the last may be smaller.

    urls: a folder, an fsspec URL (`s3://`, `hf://`, …), tars (`DIR/shard-{000000..000012}.tar`), or a list of such. split: only samples of
    it, by their records. resolution: side or (H, W) (pictures bicubic, maps nearest); None: as they are. shuffle: samples that wait to
    be drawn from (0: no shuffling); then the order of the shards is drawn as well. Both depend on (`seed`, the epoch, the process) alone;
    `pipeline.set_epoch(n)` before each epoch gives each another order. repeat: without end, one epoch after the other.
    Shards are divided among the processes of a training (torch.distributed, or RANK and WORLD_SIZE) and among the workers of the loader.
    A shard that is not finished is left out with a warning. Raises DataError where none is left, UsageError without webdataset and for
    fewer shards than processes.
    """
    try:
        from zoo.data.sharded.pipeline import ShardPipeline
    except ImportError as error:
        raise UsageError("zoo.data.shards needs webdataset: pip install 'maskzoo[interop]'.") from error
    if numbers not in ("int64", "uint8"):
        raise UsageError(f'<<numbers="int64">> or <<numbers="uint8">>, got {numbers!r}.')
    for name, value in (("shuffle", shuffle), ("seed", seed), ("batch_size", 1 if batch_size is None else batch_size)):
        if value < (name == "batch_size"):
            raise UsageError(f"<<{name}>> should be {int(name == 'batch_size')} or more, got {value}.")
    folders = find(str(urls) if isinstance(urls, str | Path) else [str(url) for url in urls])
    tell_left_out(folders)
    size = (resolution, resolution) if isinstance(resolution, int) else resolution
    reading = Reading(space_of(folders, [], space), split, size, numbers)
    found = [shard for folder in folders for shard in folder.shards]
    return ShardPipeline(found, reading, seed=seed, shuffle=shuffle, batch_size=batch_size, repeat=repeat)


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
    key, parts = "", dict[str, bytes]()
    with shard.place.open(shard.name) as file:
        for member in members_of(file, shard.told, seek=False):
            if member.key != key and parts:
                yield key, parts
                parts = {}
            key = member.key
            parts[member.role] = file.read(member.size)
            if len(parts[member.role]) < member.size:
                raise DataError(f"{shard.told} is cut off in {member.name}.")
    if parts:
        yield key, parts


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
