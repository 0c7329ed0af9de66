"""SIMS against vectors recorded from the authors' code: networks, losses, gradients, bank, retrieval, canvas, key lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

from zoo.registry import label_space, registry
from zoo_plugins.sims import official

pytestmark = pytest.mark.usefixtures("one_thread")
NETWORKS = {
    "transform": ("transform", "cityscapes-512", 14_734_086),
    "order": ("order", "cityscapes-512", 15_267_476),
    "synthesis_256_512": ("synthesis", "cityscapes-256", 55_671_319),
    "synthesis_512": ("synthesis", "cityscapes-512", 56_138_903),
    "synthesis_1024": ("synthesis", "cityscapes-1024", 56_138_987),
}


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden/sims"


def replayed(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded tensors and numbers), after a look that every recorded result is there."""
    found = golden_module("replay").replay("sims", folder)
    tensors = load_file(folder / "io.safetensors")
    recorded = {k: v for k, v in tensors.items() if not k.startswith("in/") and "/in/" not in k}
    if (folder / "values.json").exists():
        recorded |= numbers("", json.loads((folder / "values.json").read_text()))
    assert set(found) == set(recorded)
    assert all(found[k].shape == v.shape for k, v in recorded.items())
    return found, recorded


def numbers(path: str, value: Any) -> dict[str, Tensor]:
    """All numbers of a nested value by their paths."""
    if not isinstance(value, dict | list):
        return {path: torch.tensor(value)}
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, inner in parts for k, v in numbers(f"{path}/{key}".strip("/"), inner).items()}


@pytest.mark.parametrize(
    "name",
    ["A_order", "A_synthesis_256style", "A_synthesis_512style", "A_transform", "C_synthesis_1024style", "E_spatial_transformer"],
)  # fmt: skip
def test_networks_losses_and_gradients(golden: Path, name: str) -> None:
    """The cases' own tolerances are 1e-2 for images in 0..255, 2e-4 for features, 1e-5 for losses, 1e-3 for gradients."""
    found, recorded = replayed(golden / name)
    for key, value in recorded.items():
        ours = found[key]
        if not value.is_floating_point():
            assert torch.equal(ours, value), key
        elif "grad" in key:
            scale = max(float(value.abs().max()), 1e-6)
            torch.testing.assert_close(ours, value, atol=1e-4 * scale, rtol=1e-4, msg=key, check_dtype=False)
        elif "image" in key:
            torch.testing.assert_close(ours, value, atol=1e-3, rtol=0, msg=key)
        elif value.dim() == 0:
            torch.testing.assert_close(ours, value, atol=0, rtol=1e-5, msg=key, check_dtype=False)
        else:
            torch.testing.assert_close(ours, value, atol=2e-5, rtol=1e-5, msg=key)


def test_bank_retrieval_pairs_and_canvas_are_equal(golden: Path) -> None:
    """To the last bit, also where the case allows another detector of borders."""
    found, recorded = replayed(golden / "M_memory_canvas")
    for key, value in recorded.items():
        assert found[key].dtype == value.dtype and torch.equal(found[key], value), key


@pytest.mark.parametrize("name", NETWORKS)
def test_key_lists_and_counts(golden: Path, name: str) -> None:
    role, variant, count = NETWORKS[name]
    assert golden_module("replay").replay("sims", golden / "D_official_keys") == {}
    keys = json.loads((golden / "D_official_keys/official_keys.json").read_text())[name]
    config = registry().variant(f"sims/{variant}")[2].config
    with torch.device("meta"):
        model = registry().load(registry().architecture("sims"), "model")(config, label_space("gta5"))
    network = model.get_submodule(role)
    expected = {official.rename(k): tuple(v["torch_shape"]) for k, v in keys.items()}
    assert expected == {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert all(official.rename(k) == v["torch_key"] for k, v in keys.items())
    assert all(official.official_name(v["torch_key"]) == k for k, v in keys.items())
    assert sum(p.numel() for p in network.parameters()) == count
    assert sum(p.numel() for p in model.parameters()) == registry().architecture("sims").parameters[variant]
    for form in ("tf_shape", "torch_shape"):
        match = official.detect({k: tuple(v[form]) for k, v in keys.items()})
        assert match is not None and match.complete and match.role == role
        told = type(config)(**match.config)
        fields = [f for f in vars(config) if f not in match.ambiguous]
        assert {f: getattr(told, f) for f in fields} == {f: getattr(config, f) for f in fields}
