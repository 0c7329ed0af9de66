"""SDM against vectors recorded from the authors' code: networks, guidance, losses, gradients, their loop, sampling, units, data, key lists."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from official_files import official_lists
from safetensors.torch import load_file
from torch import Tensor

from zoo.checkpoints.identify import identify
from zoo.labels import numbered_space
from zoo_plugins.sdm import official
from zoo_plugins.sdm.config import VARIANTS, SDMConfig
from zoo_plugins.sdm.model import SDM
from zoo_plugins.sdm.sampling import process_of, steps_backwards
from zoo_plugins.sdm.schedule import spaced_steps
from zoo_plugins.sdm.schedulers import steps_backwards as by_diffusers

pytestmark = pytest.mark.usefixtures("one_thread")
CONFIGS = {
    "ade20k": VARIANTS["ade20k"].config,
    "celeba": VARIANTS["celeba"].config,
    "cityscapes_assumed": VARIANTS["cityscapes"].config,
    "coco_assumed_183_noinst": VARIANTS["coco"].config,
    "coco_assumed_183_inst": replace(VARIANTS["coco"].config, edges="instances"),
}


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "sdm"


def results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded tensors and numbers), after a look that every recorded tensor is there."""
    found = golden_module("replay").replay("sdm", folder)
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    assert not set(expected) - set(found)
    for name in ("values.json", "case.json"):
        if (folder / name).exists():
            expected |= _numbers(json.loads((folder / name).read_text()), set(found))
    assert set(found) == set(expected)
    assert all(found[k].shape == v.shape and found[k].dtype == v.dtype for k, v in expected.items() if "info/" not in k)
    return found, expected


def _numbers(value: Any, wanted: set[str], path: str = "") -> dict[str, Tensor]:
    if not isinstance(value, dict):
        return {path: torch.tensor(value)} if path in wanted else {}
    return {
        k: v for key, inner in value.items() for k, v in _numbers(inner, wanted, f"{path}/{key}".strip("/")).items()
    }


def check(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float, rtol: float = 1e-4) -> None:
    """All of them, to a tolerance that grows with a tensor's largest number where that is above 1."""
    for key, value in expected.items():
        if not value.is_floating_point():
            assert torch.equal(found[key].to(value), value), key
            continue
        scale = max(1.0, float(value.abs().max()))
        torch.testing.assert_close(found[key], value, atol=atol * scale, rtol=rtol, msg=key)


@pytest.mark.parametrize(("name", "atol"), [("A_celeba64", 3e-5), ("B_ade20k_256cfg_recipe", 1e-4)])
def test_networks_and_guidance(golden: Path, name: str, atol: float) -> None:
    """Pictures that are told from much noise (t = 640) have the outputs' rounding, here 3e-6, a dozen times."""
    found, expected = results(golden / name)
    check(found, expected, atol)
    outputs = {k: v for k, v in expected.items() if "pmv" not in k}
    check({k: found[k] for k in outputs}, outputs, 5e-6 if name.startswith("A") else 1e-5, 1e-5)


def test_layers_tables_and_half_precision(golden: Path) -> None:
    found, expected = results(golden / "E_units")
    loose = {
        "out/net_fp16_cpu": 2e-2,
        "out/temb_256": 4e-5,
    }  # half precision, on processors with and without it; the last bit of an exponential, times 999
    check(found, {k: v for k, v in expected.items() if k not in loose}, 1e-5, 1e-5)
    for key, limit in loose.items():
        assert float((found[key] - expected[key]).abs().max()) <= limit, key
    case = json.loads((golden / "E_units/case.json").read_text())
    listed = case["values"]["space_timesteps(1000, text), ascending"]
    assert len(listed) > 8 and all(spaced_steps(1000, text) == steps for text, steps in listed.items())


def test_losses_gradients_and_the_authors_loop(golden: Path) -> None:
    found, expected = results(golden / "C_train")
    names = {k.split("/")[1] for k in expected if k.startswith("out/")}
    assert names == {"mse", "rescaled_mse", "rescaled_kl", "xstart", "respaced50", "loop"}
    assert len([k for k in expected if "grad_norm/" in k]) == 5 * 200
    for key, value in expected.items():
        ours = found[key]
        if "grad_norm" in key:
            torch.testing.assert_close(ours, value, atol=1e-6, rtol=1e-3, msg=key)
        elif (
            "_after [" in key
        ):  # sum, norm, norm of the change: first steps of Adam are signs, which rounding turns near 0
            torch.testing.assert_close(ours[:2], value[:2], atol=2e-4, rtol=1e-4, msg=key)
            # two steps change an average by less than its numbers' last bits
            torch.testing.assert_close(ours[2], value[2], atol=1e-6 if "ema" in key else 1e-7, rtol=1e-2, msg=key)
        elif "/grad/" in key:
            torch.testing.assert_close(ours, value, atol=1e-6 * max(1.0, float(value.abs().max())), rtol=1e-3, msg=key)
        elif value.is_floating_point():
            torch.testing.assert_close(ours, value, atol=2.1e-4 if "/loop/param/" in key else 2e-6, rtol=1e-4, msg=key)
        else:
            assert torch.equal(ours, value), key


