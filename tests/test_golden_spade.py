"""SPADE against vectors recorded from the authors' code: networks, losses, gradients, an iteration, units, key lists, preprocessing."""

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
from zoo_plugins.spade import official
from zoo_plugins.spade.config import VARIANTS, SpadeConfig
from zoo_plugins.spade.model import SPADE

CLASSES = {"coco": 183, "ade20k": 151, "cityscapes": 35, "facades": 13}
COUNTS = {
    "coco": (97_480_899, 0, 5_904_514), "ade20k": (96_492_483, 0, 5_836_930), "cityscapes": (93_048_003, 0, 5_601_410),
    "facades": (92_359_107, 0, 5_554_306), "coco-vae": (112_626_883, 10_463_424, 5_904_514),
    "ade20k-vae": (111_942_595, 10_463_424, 5_836_930), "cityscapes-vae": (101_136_579, 10_463_424, 5_601_410),
}  # fmt: skip


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "spade"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded), after a look that every recorded result is there."""
    io = load_file(folder / "io.safetensors")
    results = golden_module("spade").replay(folder)
    assert set(results) == {k for k in io if not k.startswith("in/")}
    assert all(results[k].shape == io[k].shape and results[k].dtype == io[k].dtype for k in results)
    return results, io


@pytest.mark.parametrize(
    "name", ["A_normal_celeba", "B2_most_coco_instance1x1", "B4_ade20k_c151_1x1", "B5_block_c151_3x3", "E_units"]
)
def test_networks_and_units(golden: Path, name: str) -> None:
    tolerance = json.loads((golden / name / "case.json").read_text())["tolerance"]
    results, io = _results(golden / name)
    for key, value in results.items():
        if value.is_floating_point():
            # unconverged u and v blow values up to 300: room for the rounding of other processors at that size
            atol = 2 * tolerance["atol"] + 1e-6 * float(io[key].abs().max())
            torch.testing.assert_close(value, io[key], atol=atol, rtol=2 * tolerance["rtol"], msg=key)
        else:
            assert torch.equal(value, io[key]), key


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    results, io = _results(golden / "C_losses_vae")
    for key, value in results.items():
        expected = io[key]
        scale = float(expected.abs().max())
        if "param_after" in key:
            # sum, norm, norm of the change: the first Adam step is a sign, which rounding turns where a gradient is almost 0
            slack = 2e-4 * scale + 0.2 * float(expected[2])
            torch.testing.assert_close(value[:2], expected[:2], atol=slack, rtol=2e-4, msg=key)
            torch.testing.assert_close(value[2:], expected[2:], atol=1e-5, rtol=1e-2, msg=key)
        elif "grad_norm" in key:
            torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-3, msg=key)
        else:
            torch.testing.assert_close(value, expected, atol=2e-4 * max(scale, 0.05), rtol=2e-4, msg=key)


def test_preprocess_modes(golden: Path) -> None:
    results, io = _results(golden / "P_preprocess_modes")
    for key, value in results.items():
        if key.endswith("image_u8"):
            assert (value.int() - io[key].int()).abs().max() <= 1, key
        else:
            assert torch.equal(value, io[key]), key


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_official_keys_and_parameter_counts(golden: Path, name: str) -> None:
    folder = golden / "D_official_keys"
    assert golden_module("spade").replay(folder) == {}
    files = json.loads((folder / "official_keys.json").read_text())[name.replace("-", "_")]
    config = VARIANTS[name].config
    with torch.device("meta"):
        model = SPADE(config, numbered_space(CLASSES[name.removesuffix("-vae")]))
        discriminator = MultiscaleDiscriminator(model.label_input.channels + 3)
    networks = {"G": ("generator", model.generator), "D": ("discriminator", discriminator)}
    if model.encoder is not None:
        networks["E"] = ("encoder", model.encoder)
    assert {f"latest_net_{letter}.pth" for letter in networks} == set(files)
    for letter, (role, network) in networks.items():
        expected = {
            official.rename(role, k): tuple(shape) for k, (shape, _) in files[f"latest_net_{letter}.pth"].items()
        }
        assert expected == {k: tuple(v.shape) for k, v in network.state_dict().items()}
    counts = tuple(sum(p.numel() for p in networks[n][1].parameters()) if n in networks else 0 for n in ("G", "E", "D"))
    assert counts == COUNTS[name]


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_detection_reads_the_config_off_the_keys(golden: Path, name: str) -> None:
    files = json.loads((golden / "D_official_keys" / "official_keys.json").read_text())[name.replace("-", "_")]
    shapes = {k: tuple(shape) for k, (shape, _) in files["latest_net_G.pth"].items()}
    found = official.detect(shapes)
    assert found is not None and found.role == "generator" and not found.missing and not found.unknown
    assert SpadeConfig(**found.config) == VARIANTS[name].config
    assert {"resolution", "channels"} <= set(found.ambiguous)
    if "latest_net_E.pth" in files:
        encoder = official.detect({k: tuple(shape) for k, (shape, _) in files["latest_net_E.pth"].items()})
        assert encoder is not None and encoder.role == "encoder" and not encoder.missing and not encoder.unknown
        assert encoder.config == {"use_vae": True, "nef": 64}
    less = official.detect({k: s for k, s in shapes.items() if not k.startswith("up_3")})
    assert less is not None and less.config == found.config and all(k.startswith("up_3.") for k in less.missing)
    cut = official.detect({k: s for k, s in shapes.items() if k != "up_1.conv_0.bias"} | {"extra.weight": (1,)})
    assert cut is not None and cut.missing == ("up_1.conv_0.bias",) and cut.unknown == ("extra.weight",)


def test_a_checkpoint_of_the_authors_loads(golden: Path) -> None:
    """The file that their save routine wrote holds the weights of the case."""
    folder = golden / "A_normal_celeba"
    opt = json.loads((folder / "case.json").read_text())["official_options"]
    state = torch.load(folder / "official_checkpoint_latest_net_G.pth", weights_only=True)
    model = SPADE(golden_module("spade").config_of(opt), numbered_space(19)).eval()
    model.load_state_dict(official.convert({"generator": state}), strict=True)
    io = load_file(folder / "io.safetensors")
    image = model.synthesize(golden_module("spade").map_of(model, io))
    torch.testing.assert_close(image * 2 - 1, io["out/sample"], atol=6e-5, rtol=1e-4)
