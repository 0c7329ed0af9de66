"""SC-GAN against vectors recorded from the authors' code: networks, losses, gradients, key lists, blocks, preprocessing."""

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
from zoo.families.spade.fpse import FPSEDiscriminator
from zoo.labels import numbered_space
from zoo_plugins.scgan import official
from zoo_plugins.scgan.config import VARIANTS
from zoo_plugins.scgan.model import SCGAN

NOISE = 5e-6
"""Biases in front of a batch norm have no gradient; what is recorded of it is rounding (2e-6; with AVX-512 ours is 4e-6)."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "scgan"


def _at(values: Any, path: str) -> Tensor:
    for part in path.split("/"):
        values = values[part]
    return torch.tensor(values)


def _relative(value: Tensor, expected: Tensor) -> float:
    assert value.shape == expected.shape
    return float((value.double() - expected.double()).abs().max() / expected.double().abs().max().clamp_min(1e-12))


@pytest.mark.parametrize("name", ["A_celeba256", "B_coco128"])
def test_networks(golden: Path, name: str) -> None:
    io, post = load_file(golden / name / "io.safetensors"), load_file(golden / name / "post_train.safetensors")
    results = golden_module("scgan").replay(golden / name)
    assert set(io) - set(results) == {"label", "z", "real_image", "eps"} & set(io)
    assert {k.removeprefix("post_train/") for k in results if k.startswith("post_train/")} == set(post)
    for key, value in results.items():
        if key.startswith("post_train/"):
            assert _relative(value, post[key.removeprefix("post_train/")]) <= 1e-3, key
        elif key == "onehot":
            assert torch.equal(value, io[key])
        elif key.startswith("train_"):
            assert _relative(value, io[key]) <= 1e-3, key
        else:
            assert _relative(value, io[key]) <= 1e-4, key


@pytest.mark.parametrize("name", ["C1_losses_multiscale_vae", "C2_losses_fpse"])
def test_losses_and_gradients(golden: Path, name: str) -> None:
    folder = golden / name
    case, io = json.loads((folder / "case.json").read_text()), load_file(folder / "io.safetensors")
    results = golden_module("scgan").replay(folder)
    for table in ("generator_losses", "generator_grad_norms", "discriminator_losses", "discriminator_grad_norms"):
        assert {k.split("/", 1)[1] for k in results if k.startswith(table + "/")} == set(case[table])
    for key, value in results.items():
        if key in io:
            assert _relative(value, io[key]) <= 1e-3, key
        elif "grad_norms" in key:
            expected = _at(case, key)
            # 1 %: with AVX-512 one of them is .6 % off, with AVX2 .5 %
            assert abs(value - expected) <= max(NOISE, 1e-2 * expected), key
        else:
            assert _relative(value, _at(case, key)) <= 1e-4, key


def test_discriminators(golden: Path) -> None:
    folder = golden / "E_discriminators"
    io = load_file(folder / "io.safetensors")
    results = golden_module("scgan").replay(folder)
    assert set(io) - set(results) == {"label", "fake", "real"} | {k for k in io if k.startswith("conv_logits_")}
    for key, value in results.items():
        assert _relative(value, io[key]) <= 1e-4, key


def test_loss_values(golden: Path) -> None:
    folder = golden / "C3_losses_misc"
    case = json.loads((folder / "case.json").read_text())
    results = golden_module("scgan").replay(folder)
    # Diversity has no known formula (it is unusable in the authors' code)
    assert {k.removeprefix("values/") for k in results} == {k for k in case["values"] if not k.startswith("Diversity")}
    for key, value in results.items():
        assert _relative(value, _at(case, key)) <= 1e-5, key


def test_blocks_and_operators(golden: Path) -> None:
    folder = golden / "F_blocks_ops"
    io = load_file(folder / "io.safetensors")
    results = golden_module("scgan").replay(folder)
    inputs = {"x", "v_conv", "v_norm", "seg", "SCC|v_per_channel"} | {k for k in io if "|in" in k}
    assert set(results) == set(io) - inputs
    for key, value in results.items():
        scale = max(1.0, float(io[key].abs().max()))
        assert (value - io[key]).abs().max() <= (1e-4 if key.endswith("train") else 1e-5) * scale, key


def test_preprocessing(golden: Path) -> None:
    folder = golden / "J_preprocess"
    io = load_file(folder / "io.safetensors")
    results = golden_module("scgan").replay(folder)
    assert set(io) - set(results) == {k for k in io if "_raw_" in k or k == "to_uint8_in"}
    for key, value in results.items():
        if key.endswith("_image"):
            assert (value - io[key]).abs().max() <= 1e-2, key
        else:
            assert torch.equal(value, io[key]), key


def test_official_keys_and_parameter_counts(golden: Path) -> None:
    folder = golden / "D_official_keys"
    case = json.loads((folder / "case.json").read_text())
    files = json.loads((folder / "official_keys.json").read_text())
    assert golden_module("scgan").replay(folder) == {}
    with torch.device("meta"):
        model = SCGAN(VARIANTS["celeba"].config, numbered_space(19))
        discriminator = MultiscaleDiscriminator(19 + 3)
        ade, coco = (SCGAN(VARIANTS[n].config, numbered_space(c)) for n, c in (("ade20k", 151), ("coco", 183)))
        fpse = {n: FPSEDiscriminator(c) for n, c in (("ade20k", 151), ("coco", 183))}
    parts = [
        ("scgan_celeba", "G", "generator", model.generator), ("scgan_celeba", "E", "encoder", model.encoder),
        ("scgan_celeba", "D", "discriminator", discriminator),
        ("scgan_ade20k", "G", "generator", ade.generator), ("scgan_coco", "G", "generator", coco.generator),
        ("scgan_ade20k", "D", "discriminator", fpse["ade20k"]), ("scgan_coco", "D", "discriminator", fpse["coco"]),
    ]  # fmt: skip
    for name, letter, role, network in parts:
        assert network is not None
        keys = files[f"{name}/<epoch>_net_{letter}.pth"]
        assert len(keys) == case["file_entries"][f"{name}/<epoch>_net_{letter}.pth"]
        expected = {official.rename(role, k): tuple(shape) for k, (shape, _) in keys.items()}
        assert expected == {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert sum(p.numel() for p in network.parameters()) == case["param_counts"][f"{name} {letter}"]
