"""What we write, read by other people's libraries (`pip install maskzoo[interop]`); what is not installed is skipped by name."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT
from fixtures_models import Ran
from readers import READERS, Reader, judge, numbers_of, row, stripes, written

from zoo.registry import label_space, registry

pytestmark = pytest.mark.slow
Run = Callable[..., Ran]
SIZE = 32
"""The side of what the tiny models make."""


def library(name: str) -> Any:
    """A module; skips, saying why, where it cannot be imported."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library that is there and does not start is as absent
        pytest.skip(f"{name} cannot be imported ({type(error).__name__}: {error}): pip install 'maskzoo[interop]'")


@pytest.mark.parametrize("reader", READERS, ids=lambda r: f"{r.package}:{r.code}")
def test_the_table_of_readers(reader: Reader, tmp_path: Path) -> None:
    for module in reader.modules.values():
        library(module)
    colours = None
    for map_format, told in (("palette", reader.palette), ("grey", reader.grey)):
        path, numbers = written(tmp_path, "celebamask-hq", map_format)
        colours = (stripes("celebamask-hq").colorize()[0].permute(1, 2, 0) * 255).round().int().numpy()
        assert judge(reader.read(path), numbers, colours) == told
    assert row(reader) in (ROOT / "docs/maps.md").read_text("utf-8").splitlines(), (
        "run python tests/readers.py for the table"
    )


@pytest.mark.parametrize("name", sorted(registry().names("label_spaces")))
@pytest.mark.parametrize("reader", READERS, ids=lambda r: f"{r.package}:{r.code}")
def test_every_space_through_the_line_that_gives_numbers(reader: Reader, name: str, tmp_path: Path) -> None:
    for module in reader.modules.values():
        library(module)
    for map_format in ("palette", "grey") if reader.both else ("grey",):
        path, numbers = written(tmp_path, name, map_format)
        assert np.array_equal(reader.read_numbers(path), numbers), map_format


@pytest.fixture(params=["palette", "grey"])
def made(request: pytest.FixtureRequest, run: Run, pair: tuple[str, str], tmp_path: Path) -> Path:
    """A run folder of three pairs, with everything that can be asked for."""
    command = ("compose", "+".join(pair), "--labels", "skin,hair,nose", "-n", 3, "--seed", 5, "--device", "cpu")
    ran = run(*command, "--labelmap", "--map-format", request.param, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    return tmp_path / "run"


@pytest.mark.parametrize("how", ["imagefolder", "repository"])
def test_datasets(made: Path, tmp_path: Path, how: str) -> None:
    datasets = library("datasets")
    place = {"path": "imagefolder", "data_dir": str(made)} if how == "imagefolder" else {"path": str(made)}
    loaded = datasets.load_dataset(**place, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.column_names[:3] == ["image", "map", "index"] and len(loaded) == 3
    declared = _declared(datasets, made)
    assert list(declared) == loaded.column_names
    for index, sample in enumerate(loaded):
        assert np.array_equal(np.array(sample["map"]), numbers_of(made)[index])
        assert sample["image"].mode == "RGB" and sample["index"] == index and "skin" in sample["labels"]
    # a column of nothing but nulls has no type of its own; the others have the types of the card
    for name, feature in loaded.features.items():
        assert "null" in str(feature) or feature == declared[name], name


def _declared(datasets: Any, folder: Path) -> Any:
    import yaml

    head = (folder / "README.md").read_text("utf-8").split("---\n")[1]
    return datasets.Features._from_yaml_list(yaml.safe_load(head)["dataset_info"]["features"])


def test_datasets_of_maps_and_of_pictures_alone(run: Run, pair: tuple[str, str], made: Path, tmp_path: Path) -> None:
    datasets = library("datasets")
    out = tmp_path / "maps-only"
    assert run("generate", pair[0], "-n", 2, "--seed", 1, "--device", "cpu", "--out", out).code == 0
    for place in ({"path": "imagefolder", "data_dir": str(out)}, {"path": str(out)}):
        loaded = datasets.load_dataset(**place, split="train", cache_dir=str(tmp_path / "cache"))
        assert [np.array_equal(np.array(s["map"]), n) for s, n in zip(loaded, numbers_of(out), strict=True)] == [
            True
        ] * 2
    # as a run of an image generator leaves it
    lines = [json.loads(line) for line in (made / "metadata.jsonl").read_text().splitlines()]
    for line in lines:
        line["map_file_name"] = line["sha256"]["map"] = None
    (made / "metadata.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    loaded = datasets.load_dataset("imagefolder", data_dir=str(made), split="train", cache_dir=str(tmp_path / "cache"))
    assert [s["image"].size for s in loaded] == [(SIZE, SIZE)] * 3


def test_previews_are_no_samples_for_datasets(made: Path, tmp_path: Path) -> None:
    """What zoo parse leaves: maps, and their colours in __colors__."""
    datasets = library("datasets")
    folder = tmp_path / "parsed"
    (folder / "__colors__").mkdir(parents=True)
    for place in (folder, folder / "__colors__"):
        (place / "a.png").write_bytes((made / "maps/000000.png").read_bytes())
    loaded = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == 1


def test_webdataset(run: Run, made: Path, tmp_path: Path) -> None:
    wds = library("webdataset")
    assert run("data", "tar", f"folder:{made}", tmp_path / "run.tar").code == 0
    import PIL.Image

    def numbers(key: str, content: bytes) -> Any:
        """docs/maps.md, "As a tar for webdataset"."""
        return np.array(PIL.Image.open(io.BytesIO(content))) if key.endswith("map.png") else None

    samples = list(wds.WebDataset(str(tmp_path / "run.tar"), shardshuffle=False).decode(numbers, "torchrgb"))
    assert [s["__key__"] for s in samples] == ["000000", "000001", "000002"]
    for sample, expected in zip(samples, numbers_of(made), strict=True):
        assert np.array_equal(sample["map.png"], expected)
        assert sample["image.png"].shape == (3, SIZE, SIZE) and "skin" in sample["json"]["labels"]
    (first, *_) = wds.WebDataset(str(tmp_path / "run.tar"), shardshuffle=False).decode("l8")
    assert np.array_equal(first["map.png"], numbers_of(made)[0])


def test_datumaro(made: Path) -> None:
    datumaro = library("datumaro")
    space = label_space("celebamask-hq")
    data = datumaro.Dataset.import_from(str(made), "voc_segmentation")
    labels = [label.name for label in data.categories()[datumaro.AnnotationType.label]]
    assert labels == list(space.names) and len(data) == 3
    for item in data:
        numbers = np.full((SIZE, SIZE), -1)
        for part in item.annotations:
            numbers[part.image.astype(bool)] = part.label
        assert np.array_equal(numbers, numbers_of(made)[int(item.id)]) and item.media.data.shape == (SIZE, SIZE, 3)
