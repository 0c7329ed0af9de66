"""pix2pixHD against vectors recorded from the authors' code: networks, features, losses, one iteration, clusters, key lists, loaders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.labels import numbered_space
from zoo.nn.takeover import fitting
from zoo_plugins.pix2pixhd import official
from zoo_plugins.pix2pixhd.config import VARIANTS, Pix2PixHDConfig
from zoo_plugins.pix2pixhd.model import Pix2PixHD

pytestmark = pytest.mark.usefixtures("one_thread")
COUNTS = {
    "label2city_512p": ("cityscapes-512", 182_546_755, 0, 5_603_202),
    "label2city_512p_feat": ("cityscapes-512-feat", 182_556_163, 788_803, 5_603_202),
    "label2city_1024p": ("cityscapes-1024", 182_857_059, 0, 8_404_803),
    "label2city_1024p_feat": ("cityscapes-1024-feat", 182_871_171, 0, 8_404_803),
}
"""Variant; parameters of generator, encoder (the 1024p models come without) and discriminator."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "pix2pixhd"


def results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any], dict[str, Any]]:
    """(ours, recorded tensors and values, the case), after a look that every recorded result is there."""
    found = golden_module("replay").replay("pix2pixhd", folder)
    case, file = json.loads((folder / "case.json").read_text()), folder / "values.json"
    values = json.loads(file.read_text()) if file.exists() else {}
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    expected |= {k: torch.tensor(v) for k, v in values.items()}
    assert set(expected) <= set(found)
    return found, expected, case


@pytest.mark.parametrize(
    "name", ["A_global_edges_gta5", "B_local2_celeba", "B2_instance_feat_gta5", "E4_edge_maps", "E_units"]
)
def test_networks_and_units(golden: Path, name: str) -> None:
    found, expected, case = results(golden / name)
    atol, rtol = case["tolerance"]["atol"], case["tolerance"]["rtol"]
    for key, value in expected.items():
        assert found[key].dtype == value.dtype
        torch.testing.assert_close(found[key], value, atol=2 * atol, rtol=2 * rtol, msg=key)


def test_the_pool_and_the_adversarial_losses(golden: Path) -> None:
    found, _, case = results(golden / "E_units")
    assert found["image_pool/returned"].tolist() == case["image_pool"]["returned"]
    for name, value in case["gan_loss_values"].items():
        assert float(found[f"gan_loss_values/{name}"]) == pytest.approx(value, rel=1e-5)


@pytest.mark.parametrize(
    "name", ["C_losses_lsgan", "C2_losses_instance_feat", "C3_local_fixglobal_loadfeat", "C4_vanilla_batchnorm_rgb"]
)
def test_losses_gradients_and_an_iteration(golden: Path, name: str) -> None:
    found, expected, case = results(golden / name)
    tolerance = case["tolerance"]
    for key, value in expected.items():
        ours = found[key]
        if key.startswith("loss/"):
            torch.testing.assert_close(ours, value, atol=0, rtol=tolerance["losses_rtol"], msg=key)
        elif key.startswith("grad_norm/"):
            # the largest are 30; of a bias in front of a norm all is rounding
            torch.testing.assert_close(ours, value, atol=1e-4, rtol=tolerance["grad_norm_rtol"], msg=key)
        elif key.startswith("iter/param_after/"):
            noise = float(expected[key.replace("iter/param_after/", "grad_norm/")]) < 1e-4
            # of a bias in front of a norm the gradient is rounding's, and Adam makes a full step of it
            slack = 2 * float(value[2]) * ours.numel() if noise else 0.02 * float(value[2]) + 2e-5
            torch.testing.assert_close(ours[:2], value[:2], atol=slack + 2e-4, rtol=1e-4, msg=key)
            if not noise:
                torch.testing.assert_close(
                    ours[2], value[2], atol=1e-7, rtol=tolerance["param_change_norm_rtol"], msg=key
                )
        else:
            limits = {k: tolerance["tensors"][k] for k in ("atol", "rtol")}
            torch.testing.assert_close(ours, value, **limits, msg=key)
    if name.startswith("C3"):
        still = [k for k in found if k.startswith("iter/param_after/netG.model.")]
        assert still and all(float(found[k][2]) == 0 for k in still)
    if name.startswith("C4"):
        counts = [int(v) for k, v in found.items() if k.endswith("num_batches_tracked")]
        assert sorted(set(counts)) == [4, 6]  # three before; the generator once, the discriminator three times


def test_objects_and_their_clusters(golden: Path) -> None:
    found, expected, _ = results(golden / "E2_encode_features")
    better = []
    for key, value in expected.items():
        if key.startswith("out/inertia/"):
            assert float(found[key]) <= float(value) * 1.0001 + 1e-9, key
            better += [key.rpartition("/")[2]] if float(found[key]) < 0.999 * float(value) else []
        elif key.endswith("/rows"):
            torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-4, msg=key)
    assert better == ["1"]  # where the authors' k-means stopped early
    for key, value in expected.items():
        if key.startswith("out/centers/") and key.rpartition("/")[2] not in better:
            torch.testing.assert_close(found[key], value, atol=1e-5, rtol=1e-4, msg=key)


