"""SEAN against vectors recorded from the authors' code: networks, the editor's styles, losses, gradients, an iteration, units, keys."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from official_files import official_lists
from safetensors.torch import load_file
from torch import Tensor

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.labels import numbered_space
from zoo_plugins.sean import official
from zoo_plugins.sean.config import VARIANTS, SEANConfig
from zoo_plugins.sean.model import SEAN

COUNTS = {"G": 266_907_367, "D": 1_364_098}


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "sean"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """(ours, recorded, the case), after a look that every recorded result is there."""
    io = load_file(folder / "io.safetensors")
    results = golden_module("replay").replay("sean", folder)
    tensors = {k for k in results if k.startswith(("out/", "train/", "eval/", "full/", "iter/"))}
    assert tensors == {k for k in io if not k.startswith("in/")}
    assert all(results[k].shape == io[k].shape and results[k].dtype == io[k].dtype for k in results if k in io)
    return results, io, json.loads((folder / "case.json").read_text())


@pytest.mark.parametrize("name", ["A_celeba96", "B_more_edges_b2", "E_units"])
def test_networks_styles_and_units(golden: Path, name: str) -> None:
    results, io, case = _results(golden / name)
    for key, expected in io.items():
        if key.startswith("in/"):
            continue
        tolerance = case["tolerance"]["full"] if key.startswith("full/") else case["tolerance"]
        if expected.is_floating_point():
            torch.testing.assert_close(
                results[key], expected, atol=tolerance["atol"], rtol=tolerance["rtol"], msg=f"{key}"
            )
        else:
            assert torch.equal(results[key], expected), key
    if name == "E_units":
        for key, value in case["full_codes_checks"].items():
            assert float(results[f"full_codes_checks/{key}"]) == pytest.approx(value, rel=1e-4, abs=1e-2)


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    results, io, case = _results(golden / "C_losses")
    values, limits = json.loads((golden / "C_losses/values.json").read_text()), case["tolerance"]
    for key in (k for k in io if not k.startswith("in/")):
        torch.testing.assert_close(results[key], io[key], atol=limits["atol"], rtol=limits["rtol"], msg=key)
    assert all(float(results[k]) == pytest.approx(case[k], rel=limits["losses_rtol"]) for k in ("G_total", "D_total"))
    for group in ("G_losses", "D_losses", "iter_losses"):
        for key, value in case[group].items():
            assert float(results[f"{group}/{key}"]) == pytest.approx(value, rel=limits["losses_rtol"]), key
    _same_gradients(results, values, limits)
    for key, (after, change) in values["iter_param_after_norm_changenorm"].items():
        network, rest = key.split(".", 1)
        if 0 < values[f"{network[-1]}_grad_norms"].get(rest, 0.0) < 1e-5:
            continue  # a sign of rounding, which Adam makes a step of
        ours = [float(results[f"iter_param_after_norm_changenorm/{key}/{i}"]) for i in (0, 1)]
        assert ours[0] == pytest.approx(after, rel=limits["rtol"], abs=limits["atol"]), key
        assert ours[1] == pytest.approx(change, rel=limits["change_norm_rtol"], abs=1e-9), key
    name = "lr_after_epoch_(epoch,lr_G,lr_D)"
    for row, (_, *rates) in enumerate(case[name]):
        ours = [float(results[f"{name}/{row}/{i}"]) for i in (1, 2)]
        assert ours == pytest.approx(rates, rel=1e-5, abs=1e-15)


def _same_gradients(results: dict[str, Tensor], values: dict[str, Any], limits: dict[str, float]) -> None:
    """The same norms, and none for the same parameters: layers of regions that no map of the batch shows, numbers without use."""
    for network in "GD":
        prefix = f"{network}_grad_norms/"
        ours = {k.removeprefix(prefix): float(v) for k, v in results.items() if k.startswith(prefix)}
        for key, value in values[f"{network}_grad_norms"].items():
            # a bias before a norm gets nothing but rounding, which differs from one machine to the next
            near = pytest.approx(value, rel=limits["grad_norm_rtol"], abs=5 * limits["grad_norm_atol"])
            assert ours[key] == near, key
        assert set(ours) == set(values[f"{network}_grad_norms"])
    assert not {k for k in values["G_params_without_grad"] if f"G_grad_norms/{k}" in results}


def test_preprocessing(golden: Path) -> None:
    results, io, case = _results(golden / "P_preprocess")
    for key, value in results.items():
        if key.endswith("image_u8"):
            assert (value.int() - io[key].int()).abs().max() <= 1, key
        else:
            assert torch.equal(value, io[key]), key
    overlap = case["info"]["g_mask_overlap"]
    merged = golden_module("sean_units").from_boxes(overlap["boxes_x0_y0_x1_y1"])
    assert hashlib.sha256(merged.tobytes()).hexdigest() == overlap["sha256"]


def test_keys_shapes_and_parameter_counts(golden: Path) -> None:
    lists = official_lists(golden / "D_official_keys/official_keys.json")
    generator, discriminator = (next(v for k, v in lists.items() if k.endswith(f"net_{n}.pth")) for n in "GD")
    with torch.device("meta"):
        model = SEAN(VARIANTS["celeba"].config, numbered_space(19))
        d = MultiscaleDiscriminator(22, 64, 3, 2, last_stride=2)
    for network, role, theirs in ((model, "generator", generator), (d, "discriminator", discriminator)):
        state = network.state_dict()
        names = official.official_names(role, state)
        assert {names[k]: tuple(v.shape) for k, v in state.items()} == theirs
        assert {(official.rename(role, k, theirs) or "").removeprefix("discriminator.") for k in theirs} == set(state)
    counts = json.loads((golden / "D_official_keys/case.json").read_text())["parameters"]
    for name, network in (("G", model), ("D", d)):
        assert sum(p.numel() for p in network.parameters()) == COUNTS[name] == counts[name]
    match = official.detect(generator)
    assert match is not None and match.complete and not match.config and SEANConfig(**match.config) == SEANConfig()
