"""CLADE against vectors recorded from the authors' code: networks, losses, gradients, an iteration, units, key lists, positions, data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.labels import numbered_space
from zoo.nn.positions import class_positions
from zoo_plugins.clade import official
from zoo_plugins.clade.config import VARIANTS, CladeConfig
from zoo_plugins.clade.model import CLADE

CLASSES = {"coco": 183, "ade20k": 151, "cityscapes": 35}
LISTED = ("ade20k", "ade20k-icpe", "ade20k-vae", "cityscapes", "cityscapes-icpe", "coco", "coco-icpe")
"""Configs whose keys are recorded; the numbers of parameters are for all."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "clade"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded), after a look that every recorded result is there."""
    module = golden_module("clade")
    results = module.replay(folder)
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    if (folder / "values.json").exists():
        expected |= module.family.values_of(json.loads((folder / "values.json").read_text()))
    assert set(results) == set(expected)
    assert all(results[k].shape == v.shape and results[k].dtype == v.dtype for k, v in expected.items())
    return results, expected


@pytest.mark.parametrize("name", ["A_ade20k_icpe", "B_cityscapes_more_inst_icpe", "E_units"])
def test_networks_and_units(golden: Path, name: str) -> None:
    tolerance = json.loads((golden / name / "case.json").read_text())["tolerance"]
    results, expected = _results(golden / name)
    for key, value in results.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[key], atol=tolerance["atol"], rtol=tolerance["rtol"], msg=key)
        else:
            assert torch.equal(value, expected[key]), key


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    results, expected = _results(golden / "C_losses_icpe_inst")
    for key, value in results.items():
        other, scale = expected[key], float(expected[key].abs().max())
        if "param_after" in key:
            # sum, norm, norm of the change: the first Adam step is a sign, which rounding turns where a gradient is almost 0
            name = key.removeprefix("iter/param_after/")
            if expected[f"train/{'D' if name.startswith('netD') else 'G'}/grad_norm/{name}"] < 1e-5:
                # a bias in front of a norm: its gradient is rounding alone
                torch.testing.assert_close(value, other, atol=2e-3, rtol=0, msg=key)
                continue
            torch.testing.assert_close(value[:2], other[:2], atol=2e-4 * scale + 0.2 * float(other[2]), rtol=2e-4, msg=key)  # fmt: skip
            torch.testing.assert_close(value[2:], other[2:], atol=1e-5, rtol=1e-2, msg=key)
        elif "grad" in key:
            torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-3, msg=key)
        else:
            torch.testing.assert_close(value, other, atol=1e-5, rtol=2e-4, msg=key)


@pytest.mark.parametrize("name", ["A_ade20k_icpe", "B_cityscapes_more_inst_icpe", "C_losses_icpe_inst", "E_units"])
def test_positions_on_the_fly_are_those_of_the_authors_files(golden: Path, name: str) -> None:
    io = load_file(golden / name / "io.safetensors")
    assert torch.equal(class_positions(io["in/label_u8"][:, 0].long()), io["in/dist"])


def test_photos_maps_and_positions_of_the_authors_loader(golden: Path) -> None:
    results, expected = _results(golden / "P_preprocess")
    for key, value in results.items():
        if key.endswith("image_u8_s4"):
            assert (value.int() - expected[key].int()).abs().max() <= 1, key
        else:
            assert torch.equal(value, expected[key]), key


def _lists(golden: Path, name: str) -> dict[str, dict[str, tuple[int, ...]]]:
    files = json.loads((golden / "D_official_keys" / "official_keys.json").read_text())[name.replace("-", "+")]
    return {n: {k: tuple(shape) for k, (shape, _) in keys.items()} for n, keys in files.items()}


def _networks(name: str) -> dict[str, tuple[str, torch.nn.Module]]:
    """By the letter of the file: role and network of a variant, without memory."""
    with torch.device("meta"):
        model = CLADE(VARIANTS[name].config, numbered_space(CLASSES[name.partition("-")[0]]))
        found: dict[str, tuple[str, torch.nn.Module]] = {
            "G": ("generator", model.generator),
            "D": ("discriminator", MultiscaleDiscriminator(model.label_input.channels + 3)),
        }
    return found if model.encoder is None else found | {"E": ("encoder", model.encoder)}


@pytest.mark.parametrize("name", LISTED)
def test_official_keys(golden: Path, name: str) -> None:
    assert golden_module("clade").replay(golden / "D_official_keys") == {}
    networks = _networks(name)
    for file, listed in _lists(golden, name).items():
        role, network = networks[file.removeprefix("latest_net_")[0]]
        ours = {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert {official.rename(role, k): shape for k, shape in listed.items()} == ours
        assert {v: ours[k] for k, v in official.official_names(role, ours).items()} == listed


def test_parameter_counts(golden: Path) -> None:
    counts = json.loads((golden / "D_official_keys" / "case.json").read_text())["counts"]
    assert len(counts) == 12
    for name, files in counts.items():
        networks = _networks(name.replace("ade20koutdoor", "ade20k").replace("+", "-"))
        for letter, count in files.items():
            assert sum(p.numel() for p in networks[letter][1].parameters()) == count["parameters"], (name, letter)


@pytest.mark.parametrize("name", LISTED)
def test_detection_reads_the_config_off_the_keys(golden: Path, name: str) -> None:
    shapes = _lists(golden, name)["latest_net_G.pth"]
    match = official.detect(shapes)
    assert match is not None and match.role == "generator" and match.complete
    assert CladeConfig(**match.config) == VARIANTS[name].config
    cut = official.detect({k: s for k, s in shapes.items() if k != "up_1.conv_0.bias"} | {"extra.weight": (1,)})
    assert cut is not None and cut.missing == ("up_1.conv_0.bias",) and cut.unknown == ("extra.weight",)


def test_a_checkpoint_of_the_authors_loads(golden: Path) -> None:
    """The file that their save routine wrote, and the picture of the public call, positions computed on the way."""
    folder = golden / "B_cityscapes_more_inst_icpe"
    opt = json.loads((folder / "case.json").read_text())["official_options"]
    state = torch.load(folder / "official_checkpoint_latest_net_G.pth", weights_only=True)
    model = CLADE(golden_module("clade").config_of(opt), numbered_space(35)).eval()
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    io = load_file(folder / "io.safetensors")
    maps = golden_module("spade").map_of(model, io)
    for form in (model, model.optimized()):
        torch.testing.assert_close(form.synthesize(maps) * 2 - 1, io["out/sample"], atol=2e-5, rtol=0)
