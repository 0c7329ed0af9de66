"""`zoo.data.shards`: the webdataset pipeline, in a DataLoader's workers, in several processes; and Hugging Face's reader of the same tars."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shard_folders import face, write_shards
from test_interop import library

import zoo.data
from zoo.data.sharded.stages import Shuffling
from zoo.errors import DataError, UsageError


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty faces, four a shard."""
    return write_shards(tmp_path_factory.mktemp("stream") / "faces", 20, 4)


@pytest.fixture(autouse=True)
def needs_webdataset() -> None:
    """Skips where it is not installed."""
    library("webdataset")


def names(samples: Any) -> list[str]:
    return [sample["name"] for sample in samples]


def test_class_numbers_and_pictures(shards: Path) -> None:
    import torch

    for index, sample in enumerate(zoo.data.shards(shards)):
        picture, labels = face(index)
        assert sample["map"].dtype == torch.int64 and np.array_equal(sample["map"], labels)
        assert sample["image"].dtype == torch.float32
        assert np.array_equal(sample["image"].permute(1, 2, 0) * 255, picture.astype(np.float32))
        assert sample["record"]["index"] == index and sample["name"] == f"{index:09d}"
    assert index == 19
    small = next(iter(zoo.data.shards(shards, numbers="uint8", resolution=(16, 20))))
    assert small["map"].dtype == torch.uint8 and small["image"].shape == (3, 16, 20)


def test_places_splits_and_stages(shards: Path) -> None:
    brace = zoo.data.shards(f"{shards}/shard-{{000001..000002}}.tar")
    assert names(brace) == [f"{i:09d}" for i in range(4, 12)]
    tars = [shards / f"shard-00000{n}.tar" for n in (3, 0)]
    assert names(zoo.data.shards(tars)) == [f"{i:09d}" for i in (*range(4), *range(12, 16))]
    by_split = [names(zoo.data.shards(shards, split=split)) for split in ("train", "val", "test")]
    assert sorted(n for part in by_split for n in part) == [f"{i:09d}" for i in range(20)]
    chosen = zoo.data.shards(shards).select(lambda s: "hair" in s["record"]["labels"]).slice(2)
    assert all((sample["map"] == 13).any() for sample in chosen)


def test_order_is_drawn_from_seed_and_epoch(shards: Path) -> None:
    stream = zoo.data.shards(shards, shuffle=6, seed=3)
    first, again = names(stream), names(stream)
    stream.set_epoch(1)
    second = names(stream)
    assert first == again != second and sorted(first) == sorted(second) == [f"{i:09d}" for i in range(20)]
    assert names(zoo.data.shards(shards, shuffle=6, seed=4)) != first
    assert first == names(pickle.loads(pickle.dumps(zoo.data.shards(shards, shuffle=6, seed=3))))
    endless = zoo.data.shards(shards, shuffle=6, seed=3, repeat=True).with_epoch(50)
    assert len(names(endless)) == 50


def test_shuffling_loses_nothing() -> None:
    import torch

    for room in (1, 3, 100):
        rows = [{"name": str(i)} for i in range(30)]
        mixed = names(Shuffling(room, 0, torch.zeros((), dtype=torch.int64), lambda: (0, 0))(rows))
        assert sorted(mixed) == sorted(names(rows)) and (mixed != names(rows)) == (room > 1)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_a_loader_with_workers(shards: Path, start: str) -> None:
    """The example of docs/shards.md."""
    from torch.utils.data import DataLoader

    stream = zoo.data.shards(shards, shuffle=8, batch_size=3)
    loader = DataLoader(stream, batch_size=None, num_workers=2, persistent_workers=True, multiprocessing_context=start)
    epochs = []
    for epoch in range(2):
        stream.set_epoch(epoch)
        batches = list(loader)
        assert all(b["image"].shape[1:] == (3, 32, 32) and b["map"].shape[1:] == (32, 32) for b in batches)
        assert all(len(b["record"]) == len(b["name"]) == len(b["map"]) for b in batches)
        epochs.append([name for batch in batches for name in batch["name"]])
    assert sorted(epochs[0]) == sorted(epochs[1]) == [f"{i:09d}" for i in range(20)] and epochs[0] != epochs[1]


