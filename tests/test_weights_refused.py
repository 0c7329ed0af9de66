"""Every damaged or foreign model folder is refused with what is wrong and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_folder import TINY, tiny, tiny_folder

import zoo
from zoo.errors import ConfigError, LabelError, UsageError, WeightsError
from zoo.files.tensors import load_strict, read_tensors
from zoo.store.models import load_model, verify_files


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Path:
    """A copy of a whole model folder, to be damaged."""
    return Path(shutil.copytree(source, tmp_path / "tiny"))


def without_card(folder: Path) -> Path:
    (folder / "README.md").unlink(missing_ok=True)
    return folder


def change_config(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    values = json.loads((folder / "config.json").read_text())
    change(values)
    (without_card(folder) / "config.json").write_text(json.dumps(values))


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, without_card(folder) / "model.safetensors")


def test_no_folder_no_config_no_weights(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="There is no model folder"):
        zoo.load(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"There is no model folder .*nowhere"):
        zoo.load(f"{tmp_path}/nowhere")
    with pytest.raises(WeightsError, match="There is no model folder"):
        zoo.load(folder / "config.json")
    (without_card(folder) / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"There is no weights file .*model.safetensors"):
        zoo.load(folder)
    (folder / "config.json").unlink()
    (folder / "notes.txt").write_text("")
    with pytest.raises(WeightsError, match=r"has no config.json \(found: notes.txt\)"):
        zoo.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("channels"), "missing field 'channels'"),
        (lambda v: v.update(colour=1), "unknown field 'colour'"),
        (lambda v: v["config"].pop("side"), "missing field 'side'"),
        (lambda v: v["config"].update(sied=1), "unknown field 'sied'; did you mean 'side'"),
        (lambda v: v["config"].update(side="wide"), "field 'side': expected int, got 'wide'"),
        (lambda v: v.update(config=None), "ill-typed field 'config': None"),
        (lambda v: v.update(architecture=["face-parser"]), "ill-typed field 'architecture'"),
        (lambda v: v.update(resolution=[64, 64]), r"disagree with the config \(config gives 32 x 32"),
        (lambda v: v["channels"].reverse(), "channels or resolution disagree"),
    ],
)
def test_a_config_with_wrong_fields_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    change_config(folder, change)
    with pytest.raises(ConfigError, match=message) as caught:
        zoo.load(folder)
    assert "config.json" in str(caught.value)


def test_unknown_architectures_and_spaces_are_refused(folder: Path) -> None:
    change_config(folder, lambda v: v.update(architecture="face-parsr"))
    with pytest.raises(UsageError, match="'face-parsr'; did you mean 'face-parser'"):
        zoo.load(folder)
    change_config(folder, lambda v: v.update(architecture="face-parser", label_space="celeba"))
    with pytest.raises(UsageError, match="No label space 'celeba'"):
        zoo.load(folder)
    change_config(folder, lambda v: v.update(label_space={"name": "x"}))
    with pytest.raises(LabelError, match=r"config\.json"):
        zoo.load(folder)


@pytest.mark.parametrize("content", ["{", "[]", "\xff"])
def test_a_config_that_is_no_json_object_is_refused(folder: Path, content: str) -> None:
    (without_card(folder) / "config.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"config\.json"):
        zoo.load(folder)


def test_missing_unknown_and_ill_shaped_tensors_are_all_named(folder: Path) -> None:
    names = [n for n, p in tiny().named_parameters() if p.dim() == 4]

    def change(tensors: dict[str, torch.Tensor]) -> None:
        del tensors[names[0]]
        tensors["stranger.weight"] = torch.zeros(1)
        tensors[names[1]] = torch.zeros(3, 3)

    change_weights(folder, change)
    total = len(tiny().state_dict())
    with pytest.raises(WeightsError) as caught:
        zoo.load(folder)
    text = str(caught.value)
    assert f"{total - 2} of {total} tensors match" in text and f"missing: {names[0]}" in text
    assert "unknown: stranger.weight" in text and f"{names[1]} (3, 3) instead of" in text


def test_weights_of_another_config_or_architecture_are_refused(folder: Path, tmp_path: Path) -> None:
    other = zoo.save(tiny(feature_scale=16), tmp_path / "wider")
    shutil.copy(other / "model.safetensors", without_card(folder))
    with pytest.raises(
        WeightsError,
        match=r"does not fit FaceParser: \d+ of \d+ tensors match; shapes: .*another architecture or config",
    ):
        zoo.load(folder)
    save_file({f"generator.{i}": torch.zeros(1) for i in range(6)}, folder / "model.safetensors")
    with pytest.raises(
        WeightsError,
        match=r"0 of \d+ tensors match; missing: .* in all; unknown: generator.0, generator.1, generator.2, generator.3, … 6 in all",
    ):
        zoo.load(folder)


def test_a_refused_file_leaves_the_network_as_it_was(folder: Path) -> None:
    change_weights(folder, lambda t: t.update(stranger=torch.zeros(1)))
    model = zoo.create("face-parser", **TINY)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(WeightsError):
        load_strict(model, folder / "model.safetensors")
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())


@pytest.mark.parametrize("keep", [0, 5, 300, -1])
def test_a_truncated_weights_file_is_refused(folder: Path, keep: int) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(WeightsError, match="does not match its card: sha256"):
        zoo.load(folder)
    without_card(folder)
    with pytest.raises(WeightsError, match=rf"damaged or no safetensors file .*{path.stat().st_size} bytes"):
        zoo.load(folder)


def test_files_that_differ_from_the_card_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"model.safetensors does not match its card: sha256 \w{64}, expected \w{64}"
    ):
        zoo.load(folder)
    assert load_model(folder, check=False).config.side == 32
    path.unlink()
    with pytest.raises(WeightsError, match=r"the card lists model.safetensors, which is missing"):
        zoo.load(folder)
    with pytest.raises(WeightsError, match=r"config\.json does not match"):
        verify_files(folder, {"config.json": "0" * 64})


def test_other_checkpoint_formats_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"x")
    with pytest.raises(WeightsError, match="only safetensors files are loaded"):
        read_tensors(tmp_path / "net.pth")


def test_a_config_of_a_far_larger_network_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    """A stranger's config.json beside small weights: refused by what it would allocate."""
    folder = tmp_path / "large"
    zoo.save(zoo.create("spade/celeba-128"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["config"] |= {"ngf": 60_000, "max_width": 0, "spade_hidden": 60_000}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match="far larger than its weights file, which holds 4,"):
        zoo.load(folder)
