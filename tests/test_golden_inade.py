"""INADE against vectors recorded from the authors' code: networks, encoder, losses, gradients, an iteration, units, key lists, data."""

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
from zoo.maps import SemanticMap
from zoo_plugins.inade import official
from zoo_plugins.inade.config import VARIANTS, InadeConfig
from zoo_plugins.inade.model import INADE

CLASSES = {"ade20k": 151, "celeba": 19, "cityscapes": 35, "deepfashion": 8}
LISTED = (*CLASSES, "deepfashion-sketch")
"""Configs whose keys are recorded; the numbers of parameters are for all, with a sketch too."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "inade"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded), after a look that every recorded result is there."""
    module = golden_module("inade")
    results = module.replay(folder)
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    if (folder / "values.json").exists():
        expected |= module.family.values_of(json.loads((folder / "values.json").read_text()))
    assert set(results) == set(expected)
    assert all(results[k].shape == v.shape and results[k].dtype == v.dtype for k, v in expected.items())
    return results, expected


@pytest.mark.parametrize("name", ["A_celeba_encoder", "B_cityscapes_more_prior", "E_units"])
def test_networks_and_units(golden: Path, name: str) -> None:
    tolerance = json.loads((golden / name / "case.json").read_text())["tolerance"]
    results, expected = _results(golden / name)
    for key, value in results.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, expected[key], atol=tolerance["atol"], rtol=tolerance["rtol"], msg=key)
        else:
            assert torch.equal(value, expected[key]), key


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    results, expected = _results(golden / "C_losses_encoder")
    for key, value in results.items():
        other, scale = expected[key], float(expected[key].abs().max())
        if "param_after" in key:
            name = key.removeprefix("iter/param_after/")
            if expected[f"train/{'D' if name.startswith('netD') else 'G'}/grad_norm/{name}"] < 1e-5:
                # a bias in front of a norm: its gradient is rounding alone, and the first Adam step is a sign
                torch.testing.assert_close(value, other, atol=2e-3, rtol=0, msg=key)
                continue
            slack = 2e-4 * scale + 0.2 * float(other[2])
            torch.testing.assert_close(value[:2], other[:2], atol=slack, rtol=2e-4, msg=key)
            torch.testing.assert_close(value[2:], other[2:], atol=1e-5, rtol=1e-2, msg=key)
        elif "grad" in key:
            torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-3, msg=key)
        else:
            torch.testing.assert_close(value, other, atol=1e-5, rtol=2e-4, msg=key)


def test_photos_maps_and_instances_of_the_authors_loader(golden: Path) -> None:
    results, expected = _results(golden / "P_preprocess")
    for key, value in results.items():
        if key.endswith("image_u8_s4"):
            assert (value.int() - expected[key].int()).abs().max() <= 1, key
        else:
            assert torch.equal(value, expected[key]), key


def _networks(name: str) -> dict[str, tuple[str, torch.nn.Module]]:
    """By the letter of the file: role and network of a variant (`-sketch`: with a sketch), without memory."""
    data, _, sketch = name.partition("-")
    config = VARIANTS[data].config
    with torch.device("meta"):
        space = numbered_space(CLASSES[data])
        model = INADE(InadeConfig(**{**vars(config), "sketch": bool(sketch)}), space)
        critic = MultiscaleDiscriminator(model.label_input.channels + 3)
    assert model.encoder is not None
    return {"G": ("generator", model.generator), "E": ("encoder", model.encoder), "D": ("discriminator", critic)}


def _lists(golden: Path, name: str) -> dict[str, dict[str, tuple[int, ...]]]:
    files = json.loads((golden / "D_official_keys" / "official_keys.json").read_text())[name.replace("-", "+")]
    return {n: {k: tuple(shape) for k, (shape, _) in keys.items()} for n, keys in files.items()}


@pytest.mark.parametrize("name", LISTED)
def test_official_keys(golden: Path, name: str) -> None:
    assert golden_module("inade").replay(golden / "D_official_keys") == {}
    networks = _networks(name)
    for file, listed in _lists(golden, name).items():
        role, network = networks[file.removeprefix("latest_net_")[0]]
        ours = {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert {official.rename(role, k): shape for k, shape in listed.items()} == ours
        assert {v: ours[k] for k, v in official.official_names(role, ours).items()} == listed


def test_parameter_counts(golden: Path) -> None:
    counts = json.loads((golden / "D_official_keys" / "case.json").read_text())["counts"]
    assert len(counts) == 8
    for name, files in counts.items():
        networks = _networks(name.replace("+", "-"))
        for letter, count in files.items():
            assert sum(p.numel() for p in networks[letter][1].parameters()) == count["parameters"], (name, letter)


@pytest.mark.parametrize("name", LISTED)
def test_detection_reads_the_config_off_the_keys(golden: Path, name: str) -> None:
    files = _lists(golden, name)
    shapes = files["latest_net_G.pth"]
    match = official.detect(shapes)
    assert match is not None and match.role == "generator" and match.complete
    assert InadeConfig(**match.config) == VARIANTS[name].config
    if "latest_net_E.pth" in files:
        encoder = official.detect(files["latest_net_E.pth"])
        assert encoder is not None and encoder.role == "encoder" and encoder.complete
        assert InadeConfig(**encoder.config).noise_dim == VARIANTS[name].config.noise_dim
    cut = official.detect({k: s for k, s in shapes.items() if k != "up_1.conv_0.bias"} | {"extra.weight": (1,)})
    assert cut is not None and cut.missing == ("up_1.conv_0.bias",) and cut.unknown == ("extra.weight",)


@torch.no_grad()
def test_the_public_calls_give_the_recorded_picture(golden: Path) -> None:
    """The authors' files, and one code per class: their renumbered instances of a map without objects are its classes."""
    folder = golden / "A_celeba_encoder"
    module = golden_module("inade")
    model = module.build(json.loads((folder / "case.json").read_text())["official_options"], folder)
    io = load_file(folder / "io.safetensors")
    maps = SemanticMap(io["in/label_u8"][:, 0].long(), model.label_space)
    numbers = module.map_of(model, io).instances
    style = model.encode_style(io["in/image_u8"].float() / 255, maps)
    codes = module.codes_of(module.encode(model, io))
    noise = {"scale": io["in/noise"][:, :, 0], "shift": io["in/noise"][:, :, 1]}
    for sample, label in enumerate(maps.labels):
        for value in label.unique().tolist():
            number = int(numbers[sample][label == value].unique())
            for kind, theirs in (("scale", "scale"), ("shift", "bias")):
                ours, mean = style.tensors[kind][sample, value, 0], codes[f"{theirs}_mus"][sample, number]
                torch.testing.assert_close(ours, mean, atol=2e-5, rtol=0)
                ours += noise[kind][sample, number] * torch.exp(codes[f"{theirs}_logvars"][sample, number] / 2)
    style.tensors["z"].copy_(io["in/noise_ins"])
    for form in (model, model.optimized()):
        torch.testing.assert_close(form.synthesize(maps, style) * 2 - 1, io["out/sample"], atol=4e-5, rtol=0)
