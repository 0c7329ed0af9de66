"""MUNIT against vectors recorded from the authors' code: networks, losses, gradients, an iteration, units, key lists, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.registry import label_space
from zoo_plugins.munit import official
from zoo_plugins.munit.config import VARIANTS, MunitConfig
from zoo_plugins.munit.discriminator import MultiscaleDiscriminator
from zoo_plugins.munit.model import MUNIT, NAMES

VANISHING = 1e-4
"""Gradient norms below this are rounding (biases in front of instance norms), of which Adam makes steps of its full rate."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "munit"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict]:
    """(ours, recorded tensors and numbers, tolerances), after a look that every recorded one is there."""
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    values = folder / "values.json"
    if values.exists():
        expected |= {k: torch.tensor(v) for k, v in json.loads(values.read_text()).items()}
    found = golden_module("replay").replay("munit", folder)
    assert set(found) == set(expected) and found
    assert all(found[k].shape == expected[k].shape for k in found)
    return found, expected, json.loads((folder / "case.json").read_text())["tolerance"]


def _close(found: dict[str, Tensor], expected: dict[str, Tensor], names: list[str], atol: float, rtol: float) -> None:
    assert names
    for name in names:
        torch.testing.assert_close(found[name].float(), expected[name].float(), atol=atol, rtol=rtol, msg=name)


def test_networks(golden: Path) -> None:
    found, expected, allowed = _results(golden / "A_translate")
    _close(found, expected, list(found), allowed["atol"], allowed["rtol"])


def test_units(golden: Path) -> None:
    found, expected, allowed = _results(golden / "E_units")
    gradients = [k for k in found if "dis_grad_norm" in k]
    rest = [k for k in found if k not in gradients]
    _close(found, expected, rest, allowed["atol"], allowed["rtol"])
    _close(found, expected, gradients, allowed["grad_norm_atol"], allowed["grad_norm_rtol"])


@pytest.mark.parametrize("name", ["C_losses_full", "C2_losses_nsgan_batch1"])
def test_losses_gradients_and_an_iteration(golden: Path, name: str) -> None:
    found, expected, allowed = _results(golden / name)
    losses = [k for k in found if "/loss_" in k or k == "lr"]
    norms = [k for k in found if "grad_norm" in k]
    tensors = [k for k in found if "/grad/" in k or k.startswith("gen/x_")]
    _close(found, expected, losses, 1e-7, allowed["losses_rtol"])
    _close(found, expected, norms, allowed["grad_norm_atol"], allowed["grad_norm_rtol"])
    _close(found, expected, tensors, allowed["tensors"]["atol"], allowed["tensors"]["rtol"])
    vanishing = {k.partition("grad_norm/")[2] for k in norms if float(expected[k]) < VANISHING}
    assert len(vanishing) >= 20
    stepped = [k for k in found if k.startswith("iter/") and k.split("/", 2)[2] not in vanishing]
    _close(found, expected, [k for k in stepped if "/param/" in k], allowed["iter_param"]["atol"], 0)
    for key in (k for k in stepped if "/param_after/" in k):
        after, change = found[key] - expected[key]
        assert abs(float(after)) <= 5e-6 * max(1.0, float(expected[key][0])), key
        assert abs(float(change)) <= allowed["param_change_norm_rtol"] * float(expected[key][1]), key


def test_pictures_and_the_test_script(golden: Path) -> None:
    found, expected, allowed = _results(golden / "P_preprocess_and_test_script")
    levels = [k for k in found if k.endswith("_u8")]
    assert len(levels) == 6
    for key in levels:
        assert int((found[key].int() - expected[key].int()).abs().max()) <= 1, key
    floats = [k for k in found if k not in levels]
    _close(found, expected, floats, allowed["float outputs"]["atol"], 0)


# --- key lists ----------------------------------------------------------------------------------------------------


def _files(golden: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of both files of all configs, as they lie in a file: `a.…` and `b.…`."""
    lists = json.loads((golden / "D_official_keys/official_keys.json").read_text())["configs"]["all six yaml files"]
    return {
        file: {f"{name}.{key}": tuple(shape) for name in NAMES for key, shape in lists[file]["a"].items()}
        for file in ("gen_%08d.pt", "dis_%08d.pt")
    }


def test_official_keys_counts_and_detection(golden: Path) -> None:
    case = json.loads((golden / "D_official_keys/case.json").read_text())
    assert golden_module("replay").replay("munit", golden / "D_official_keys") == {}
    files, counts = _files(golden), case["parameters"]
    with torch.device("meta"):
        model = MUNIT(MunitConfig(), label_space("domains"))
        discriminator = nn.ModuleDict({name: MultiscaleDiscriminator() for name in NAMES})
    assert [sum(p.numel() for p in m.parameters()) for m in model.generators.values()] == [counts["gen (each)"]] * 2
    children = {n: sum(p.numel() for p in m.parameters()) for n, m in model.generators["a"].named_children()}
    assert children == counts["gen_by_child"]
    total = sum(p.numel() for m in (model, discriminator) for p in m.parameters())
    assert total == counts["total"] and sum(p.numel() for p in discriminator["a"].parameters()) == counts["dis (each)"]
    for role, file, ours in (
        ("generator", "gen_%08d.pt", model.generators),
        ("discriminator", "dis_%08d.pt", discriminator),
    ):
        shapes = files[file]
        assert len(shapes) == 2 * counts["keys"]["gen" if role == "generator" else "dis"]
        kept = {k: v for k, v in shapes.items() if official.rename(role, k)}
        assert kept == {k: tuple(v.shape) for k, v in ours.state_dict().items()}
        match = official.detect(shapes)
        assert match is not None and match.complete and match.role == role and match.config == {}
    assert all(v.config in (MunitConfig(), MunitConfig(resolution=512)) for n, v in VARIANTS.items() if n != "small-64")


def test_files_of_pytorch_0_3(golden: Path) -> None:
    """They hold running statistics of the content encoder, which the authors' script drops."""
    lists = json.loads((golden / "D_official_keys/official_keys.json").read_text())
    extra = lists["configs"]["all six yaml files"]["extra_keys_of_pytorch_0.3_gen_files"]
    shapes = _files(golden)["gen_%08d.pt"]
    biases = {key: shapes[f"a.{key.rpartition('.norm.')[0]}.conv.bias"] for key in extra}
    old = shapes | {f"{name}.{key}": shape for name in NAMES for key, shape in biases.items()}
    match = official.detect(old)
    assert len(extra) == 22 and match is not None and match.complete and match.config == {}
    first = next(k for k in old if k not in shapes)
    lacking = official.detect({k: v for k, v in old.items() if k != first})
    assert lacking is not None and lacking.missing == (first,)
    assert official.rename("generator", first) == "" and official.rename("generator", "c.mlp.model.0.fc.bias") is None


def test_a_checkpoint_of_the_authors_is_the_recorded_weights(golden: Path) -> None:
    folder = golden / "A_translate"
    weights = load_file(folder / "weights.safetensors")
    for short, role in (("gen", "generator"), ("dis", "discriminator")):
        (path,) = folder.glob(f"official_checkpoint_{short}_*.pt")
        state = torch.load(path, weights_only=True)
        flat = {f"{name}.{key}": value for name in NAMES for key, value in state[name].items()}
        recorded = {k.removeprefix(f"{short}_"): v for k, v in weights.items() if k.startswith(f"{short}_")}
        found, expected = (official.convert({role: s}) for s in (flat, recorded))
        assert found.keys() == expected.keys() and all(torch.equal(v, expected[k]) for k, v in found.items())
