"""Model folders: what is written, and that it comes back exactly."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_folder import TINY, tiny, tiny_folder

import zoo
from zoo.errors import DataError, UsageError, WeightsError
from zoo.files.tensors import count_parameters
from zoo.hub import resolve
from zoo.interfaces.models import Asset, Model
from zoo.labels import parse_space
from zoo.store.models import digests, save_model


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


def test_a_model_comes_back_equal_in_evaluation_mode_and_without_gradients(source: Path) -> None:
    model, loaded = tiny(), zoo.load(source)
    assert type(loaded) is type(model) and loaded.config == model.config and loaded.label_space == model.label_space
    ours, theirs = model.state_dict(), loaded.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[k], theirs[k]) and ours[k].dtype == theirs[k].dtype for k in ours)
    assert not any(m.training for m in loaded.modules()) and not any(p.requires_grad for p in loaded.parameters())


def test_config_json_holds_what_the_design_lists(source: Path) -> None:
    values = json.loads((source / "config.json").read_text())
    assert list(values) == [
        "architecture",
        "variant",
        "config",
        "label_space",
        "channels",
        "resolution",
        "dtype",
        "zoo_version",
    ]
    model = tiny()
    assert (
        values["architecture"] == "face-parser"
        and values["label_space"] == "celebamask-hq"
        and values["dtype"] == "float32"
    )
    assert (
        values["channels"] == list(model.channels)
        and values["resolution"] == [32, 32]
        and values["config"]["side"] == 32
    )
    assert set(load_file(source / "model.safetensors")) == set(model.state_dict())


def test_equal_models_give_equal_bytes(source: Path, tmp_path: Path) -> None:
    assert digests(zoo.save(tiny(), tmp_path / "again")) == digests(source)
    assert digests(zoo.save(zoo.load(source), tmp_path / "resaved")) == digests(source)


def test_float16_halves_parameters_and_leaves_buffers_alone(source: Path, tmp_path: Path) -> None:
    model = tiny()
    folder = zoo.save(model, tmp_path / "half", dtype="float16")
    stored, parameters = load_file(folder / "model.safetensors"), {n for n, _ in model.named_parameters()}
    buffers = {n for n, _ in model.named_buffers()} & set(stored)
    assert parameters and buffers and set(stored) == parameters | buffers
    assert {stored[n].dtype for n in parameters} == {torch.float16}
    assert torch.float16 not in {stored[n].dtype for n in buffers} and torch.float32 in {
        stored[n].dtype for n in buffers
    }
    loaded = zoo.load(folder).state_dict()
    for name, tensor in model.state_dict().items():
        expected = tensor.half().float() if name in parameters else tensor
        assert torch.equal(loaded[name], expected) and loaded[name].dtype == tensor.dtype, name


def test_files_are_readable_by_others_and_nothing_temporary_stays(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        folder = zoo.save(tiny(), tmp_path / "model")
    finally:
        os.umask(before)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o644}


def test_a_users_label_space_travels_in_the_folder(tmp_path: Path) -> None:
    space = parse_space({"name": "mine", "background": "none", "classes": ["none", "a", "b"]}, "here")
    model = zoo.create("face-parser", space=space, **TINY, channels=space.names)
    loaded = zoo.load(zoo.save(model, tmp_path / "mine"))
    assert loaded.label_space == space and loaded.channels == ("none", "a", "b")


def test_count_parameters_reads_the_header(source: Path) -> None:
    assert count_parameters(source / "model.safetensors") == sum(t.numel() for t in tiny().state_dict().values())


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Cannot write"):
        zoo.save(tiny(), tmp_path / "file" / "model")


# --- assets -------------------------------------------------------------------------------------------------------


@pytest.fixture
def demanding(monkeypatch: pytest.MonkeyPatch) -> Model:
    """The tiny model, as if its class declared a required asset of tensors and an optional one of JSON."""
    model = tiny()
    assets = {"codes": Asset("tensors", "mean codes", required=True), "counts": Asset("json", "counts")}
    monkeypatch.setattr(type(model), "ASSETS", assets)
    return model


def save(model: Model, folder: Path) -> Path:
    save_model(model, folder, architecture="face-parser")
    return folder


def test_assets_come_back_and_count_among_the_files(demanding: Model, tmp_path: Path) -> None:
    demanding.assets = {"codes": {"mean": torch.arange(3.0)}, "counts": {"hair": 2}}
    folder = save(demanding, tmp_path / "model")
    assert set(digests(folder)) == {
        "config.json",
        "model.safetensors",
        "assets/codes.safetensors",
        "assets/counts.json",
    }
    loaded = zoo.load(folder)
    assert loaded.assets["counts"] == {"hair": 2} and loaded.assets["codes"]["mean"].tolist() == [0, 1, 2]
    (folder / "assets/counts.json").unlink()
    assert "counts" not in zoo.load(folder).assets


def test_a_required_asset_is_demanded_on_the_way_out_and_in(demanding: Model, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="lacks the required asset codes"):
        save(demanding, tmp_path / "model")
    demanding.assets = {"codes": {"mean": torch.zeros(3)}}
    folder = save(demanding, tmp_path / "model")
    (folder / "assets/codes.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"lacks the required asset assets/codes.safetensors \(mean codes\)"):
        zoo.load(folder)


def test_damaged_and_undeclared_assets_are_refused(demanding: Model, tmp_path: Path) -> None:
    demanding.assets = {"codes": {"mean": torch.zeros(3)}, "counts": {}}
    folder = save(demanding, tmp_path / "model")
    (folder / "assets/counts.json").write_text("{")
    with pytest.raises(WeightsError, match=r"counts.json is not readable JSON"):
        zoo.load(folder)
    demanding.assets = {"codes": {}, "bank": {}}
    with pytest.raises(WeightsError, match=r"declares no asset bank \(declared: codes, counts\)"):
        save(demanding, tmp_path / "other")


def test_saving_over_a_folder_with_a_card_is_refused(source: Path, tmp_path: Path) -> None:
    folder = tmp_path / "published"
    model = zoo.load(source)
    zoo.save(model, folder)
    (folder / "README.md").write_text("---\nzoo: {}\n---\n")
    with pytest.raises(UsageError, match="holds a model with a card"):
        zoo.save(model, folder)


def test_a_training_run_stands_for_the_model_in_it(source: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    zoo.save(zoo.load(source), run / "model")
    assert resolve(str(run)).folder == run / "model"
    assert resolve(str(run)).name == "run"
