"""CA2SIS against vectors recorded from the authors' demo: codes, tokens, pictures, key list, inference form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file

from zoo.errors import WeightsError
from zoo.labels import numbered_space
from zoo_plugins.ca2sis import official
from zoo_plugins.ca2sis.config import CA2SISConfig
from zoo_plugins.ca2sis.model import CA2SIS

PARAMETERS = 48_985_019
LIMITS = {"layout_codes": 1e-5, "style_tokens": 1e-5, "out": 5e-4}


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "mask_vae"


@pytest.fixture
def official_shapes(golden: Path) -> dict[str, tuple[int, ...]]:
    lists = json.loads((golden / "D" / "official_keys.json").read_text())
    theirs = next(v for k, v in lists.items() if k.startswith("CA2SIS"))
    return {k: tuple(shape) for k, (shape, _) in theirs.items()}


@pytest.mark.slow
def test_the_case_goes_through_mask_vae(golden: Path) -> None:
    io = load_file(golden / "E_ca2sis" / "io.safetensors")
    results = golden_module("replay").replay("mask_vae", golden / "E_ca2sis")
    assert set(results) == set(io) - {"label", "image_u8"}
    for name, value in results.items():
        limit = next(v for k, v in LIMITS.items() if name.startswith(k))
        assert value.shape == io[name].shape and (value - io[name]).abs().max() <= limit, name


def test_keys_and_parameters_of_the_demo(official_shapes: dict[str, tuple[int, ...]]) -> None:
    with torch.device("meta"):
        model = CA2SIS(CA2SISConfig(), numbered_space(19, background=True))
    assert sum(p.numel() for p in model.parameters()) == PARAMETERS
    ours = {official.rename(k): shape for k, shape in official_shapes.items()}
    assert ours == {k: tuple(v.shape) for k, v in model.state_dict().items()}


def test_the_file_is_recognised_and_its_config_read(official_shapes: dict[str, tuple[int, ...]]) -> None:
    match = official.detect(official_shapes)
    assert match is not None and not match.missing and not match.unknown and "heads" in match.ambiguous
    assert CA2SISConfig(**match.config) == CA2SISConfig()
    lacking = {k: v for k, v in official_shapes.items() if not k.startswith("cross4.transformer_blocks.0.ff")}
    match = official.detect({**lacking, "noise_encoder.weight": (1, 1)})
    assert match is not None and match.unknown == ("noise_encoder.weight",)
    assert set(match.missing) == {
        f"cross4.transformer_blocks.0.ff.net.{n}.{k}" for n in ("0.proj", "2") for k in ("weight", "bias")
    }
    assert official.detect({"decs_conv.in_conv.weight": (512, 18, 1, 1)}) is None


def test_foreign_files_are_refused(official_shapes: dict[str, tuple[int, ...]]) -> None:
    with pytest.raises(WeightsError, match="role 'generator'"):
        official.convert({"encoder": {}})
    with pytest.raises(WeightsError, match="separate repository"):
        official.convert({"generator": {"noise_encoder.0.weight": torch.zeros(1)}})
    for key in ("res2.in_layers.1.weight", "reshape_conv.scale", "decs_conv.in_conv.weight"):
        assert official.rename(key) is None
