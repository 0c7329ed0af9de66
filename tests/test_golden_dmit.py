"""DMIT against vectors recorded from the authors' code: translation, losses, gradients, an iteration, units, key lists, data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

from zoo.checkpoints.convert import convert
from zoo.checkpoints.identify import identify
from zoo.registry import label_space
from zoo_plugins.dmit import official
from zoo_plugins.dmit.config import VARIANTS, DMITConfig
from zoo_plugins.dmit.model import DMIT

VANISHING = 1e-4
"""Gradient norms below this are rounding, of which Adam makes steps of its full rate."""


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "dmit"


def _numbers(value: Any, path: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    for key, inner in value.items():
        name = f"{path}/{key}" if path else key
        if isinstance(inner, dict):
            _numbers(inner, name, found)
        elif name != "optimizer_order":
            found[name] = torch.tensor(inner)
    return found


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """(ours, recorded tensors and numbers, tolerances), after a look that every recorded one is there."""
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    if (folder / "values.json").exists():
        expected |= _numbers(json.loads((folder / "values.json").read_text()), "", {})
    found = golden_module("replay").replay("dmit", folder)
    assert set(found) == set(expected) and found
    assert all(found[k].shape == expected[k].shape for k in found)
    tolerance = json.loads((folder / "case.json").read_text())["tolerance"]
    return found, expected, tolerance


def _close(found: dict[str, Tensor], expected: dict[str, Tensor], names: list[str], atol: float, rtol: float) -> None:
    assert names
    for name in names:
        torch.testing.assert_close(found[name].double(), expected[name].double(), atol=atol, rtol=rtol, msg=name)


def test_translation(golden: Path) -> None:
    """Ten times closer than the case allows; pictures to the level."""
    found, expected, allowed = _results(golden / "A_season")
    _close(found, expected, [k for k in found if not k.endswith("_u8")], allowed["atol"] / 10, allowed["rtol"] / 10)
    levels = [k for k in found if k.endswith("_u8")]
    assert len(levels) == 2 and all((found[k].int() - expected[k].int()).abs().max() <= 1 for k in levels)


def test_units(golden: Path) -> None:
    found, expected, allowed = _results(golden / "E_units")
    numbers = [k for k in found if k.split("/")[0] in ("gan", "kl", "schedule", "index_target")]
    assert len(numbers) == 18 + 1 + 2 + 7
    _close(found, expected, numbers, 1e-12, allowed["values_rtol"])
    _close(found, expected, [k for k in found if k not in numbers], allowed["atol"], allowed["rtol"])


@pytest.mark.parametrize(("name", "vanishing"), [("C_losses", 3), ("C2_losses_shared_dis", 0)])
def test_losses_gradients_and_an_iteration(golden: Path, name: str, vanishing: int) -> None:
    """The last two gradients are taken before the steps and not after them, within what the case allows for either."""
    found, expected, allowed = _results(golden / name)
    norms = [k for k in found if "grad_norm/" in k]
    _close(found, expected, [k for k in found if k.startswith("loss/")], 1e-7, allowed["losses_rtol"])
    _close(found, expected, norms, allowed["grad_norm_atol"], allowed["grad_norm_rtol"])
    taken = [k for k in found if k.startswith(("style/grad/", "content/grad/"))]
    clean = allowed["clean_form"]
    _close(found, expected, taken, **clean["style/grad, content/grad"])
    tensors = [k for k in found if k.startswith("out/") or ("/grad/" in k and k not in taken)]
    _close(found, expected, tensors, allowed["tensors"]["atol"], allowed["tensors"]["rtol"])
    _close(found, expected, [k for k in found if k.startswith("iter/buffer/")], 1e-6, 0)
    _close(found, expected, [k for k in found if k.startswith("iter/param/")], clean["iter_param"]["atol"], 0)
    small = {k.partition("grad_norm/")[2] for k in norms if float(expected[k]) < VANISHING}
    assert len(small) == vanishing
    for key in (k for k in found if k.startswith("iter/param_after/") and k.split("/", 2)[2] not in small):
        after, change = found[key] - expected[key]
        assert abs(float(after)) <= 1e-5 * max(1.0, float(expected[key][0])), key
        assert abs(float(change)) <= allowed["param_change_norm_rtol"] * float(expected[key][1]), key
    assert torch.equal(found["index_target"], expected["index_target"]) and float(found["lr"]) == 1e-4


def test_data(golden: Path) -> None:
    found, expected, _ = _results(golden / "P_preprocess")
    assert len(found) == 4 and all((found[k].int() - expected[k].int()).abs().max() <= 1 for k in found)


# --- key lists ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("variant", "name"), [("yosemite", "season_transfer"), ("birds", "semantic_image_synthesis")])
def test_official_keys_counts_and_detection(golden: Path, variant: str, name: str) -> None:
    folder, config = golden / "D_official_keys", VARIANTS[variant].config
    assert golden_module("replay").replay("dmit", folder) == {}
    lists = json.loads((folder / "official_keys.json").read_text())["configs"][name]
    case = json.loads((folder / "case.json").read_text())
    files = {k.partition("_<")[0]: v for k, v in lists.items() if "<epoch>" in k}
    files |= {k: v for k, v in lists["resume.pth"].items() if k in ("dis_content", "dis_rand_prior")}
    with torch.device("meta"):
        model = DMIT(config, label_space("domains"))
        made = {k: golden_module("dmit").network_of(k, case["official_options"][name]) for k in files}
    assert sum(p.numel() for p in model.parameters()) == case["parameters"][name]["generator files total"]
    for file, listed in files.items():
        shapes = {k: tuple(v) for k, v in listed.items()}
        role, counts = official.FILES[file], case["parameters"][name]
        ours = {k: tuple(v.shape) for k, v in made[file].state_dict().items()}
        assert {official.rename(role, k): s for k, s in shapes.items()} == ours
        assert sum(p.numel() for p in made[file].parameters()) == counts[file] and len(ours) == counts["keys"][file]
        if hasattr(model, role):
            assert {k: tuple(v.shape) for k, v in getattr(model, role).state_dict().items()} == ours
        match = official.detect(shapes)
        assert match is not None and match.role == role and match.complete
        told = {k: v for k, v in match.config.items() if k not in match.ambiguous}
        assert told == {k: getattr(config, k) for k in told}
        last = list(shapes)[-1]
        less = official.detect({k: s for k, s in shapes.items() if k != last} | {"extra.weight": (1,)})
        assert less is not None and less.missing == (last,) and less.unknown == ("extra.weight",)


def test_the_authors_files_become_a_model(golden: Path, tmp_path: Path) -> None:
    """Three files, or the one to resume from, with its discriminators: the same model, and the recorded picture."""
    folder, out = golden / "A_season", []
    three = sorted(folder.glob("official_checkpoint_*_latest.pth"))
    for number, files in enumerate((three, [folder / "official_checkpoint_resume.pth"])):
        report = convert(files, tmp_path / str(number), discriminator=bool(number))
        assert report["architecture"] == "dmit" and report["discriminator"] == bool(number)
        out.append(load_file(tmp_path / str(number) / "model.safetensors"))
    assert (
        len(three) == 3 and out[0].keys() == out[1].keys() and all(torch.equal(out[1][k], v) for k, v in out[0].items())
    )
    assert (tmp_path / "1/content_discriminator.safetensors").exists()
    roles = [n.candidates[0].match.role for n in identify(folder / "official_checkpoint_resume.pth").networks]
    assert roles == [*list(official.FILES.values())[:5], "drawn_discriminator"]
    opt = json.loads((folder / "case.json").read_text())["official_options"]
    config: DMITConfig = golden_module("dmit").config_of(opt)
    model = DMIT(config, label_space("domains")).eval()
    model.load_state_dict(out[0], strict=True)
    io = load_file(folder / "io.safetensors")
    photo = io["in/img_u8"][:1].float() / 255
    style = model.encode_style(io["in/img_u8"].float() / 255, "A")
    torch.testing.assert_close(style.tensors["z"], io["out/mu"], atol=1e-5, rtol=1e-4)
    drawn = model.sample_style(1, 0, domain="B")
    drawn.tensors["z"].copy_(io["out/style_enc"][1:])  # type: ignore[union-attr]
    picture = model.translate(photo, to="B", style=drawn)
    torch.testing.assert_close(picture * 2 - 1, io["out/fake_enc"][:1], atol=1e-5, rtol=1e-4)
