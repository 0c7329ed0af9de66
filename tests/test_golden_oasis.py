"""OASIS against vectors recorded from the authors' code: networks, noise, losses, gradients, an iteration, units, key lists, data, FID."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor

from zoo.labels import numbered_space
from zoo_plugins.oasis import official
from zoo_plugins.oasis.config import VARIANTS, OasisConfig
from zoo_plugins.oasis.discriminator import SegmentingDiscriminator
from zoo_plugins.oasis.model import OASIS

CLASSES = {"ade20k": 151, "cityscapes": 35, "coco": 183}
COUNTS = {
    "ade20k": (74_314_691, 22_258_904), "cityscapes": (71_107_523, 22_251_364), "coco": (75_199_427, 22_260_984),
    "ade20k-no-noise": (72_545_219, 22_258_904),
}  # fmt: skip


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "oasis"


def _results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(ours, recorded tensors and numbers), after a look that every recorded tensor is there."""
    io = load_file(folder / "io.safetensors")
    results = golden_module("oasis").replay(folder)
    inputs = ("in/", "/in", "/bits", "/classes", "/real", "/fake")
    lacking = [k for k in io if k not in results and not any(part in k for part in inputs)]
    assert results and not lacking
    expected = dict(io)
    for name in ("values.json", "case.json"):
        if (folder / name).exists():
            _walk(json.loads((folder / name).read_text()), "", set(results), expected)
    assert set(results) <= set(expected)
    assert all(results[k].shape == expected[k].shape for k in results)
    return results, expected


def _walk(value: object, path: str, wanted: set[str], found: dict[str, Tensor]) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            _walk(inner, f"{path}/{key}" if path else key, wanted, found)
    elif path in wanted:
        found.setdefault(path, torch.tensor(value))


@pytest.mark.parametrize("name", ["A_celeba_ks1", "B_gta5_nonoise_batch", "E_units"])
def test_networks_noise_and_units(golden: Path, name: str) -> None:
    results, expected = _results(golden / name)
    for key, value in results.items():
        if expected[key].is_floating_point():
            scale = max(1.0, float(expected[key].abs().max()))  # unconverged u and v make large values
            torch.testing.assert_close(value.float(), expected[key], atol=1e-5 * scale, rtol=1e-4, msg=key)
        else:
            assert torch.equal(value, expected[key]), key


def test_losses_gradients_and_an_iteration(golden: Path) -> None:
    results, expected = _results(golden / "C_losses")
    numbers = {k for k in results if k.split("/")[0] in ("train", "eval", "train_vgg", "variants_on_eval_D_real")}
    assert {"train/G/adv", "train_vgg/G/vgg_x10", "train/D/labelmix", "eval/D/total", "iter/D/real"} <= set(results)
    assert len([k for k in numbers if "grad_norm" in k]) == 128 + 2 * 66 + 1
    for key, value in results.items():
        right = expected[key]
        if "param_after" in key:
            gradient = expected.get(f"train/grad_norm_G/{key.removeprefix('iter/param_after/')}")
            if gradient is not None and float(gradient) < 1e-6:
                continue  # in front of a batch norm: rounding alone, of which Adam makes steps of its full rate
            # sum, norm, norm of the change: the first Adam step is a sign, which rounding turns where a gradient is almost 0
            slack = 2e-4 * float(right.abs().max()) + 0.2 * float(right[2])
            torch.testing.assert_close(value[:2], right[:2], atol=slack, rtol=2e-4, msg=key)
            assert abs(float(value[2] - right[2])) <= 1e-4 + 0.05 * float(right[2]), key
        elif key.startswith("iter/net"):
            # in front of a batch norm (fc.bias) the gradient is rounding, whose sign Adam makes a step of 1e-4
            assert float((value - right).abs().max()) <= (2.1e-4 if key.endswith("fc.bias") else 1e-5), key
        elif "grad_norm" in key:
            torch.testing.assert_close(value, right, atol=1e-4, rtol=1e-3, msg=key)
        elif right.is_floating_point():
            torch.testing.assert_close(value, right, atol=1e-5, rtol=2e-4, msg=key)
        else:
            assert torch.equal(value, right), key