def test_preprocessing(golden: Path) -> None:
    found, expected, _ = results(golden / "P_preprocess")
    for key, value in expected.items():
        exact = not key.endswith(("image_u8", "label_rgb_u8"))
        assert int((found[key].int() - value.int()).abs().max()) <= (0 if exact else 1), key


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_official_keys_counts_and_detection(golden: Path, name: str) -> None:
    folder = golden / "D_official_keys"
    assert golden_module("replay").replay("pix2pixhd", folder) == {}
    files = json.loads((folder / "official_keys.json").read_text())[name]
    shapes = {letter: {k: tuple(shape) for k, shape in keys.items()} for letter, keys in files.items()}
    variant, *counts = COUNTS[name]
    config, training = VARIANTS[variant].config, VARIANTS[variant].training
    with torch.device("meta"):
        model = Pix2PixHD(config, numbered_space(35))
        judge = MultiscaleDiscriminator(
            model.label_input.channels + 3,
            training.ndf,
            training.n_layers_d,
            training.num_d,
            training.norm_d,
            bias=True,
        )
    networks = {"G": ("generator", model.generator), "E": ("encoder", model.encoder), "D": ("discriminator", judge)}
    for (letter, (role, network)), count in zip(networks.items(), counts, strict=True):
        assert (letter in shapes) == bool(count)
        if letter not in shapes:
            continue
        assert network is not None
        expected = {official.rename(role, k, shapes[letter]): shape for k, shape in shapes[letter].items()}
        assert expected == {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert sum(p.numel() for p in network.parameters()) == count
        names = official.official_names(role, list(network.state_dict()))
        assert set(names.values()) == set(shapes[letter])
        match = official.detect(shapes[letter])
        assert match is not None and match.complete and match.role == role
        if role == "generator":
            read = Pix2PixHDConfig(**match.config)
            told = {f for f in vars(config) if f not in match.ambiguous} | {
                "label_space",
                "edges",
                "features",
                "resolution",
            }
            assert {f: getattr(read, f) for f in told} == {f: getattr(config, f) for f in told}


def test_a_discriminator_without_feature_matching_has_other_keys(golden: Path) -> None:
    files = json.loads((golden / "D_official_keys/official_keys.json").read_text())
    keys = {k: tuple(shape) for k, shape in files["no_ganFeat_loss_D"]["D"].items()}
    assert all(k.startswith("layer") for k in keys)
    match = official.detect(keys)
    assert match is not None and match.complete and match.role == "discriminator"
    rows = official.official_names(
        "discriminator", [str(official.rename("discriminator", k, keys)) for k in keys], rows=True
    )
    assert set(rows.values()) == set(keys)
    colours = official.detect({k: tuple(s) for k, s in files["rgb_to_rgb_no_instance"]["G"].items()})
    assert colours is not None and colours.complete and colours.config == {"input": "colours", "edges": False}


def test_what_a_1024p_model_takes_from_a_512p_one(golden: Path) -> None:
    case = json.loads((golden / "E3_load_pretrain/case.json").read_text())
    module = golden_module("pix2pixhd")
    states: list[dict[str, Tensor]] = []
    for options in (case["local_options"], case["global_options"]):
        config = module.config_of(options, (64, 64))
        model = Pix2PixHD(config, numbered_space(options["label_nc"]))
        judge = MultiscaleDiscriminator(
            model.label_input.channels + 3, options["ndf"], 4, options["num_D"], "instance", bias=True
        )
        state = {f"netG.{k}": v for k, v in model.generator.state_dict().items()}
        names = official.official_names("discriminator", list(judge.state_dict()))
        states.append(state | {f"netD.{names[k]}": v for k, v in judge.state_dict().items()})
    own, pretrained = states
    taken = fitting(own, pretrained)
    told = {k: "kept" if k not in taken else f"from {k}" for k in own}
    assert told == case["result_per_key_of_the_local_model"]
    assert [k for k in pretrained if k not in taken] == case["checkpoint_keys_dropped"]


def test_checkpoints_of_the_authors_load(golden: Path) -> None:
    """The files that their save routine wrote hold the weights of the case."""
    folder = golden / "A_global_edges_gta5"
    weights = load_file(folder / "weights.safetensors")
    for letter in ("G", "D"):
        state = torch.load(folder / f"official_checkpoint_latest_net_{letter}.pth", weights_only=True)
        assert {f"net{letter}.{k}" for k in state} == {k for k in weights if k.startswith(f"net{letter}.")}
        assert all(torch.equal(v, weights[f"net{letter}.{k}"]) for k, v in state.items())
        match = official.detect({k: tuple(v.shape) for k, v in state.items()})
        assert match is not None and match.complete
