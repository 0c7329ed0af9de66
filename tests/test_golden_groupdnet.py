"""GroupDNet against vectors recorded from the authors' code: networks, styles, losses, gradients, an iteration, units, key lists, data."""

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
from zoo_plugins.groupdnet import official
from zoo_plugins.groupdnet.config import VARIANTS, GroupDNetConfig
from zoo_plugins.groupdnet.model import GroupDNet

CLASSES = {"deepfashion": 8, "cityscapes": 35, "ade20k": 151}
ROLES = {"G": "generator", "E": "encoder", "D": "discriminator"}


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "groupdnet"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded), after a look that every recorded result is there."""
    module = golden_module("groupdnet")
    results = module.replay(folder)
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    if (folder / "values.json").exists():
        expected |= module.family.values_of(json.loads((folder / "values.json").read_text()))
    assert set(results) == set(expected)
    assert all(results[k].shape == v.shape and results[k].dtype == v.dtype for k, v in expected.items())
    return results, expected


@pytest.mark.parametrize(
    "name",
    [
        "A_deepfashion",
        "A2_ade20k_c5",
        pytest.param("A3_cityscapes", marks=pytest.mark.slow),
        "B_ade20k_c151",
        "E_units",
        "P_preprocess",
    ],
)
def test_networks_styles_units_and_data(golden: Path, name: str) -> None:
    results, expected = _results(golden / name)
    for key, value in results.items():
        if value.dtype == torch.uint8:
            apart = (value.int() - expected[key].int()).abs().max()
            assert apart <= ("image" in key), key
            continue
        atol = 1e-3 if key.startswith("train/fake") else 2e-5 * max(1.0, float(expected[key].double().abs().max()))
        torch.testing.assert_close(value, expected[key], atol=atol, rtol=1e-4, msg=key)


@pytest.mark.parametrize(
    "name",
    ["C_losses_deepfashion", "C2_losses_ade20k", pytest.param("C3_losses_cityscapes", marks=pytest.mark.slow)],
)
def test_losses_gradients_and_an_iteration(golden: Path, name: str) -> None:
    results, expected = _results(golden / name)
    for key, value in results.items():
        other = expected[key]
        if "param_after" in key:
            parameter, scale, change = key.removeprefix("iter/param_after/"), float(other.abs().max()), float(other[2])
            half = "D" if parameter.startswith("netD") else "G"
            # rounding alone is the gradient of a bias in front of a norm, and of the encoder's first kernels of classes that are absent
            # (what spectral norm's scale gets, which the norm behind takes away); the first Adam step is its sign. Others are not used
            lost = parameter == "netE.layer1.0.weight_orig"
            if lost or expected.get(f"train/{half}_grad_norm/{parameter}", 0) < 1e-4:
                torch.testing.assert_close(value, other, atol=1e-2, rtol=0, msg=key)
                continue
            torch.testing.assert_close(value[:2], other[:2], atol=2e-4 * scale + 0.2 * change, rtol=2e-4, msg=key)
            torch.testing.assert_close(value[2], other[2], atol=1e-5, rtol=2e-2, msg=key)
        elif "grad_norm" in key:
            # of the first bias: a sum over all pixels of fakes and reals that nearly cancels, 5e-3 off on a processor with AVX2
            cancels = key.endswith("model0.0.bias")
            torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-2 if cancels else 2e-3, msg=key)
        else:
            torch.testing.assert_close(value, other, atol=1e-5, rtol=1e-3 if "/grad/" in key else 2e-4, msg=key)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_official_keys_counts_and_detection(golden: Path, name: str) -> None:
    assert golden_module("groupdnet").replay(golden / "D_official_keys") == {}
    folder, variant = golden / "D_official_keys", VARIANTS[name]
    counts = json.loads((folder / "case.json").read_text())["counts"][name]
    lists = json.loads((folder / "official_keys.json").read_text())[name]
    with torch.device("meta"):
        model = GroupDNet(variant.config, numbered_space(CLASSES[name]))
        critic = MultiscaleDiscriminator(model.label_input.channels + 3)
    networks = {"G": model.generator, "E": model.encoder, "D": critic}
    assert len(counts) == len(networks)
    for file, count in counts.items():
        letter = file.removeprefix("latest_net_")[0]
        role, network = ROLES[letter], networks[letter]
        listed = {k: tuple(shape) for k, (shape, _) in lists[file].items()}
        ours = {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert {official.rename(role, k, listed): shape for k, shape in listed.items()} == ours
        assert {v: ours[k] for k, v in official.official_names(role, ours).items()} == listed
        assert (len(ours), sum(p.numel() for p in network.parameters())) == (count["keys"], count["parameters"])
        match = official.detect(listed)
        assert match is not None and match.role == role and match.complete
        if letter == "G":
            assert GroupDNetConfig(**match.config) == variant.config


@torch.no_grad()
def test_the_public_calls_give_the_recorded_pictures(golden: Path) -> None:
    """The authors' files: their reconstruction, and a class in another photo's style."""
    folder, module = golden / "A2_ade20k_c5", golden_module("groupdnet")
    case, io = json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")
    model = module.build(case, folder)
    maps, other = (module.map_of(model, io, prefix) for prefix in ("in/", "in/style_"))
    mine, theirs = (
        model.encode_style((module.photos(io, p) + 1) / 2, m) for p, m in (("in/", maps), ("in/style_", other))
    )
    name = model.channels[case["test_mask"]]
    mixed = mine.take(theirs, classes=[name])
    for form in (model, model.optimized()):
        for style, key in ((mine, "out/recon_s8"), (mixed, "out/mix_class_s8")):
            picture = form.synthesize(maps, style) * 2 - 1
            torch.testing.assert_close(picture[..., ::8, ::8], io[key], atol=4e-5, rtol=0)