def test_data_and_fid(golden: Path) -> None:
    results, expected = _results(golden / "P_preprocess")
    assert len([k for k in results if k.startswith("out/")]) == 12
    for key, value in results.items():
        if "image" in key:
            assert (value.double() - expected[key].double()).abs().max() <= (2e-3 if "mean" in key else 1), key
        else:
            assert torch.equal(value, expected[key]), key
    results, expected = _results(golden / "I_fid")
    assert {"values/regular", "values/fewer_samples_than_dims"} < set(results)
    for key, value in results.items():
        torch.testing.assert_close(value, expected[key], atol=1e-6, rtol=1e-3, msg=key)


def _files(golden: Path, name: str) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of both files of a config; some are recorded as what differs from another one."""
    folder = golden / "D_official_keys"
    assert golden_module("oasis").replay(folder) == {}
    recorded = json.loads((folder / "official_keys.json").read_text())
    entry, files = recorded[name], recorded[recorded[name].get("relative_to", name)]
    shapes = {f: {k: tuple(shape) for k, (shape, _) in keys.items()} for f, keys in files.items()}
    for file in shapes if "relative_to" in entry else ():
        changed = {k: tuple(shape) for k, (shape, _) in entry[file]["added_or_changed"].items()}
        shapes[file] = {k: v for k, v in (shapes[file] | changed).items() if k not in entry[file]["removed"]}
    return shapes


KEYS = {
    "ade20k": ("ade20k", {}, 208), "cityscapes": ("cityscapes", {}, 208), "coco": ("coco", {}, 208),
    "ade20k_no_3dnoise": ("ade20k", {"use_noise": False}, 208),
    "ade20k_param_free_instance": ("ade20k", {"norm": "spectralspadeinstance3x3"}, 160),
}  # fmt: skip
"""Recorded name -> (variant, fields that differ from it, keys of the generator)."""


@pytest.mark.parametrize("name", KEYS)
def test_official_keys_and_detection(golden: Path, name: str) -> None:
    variant, changes, count = KEYS[name]
    files, config = _files(golden, name), replace(VARIANTS[variant].config, **changes)
    with torch.device("meta"):
        model = OASIS(config, numbered_space(CLASSES[variant]))
        networks = {"generator": model.generator, "discriminator": SegmentingDiscriminator(CLASSES[variant])}
    for role, file in (("generator", "G.pth and EMA.pth"), ("discriminator", "D.pth")):
        shapes = files[file]
        ours = {k: tuple(v.shape) for k, v in networks[role].state_dict().items()}
        assert {official.rename(role, k): s for k, s in shapes.items()} == ours
        assert set(official.official_names(role, list(ours)).values()) == set(shapes)
        match = official.detect(shapes)
        assert (
            match is not None
            and match.role == role
            and match.complete
            and len(shapes) == (count if role == "generator" else 130)
        )
        if role == "generator":
            assert OasisConfig(**match.config) == config and {"z_dim", "channels"} <= set(match.ambiguous)
            less = official.detect(
                {k: s for k, s in shapes.items() if k != "body.3.conv_0.bias"} | {"extra.weight": (1,)}
            )
            assert less is not None and less.missing == ("body.3.conv_0.bias",) and less.unknown == ("extra.weight",)


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_parameter_counts(name: str) -> None:
    classes = CLASSES[name.removesuffix("-no-noise")]
    with torch.device("meta"):
        model, discriminator = OASIS(VARIANTS[name].config, numbered_space(classes)), SegmentingDiscriminator(classes)
    assert tuple(sum(p.numel() for p in m.parameters()) for m in (model, discriminator)) == COUNTS[name]


def test_a_checkpoint_of_the_authors_loads(golden: Path) -> None:
    """The file that their save routine wrote holds the weights of the case."""
    folder = golden / "A_celeba_ks1"
    opt = json.loads((folder / "case.json").read_text())["official_options"]
    state = torch.load(folder / "official_checkpoint_best_EMA.pth", weights_only=True)
    model = golden_module("oasis").build(opt, state)
    io = load_file(folder / "io.safetensors")
    channels = model.label_input.read(golden_module("oasis").map_of(model, io))
    with torch.no_grad():
        image = model.generator.render(model.noisy(channels, model.image_style(io["in/z"])))
    torch.testing.assert_close(image, io["out/sample"], atol=1.2e-5, rtol=1e-4)
    match = official.detect({k: tuple(v.shape) for k, v in state.items()})
    assert match is not None and match.complete and match.config["z_dim"] == 8
