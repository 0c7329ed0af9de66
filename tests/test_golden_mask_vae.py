"""mask-vae against vectors recorded from the authors' code: every inference mode, losses, gradients, an optimiser step, key lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file

from zoo.labels import numbered_space
from zoo.registry import label_space
from zoo_plugins.mask_vae import official
from zoo_plugins.mask_vae.config import VARIANTS, MaskVaeConfig
from zoo_plugins.mask_vae.model import SemanticVAE

OFFICIAL_PARAMETERS = 25_230_386
SPACE = label_space("celebamask-hq")


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "mask_vae"


NOISE = ("eps", "eps_sw", "sw_eps", "rnd")


def _is_input(name: str) -> bool:
    last = name.split(".")[-1]
    return last in NOISE or last.removeprefix("sw_")[:2] in ("h0", "c0") or name in ("label", "onehot")


def test_inference_modes(golden: Path) -> None:
    io = load_file(golden / "A" / "io.safetensors")
    results = golden_module("mask_vae").replay(golden / "A")
    assert set(results) == {k for k in io if not _is_input(k)}
    for name, value in results.items():
        assert value.shape == io[name].shape, name
        if value.is_floating_point():
            limit = 1e-5 if name.split(".")[-1] in ("mu", "logvar", "z", "tokens") else 1e-4
            assert (value - io[name]).abs().max() <= limit, name
        else:
            assert (value != io[name]).flatten(1).sum(1).max() <= (8 if "labels" in name else 0), name


def test_losses_gradients_and_step(golden: Path) -> None:
    io, values = load_file(golden / "C" / "io.safetensors"), json.loads((golden / "C" / "values.json").read_text())
    results = golden_module("mask_vae").replay(golden / "C")
    for name, value in results.items():
        if name in io:
            torch.testing.assert_close(value, io[name], atol=1e-4, rtol=0, msg=name)
            continue
        key, _, rest = name.partition("/")
        expected = values[key][rest] if rest else values[key]
        limit = 1e-4 if "norm" in key else 1e-5
        assert value.item() == pytest.approx(expected, rel=limit, abs=1e-9), name
    for key, entry in values.items():
        if key in ("class_weights", "optim", "disc.feat_shapes"):
            continue
        names = [f"{key}/{k}" for k in entry] if isinstance(entry, dict) else [key]
        assert set(names) <= set(results), key


def test_key_lists_and_counts(golden: Path) -> None:
    lists = json.loads((golden / "D" / "official_keys.json").read_text())
    theirs = next(v for k, v in lists.items() if k.startswith("mask-vae:"))
    with torch.device("meta"):
        model = SemanticVAE(MaskVaeConfig(), SPACE)
    ours = {official.official_name(k): list(v.shape) for k, v in model.state_dict().items()}
    assert ours == {k: shape for k, (shape, _) in theirs.items()}
    assert sum(p.numel() for p in model.parameters()) == OFFICIAL_PARAMETERS
    match = official.detect({k: tuple(shape) for k, (shape, _) in theirs.items()})
    assert match is not None and not match.missing and not match.unknown
    assert MaskVaeConfig(**match.config) == MaskVaeConfig()


def test_discriminator_keys(golden: Path) -> None:
    from zoo.families.spade.discriminators import MultiscaleDiscriminator

    lists = json.loads((golden / "D" / "official_keys.json").read_text())
    theirs = next(v for k, v in lists.items() if k.startswith("mask-vae training only"))
    net = MultiscaleDiscriminator(19, 64, 3, 2, last_stride=2)
    converted = official.convert_discriminator({k: torch.zeros(shape) for k, (shape, _) in theirs.items()})
    net.load_state_dict(converted, strict=True)
    assert sum(p.numel() for p in net.parameters()) == 1_357_954


def test_synthesizer_of_the_demo_is_not_taken_for_it(golden: Path) -> None:
    lists = json.loads((golden / "D" / "official_keys.json").read_text())
    other = next(v for k, v in lists.items() if k.startswith("CA2SIS"))
    assert official.detect({k: tuple(shape) for k, (shape, _) in other.items()}) is None


def test_official_file_loads(golden: Path) -> None:
    replay = golden_module("mask_vae")
    case = json.loads((golden / "A" / "case.json").read_text())
    config = replay.config_of(case)
    checkpoint = torch.load(golden / "A" / case["official_checkpoint"].split(":")[0], weights_only=True)
    model = SemanticVAE(config, numbered_space(19, background=True))
    model.load_state_dict(official.convert({"generator": checkpoint}, config), strict=True)


@pytest.mark.parametrize("form", ["plain", "optimized"])
def test_inference_form_equals(golden: Path, form: str) -> None:
    replay = golden_module("mask_vae")
    case = json.loads((golden / "A" / "case.json").read_text())
    io = load_file(golden / "A" / "io.safetensors")
    model = replay._model(golden / "A", case)
    model = model.optimized() if form == "optimized" else model
    with torch.no_grad():
        scores = model.generator(io["recon.z"], io["recon.h0"].transpose(0, 1), io["recon.c0"].transpose(0, 1))
    assert (scores - io["recon.out"][:, 1:]).abs().max() <= 1e-4


def test_variants_stay_within_their_size() -> None:
    with torch.device("meta"):
        model = SemanticVAE(VARIANTS["celeba-128"].config, SPACE)
    assert model.resolution == (128, 128)
    assert sum(p.numel() for p in model.parameters()) == 7_347_314
