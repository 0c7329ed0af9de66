"""`zoo.data.shards`: shard folders as a webdataset pipeline of class numbers. Needs webdataset (extra `interop`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from zoo.data.sharded.finding import find, tell_left_out
from zoo.data.sharded.source import space_of
from zoo.data.sharded.stages import Reading
from zoo.errors import UsageError
from zoo.labels import LabelSpace


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
        raise UsageError(f"numbers is 'int64' or 'uint8', got {numbers!r}.")
    for name, value in (("shuffle", shuffle), ("seed", seed), ("batch_size", 1 if batch_size is None else batch_size)):
        if value < (name == "batch_size"):
            raise UsageError(f"<<{name}>> should be {int(name == 'batch_size')} or more, got {value}.")
    folders = find(str(urls) if isinstance(urls, str | Path) else [str(url) for url in urls])
    tell_left_out(folders)
    size = (resolution, resolution) if isinstance(resolution, int) else resolution
    reading = Reading(space_of(folders, [], space), split, size, numbers)
    found = [shard for folder in folders for shard in folder.shards]
    return ShardPipeline(found, reading, seed=seed, shuffle=shuffle, batch_size=batch_size, repeat=repeat)