def test_processes_share_the_shards(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    parts = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        parts.append(names(zoo.data.shards(shards, shuffle=2, seed=1)))
    assert sorted(parts[0] + parts[1]) == [f"{i:09d}" for i in range(20)]
    monkeypatch.setenv("WORLD_SIZE", "6")
    with pytest.raises(UsageError, match="5 shards cannot be divided among 6 processes"):
        next(iter(zoo.data.shards(shards)))


def test_a_url(shards: Path) -> None:
    import fsspec

    system = fsspec.filesystem("memory")
    system.put(str(shards), "/test_stream/faces", recursive=True)
    try:
        assert len(names(zoo.data.shards("memory://test_stream/faces"))) == 20
    finally:
        system.rm("/test_stream", recursive=True)
    assert len(names(zoo.data.shards(f"file://{shards}"))) == 20


def test_what_is_refused(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, told in (
        ({"batch_size": 0}, "1 or more"),
        ({"shuffle": -1}, "0 or more"),
        ({"numbers": "int32"}, "uint8"),
    ):
        with pytest.raises(UsageError, match=told):
            zoo.data.shards(shards, **given)
    with pytest.raises(UsageError, match="No shards were named"):
        zoo.data.shards([])
    other = write_shards(tmp_path / "some", 8, 4)
    (other / "shard-000001.json").unlink()
    with pytest.warns(UserWarning, match=r"shard-000001\.tar is not finished"):
        assert len(names(zoo.data.shards(other))) == 4
    content = (other / "shard-000000.tar").read_bytes()
    (other / "shard-000000.tar").write_bytes(content[:5000] + bytes(len(content) - 5000))
    with pytest.warns(UserWarning), pytest.raises(DataError, match=r"shard-000000\.tar"):
        names(zoo.data.shards(other))
    monkeypatch.setitem(sys.modules, "webdataset", None)
    monkeypatch.delitem(sys.modules, "zoo.data.sharded.pipeline")
    with pytest.raises(UsageError, match="pip install 'maskzoo\\[interop\\]'"):
        zoo.data.shards(shards)


@pytest.mark.slow
def test_webdataset_alone(shards: Path) -> None:
    """What its own decoders make of our tars: docs/maps.md says that they read grey maps right."""
    import PIL.Image

    wds = library("webdataset")

    def numbers(key: str, content: bytes) -> Any:
        return np.array(PIL.Image.open(io.BytesIO(content))) if key.endswith("map.png") else None

    urls = [str(p) for p in sorted(shards.glob("*.tar"))]
    for index, sample in enumerate(wds.WebDataset(urls, shardshuffle=False).decode(numbers, "torchrgb")):
        assert np.array_equal(sample["map.png"], face(index)[1])
    assert index == 19


@pytest.mark.slow
@pytest.mark.parametrize("streaming", [False, True])
def test_datasets(shards: Path, tmp_path: Path, streaming: bool) -> None:
    """The example of docs/shards.md."""
    datasets = library("datasets")
    value = datasets.Value("string")
    features = {"__key__": value, "__url__": value, "image.png": datasets.Image(), "map.png": datasets.Image()}
    features["json"] = datasets.Json()
    place = {"data_files": {"train": f"{shards}/shard-*.tar"}, "cache_dir": str(tmp_path)}
    loaded = datasets.load_dataset(
        "webdataset", split="train", streaming=streaming, features=datasets.Features(features), **place
    )
    for index, sample in enumerate(loaded):
        assert np.array_equal(np.array(sample["map.png"]), face(index)[1]) and sample["map.png"].mode == "L"
        assert np.array_equal(np.array(sample["image.png"]), face(index)[0])
        assert sample["json"]["index"] == index
    assert index == 19