def test_sampling(golden: Path) -> None:
    found, expected = results(golden / "S_sampling_8steps")
    assert {"out/ddpm_s1.5/sample", "out/ddim_ddim8_s1.5_eta0.5/sample", "out/toy/ddpm_250/sample"} <= set(expected)
    check(found, expected, 1e-4)
    toys = {k: v for k, v in expected.items() if k.startswith("out/toy/") and v.is_floating_point()}
    check({k: found[k] for k in toys}, toys, 3e-6, 1e-6)


@pytest.mark.parametrize(
    "run", ["ddpm_s1.5", "ddpm_s1.0", "ddim_ddim8_s1.5", "ddim_ddim8_s1.5_eta0.5", "ddim_linspace8_s1.5"]
)
def test_schedulers_of_diffusers_reproduce_the_authors_sampling(golden: Path, run: str) -> None:
    pytest.importorskip("diffusers")
    sampling, folder = golden_module("sdm_sampling"), golden / "S_sampling_8steps"
    sdm, case = golden_module("sdm"), json.loads((folder / "case.json").read_text())
    case["patched_constants"] = json.loads((golden / "A_celeba64/case.json").read_text())["patched_constants"]
    io = load_file(folder / "io.safetensors")
    model = sdm.build(case, sdm.weights_of(case, folder, sdm.side(io["in/x_T"])), sdm.side(io["in/x_T"]))
    options, _ = sampling.options_of(run, "8")
    process = process_of(model.config, options)
    arguments = (process, model.denoiser(model.layout(sdm.maps_of(model, io)), 1), io["in/x_T"])
    draws = sampling.Draws(io["in/step_noise"], process)
    with torch.no_grad():
        theirs = [s.x for s in by_diffusers(*arguments, draws, options)]
        ours = [s.x for s in steps_backwards(*arguments, draws, options)]
    torch.testing.assert_close(theirs[-1], io[f"out/{run}/sample"], atol=1e-4, rtol=0)
    for i, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        torch.testing.assert_close(a, b, atol=5e-5 * max(1.0, float(b.abs().max())), rtol=0, msg=f"step {i}")


def test_data(golden: Path) -> None:
    found, expected = results(golden / "P_preprocess")
    assert len(found) == 19 + 3
    for key, value in expected.items():
        difference = (found[key].double() - value.double()).abs().max()
        assert difference <= (2 if "image" in key else 0), key  # decoders of JPEG differ by a level


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_official_keys_counts_and_detection(golden: Path, name: str) -> None:
    folder, config = golden / "D_official_keys", CONFIGS[name]
    assert golden_module("replay").replay("sdm", folder) == {}
    lists = official_lists(folder / "official_keys.json")
    count = json.loads((folder / "case.json").read_text())["counts"][name]
    shapes = dict(next(v for k, v in lists.items() if k.startswith("ade20k")))
    shapes |= next((v for k, v in lists.items() if f"/{name}" in k), {})
    options = json.loads((folder / "official_options.json").read_text())[name]
    with torch.device("meta"):
        model = SDM(config, numbered_space(options["num_classes"]))
    ours = {k.removeprefix("unet."): tuple(v.shape) for k, v in model.state_dict().items()}
    assert {official.rename("unet", k): s for k, s in shapes.items()} == ours and len(ours) == count["keys"]
    assert set(official.official_names("unet", list(ours)).values()) == set(shapes)
    assert sum(p.numel() for p in model.parameters()) == count["params"] and model.label_input.channels == count["C"]
    recorded = golden_module("sdm").config_of({"official_options": options}, config.size)
    for field in ("width", "channel_mult", "attention", "res_blocks", "head_channels", "groups", "spade_hidden"):
        assert getattr(recorded, field) == getattr(config, field), field
    match = official.detect(shapes)
    assert match is not None and match.complete and match.role == "unet" and SDMConfig(**match.config) == config
    assert {"label_space", "head_channels", "predict_xstart"} <= set(match.ambiguous)
    less = official.detect({k: s for k, s in shapes.items() if k != "out.2.bias"} | {"extra.weight": (1,)})
    assert less is not None and less.missing == ("out.2.bias",) and less.unknown == ("extra.weight",)


def test_a_checkpoint_of_the_authors_loads(golden: Path) -> None:
    """The average that their save routine wrote is the one that our loop comes to."""
    file = golden / "C_train/official_checkpoint_ema_0.9999_000002.pt"
    report = identify(file, data=True)
    (network,) = report.named
    assert {(c.architecture, c.match.role) for c in network.candidates} == {("sdm", "unet")}
    state = official.convert({"unet": network.tensors})
    found = golden_module("replay").replay("sdm", golden / "C_train")
    names = official.official_names("unet", list(state))
    recorded = [k for k in state if f"out/loop/ema/{names[k].removeprefix('unet.')}" in found]
    assert len(state) == 200 and len(recorded) >= 1
    for key in recorded:
        ours = found[f"out/loop/ema/{names[key].removeprefix('unet.')}"]
        torch.testing.assert_close(ours, state[key], atol=1e-6, rtol=1e-4, msg=key)
    sums = json.loads((golden / "C_train/values.json").read_text())["loop/ema_after [sum, norm, norm of change]"]
    for key, value in state.items():
        expected = torch.tensor(sums[names[key].removeprefix("unet.")][:2])
        torch.testing.assert_close(torch.stack([value.sum(), value.norm()]), expected, atol=1e-4, rtol=1e-4, msg=key)
