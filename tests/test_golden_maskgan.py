"""MaskGAN against vectors recorded from the authors' code: networks, MaskVAE, losses, steps, layers, loaders, key lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor, nn

from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.registry import registry
from zoo_plugins.maskgan import official, vae_official
from zoo_plugins.maskgan.config import VARIANTS
from zoo_plugins.maskgan.generator import Blender
from zoo_plugins.maskgan.model import MaskGAN
from zoo_plugins.maskgan.vae_config import VARIANTS as VAE_VARIANTS
from zoo_plugins.maskgan.vae_model import MaskVAE

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def golden(shared: Path) -> Path:
    return shared / "golden" / "maskgan"


def results(folder: Path) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    """(ours, recorded, the case), after a look that every recorded result is there in its shape and type."""
    found, case = golden_module("replay").replay("maskgan", folder), json.loads((folder / "case.json").read_text())
    expected = {k: v for k, v in load_file(folder / "io.safetensors").items() if not k.startswith("in/")}
    assert set(expected) <= set(found)
    for key, value in expected.items():
        assert found[key].shape == value.shape and found[key].dtype == value.dtype, key
    return found, expected, case


def apart(ours: Tensor, recorded: Tensor) -> float:
    """Largest difference, by the largest number where that is above 1."""
    return float((ours.double() - recorded.double()).abs().max()) / max(1.0, float(recorded.double().abs().max()))


def test_the_dense_mapping_network(golden: Path) -> None:
    """Reconstruction with all modules' outputs, style copy, a mismatched reference, the bytes of the demo."""
    found, expected, _ = results(golden / "A_dmn")
    for key, value in expected.items():
        if value.dtype == torch.uint8:
            off = (found[key].int() - value.int()).abs()
            assert int(off.max()) <= 1 and float((off > 0).float().mean()) <= 1e-3, key
        else:
            assert apart(found[key], value) <= 2e-5, key
    image, mismatched = (expected[f"out/{n}"] for n in ("image", "mismatched_ref_image_s4"))
    assert float((image[..., ::4, ::4] - mismatched).abs().max()) > 0.1  # the case can tell them apart


def test_mask_vae(golden: Path) -> None:
    """Evaluation, both edited maps, training mode with its buffers."""
    found, expected, _ = results(golden / "B_maskvae")
    for key, value in expected.items():
        if value.dtype == torch.uint8:
            assert int((found[key] != value).sum()) <= 4, key
        else:
            assert apart(found[key], value) <= (5e-5 if "logits" in key else 2e-5), key


def test_losses_gradients_and_a_step_of_each_optimizer(golden: Path) -> None:
    found, expected, _ = results(golden / "C_losses")
    values = json.loads((golden / "C_losses/values.json").read_text())
    for key, value in expected.items():
        if key.startswith("grad/"):
            assert float((found[key] - value).abs().max()) <= 1e-4 * float(value.abs().max()), key
        else:
            assert apart(found[key], value) <= 2e-5, key
    assert len(values["losses"]) == 9
    for name, value in values["losses"].items():
        assert float(found[f"losses/{name}"]) == pytest.approx(value, rel=1e-4), name
    for term, norms in values["grad_norm"].items():
        assert {k for k in norms if f"grad_norm/{term}/{k}" in found} == {k for k, v in norms.items() if v is not None}
        for key, norm in norms.items():
            if norm is not None:
                assert float(found[f"grad_norm/{term}/{key}"]) == pytest.approx(norm, rel=1e-3, abs=3e-5), (term, key)
    for label, steps in values["adam"].items():
        _, _, formula = label.partition(" on ")
        terms = [
            t
            for t in values["grad_norm"]
            if t in formula.replace("*", " ").replace("(", " ").split(" ") + formula.split()
        ]
        for key, (total, norm, change) in steps.items():
            ours = found[f"adam/{label}/{key}"].tolist()
            largest = max(values["grad_norm"][t].get(key) or 0.0 for t in terms or values["grad_norm"])
            if largest < 1e-4:
                continue  # rounding's gradient, of which Adam makes a whole step
            assert ours[0] == pytest.approx(total, rel=1e-4, abs=1e-4), (label, key)
            assert ours[1] == pytest.approx(norm, rel=1e-4), (label, key)
            assert ours[2] == pytest.approx(change, rel=2e-2), (label, key)


def test_layers_and_edges(golden: Path) -> None:
    found, expected, case = results(golden / "E_units")
    for key, value in expected.items():
        assert apart(found[key], value) <= 2e-5, key
    for name, value in case["scalars"].items():
        assert float(found[f"scalars/{name}"]) == pytest.approx(value, rel=1e-5), name


def test_preprocessing_and_strokes(golden: Path) -> None:
    found, expected, _ = results(golden / "P_preprocess")
    for key, value in expected.items():
        off = (found[key].int() - value.int()).abs()
        assert int(off.max()) <= (2 if "image" in key else 0), key


def test_official_keys_and_counts(golden: Path) -> None:
    folder = golden / "D_official_keys"
    assert golden_module("replay").replay("maskgan", folder) == {}
    case = json.loads((folder / "case.json").read_text())
    (files,) = json.loads((folder / "official_keys.json").read_text()).values()
    space = registry().label_space("celebamask-hq")
    options = VARIANTS["celeba"].training
    with torch.device("meta"):
        model, vae = MaskGAN(VARIANTS["celeba"].config, space), MaskVAE(VAE_VARIANTS["celeba"].config, space)
        judge = MultiscaleDiscriminator(22, options.ndf, options.n_layers_d, options.num_d, options.norm_d, bias=True)
        networks: dict[str, tuple[str, nn.Module]] = {
            "latest_net_G.pth": ("generator", model.generator),
            "latest_net_B.pth": ("blender", Blender(options.blender_width)),
            "latest_net_D.pth": ("discriminator", judge),
        }
    for file, (role, network) in networks.items():
        shapes = {k: tuple(v) for k, v in files[file].items()}
        assert sum(p.numel() for p in network.parameters()) == case["parameters"][file]
        buffers = {k for k in shapes if ".norm.running_" in k}
        expected = {official.rename(role, k, shapes): v for k, v in shapes.items() if k not in buffers}
        assert expected == {k: tuple(v.shape) for k, v in network.state_dict().items()}
        assert set(official.official_names(role, list(network.state_dict())).values()) == set(shapes) - buffers
        assert len(shapes) == case["number_of_keys"][file] and bool(buffers) == (role == "generator")
    parts = {
        "model": model.generator.model,
        "enc_style": model.generator.enc_style,
        "enc_label": model.generator.enc_label,
    }
    assert {k: sum(p.numel() for p in m.parameters()) for k, m in parts.items()} == case["parts_of_G"]
    name = next(n for n in files if n.startswith("VAE"))
    names = vae_official.official_names(list(vae.state_dict()))
    assert {names[k]: tuple(v.shape) for k, v in vae.state_dict().items()} == {
        k: tuple(v) for k, v in files[name].items()
    }
    assert sum(p.numel() for p in vae.parameters()) == case["parameters"][name]


def test_official_options_are_the_defaults(golden: Path) -> None:
    """But for `no_flip`, which the authors' loader does not look at: it never flips."""
    train = json.loads((golden / "D_official_keys/official_options.json").read_text())["train"]
    config, options = VARIANTS["celeba"].config, VARIANTS["celeba"].training
    for theirs, ours in {
        "ngf": "ngf",
        "n_downsample_global": "n_downsample_global",
        "n_blocks_global": "n_blocks_global",
    }.items():
        assert train[theirs] == getattr(config, ours)
    assert (train["label_nc"], train["loadSize"], train["batchSize"]) == (19, config.resolution, options.batch_size)
    pairs = {
        "lr": "lr",
        "beta1": "beta1",
        "niter": "niter",
        "niter_decay": "niter_decay",
        "ndf": "ndf",
        "num_D": "num_d",
    }
    pairs |= {"lambda_feat": "lambda_feat", "resize_or_crop": "preprocess"}
    assert {k: train[k] for k in pairs} == {k: getattr(options, v) for k, v in pairs.items()}
    assert train["n_layers_D"] + 1 == options.n_layers_d and not options.flip


def test_checkpoints_of_the_authors_are_the_weights(golden: Path) -> None:
    """The files that their save routine wrote hold the weights of the cases."""
    stored = load_file(golden / "A_dmn/weights.safetensors")
    weights = {f"netG.{k}": v for k, v in stored.items()} | load_file(golden / "C_losses/weights.safetensors")
    for letter, case in {"G": "A_dmn", "B": "C_losses", "D": "C_losses"}.items():
        state = torch.load(golden / case / f"official_checkpoint_latest_net_{letter}.pth", weights_only=True)
        assert {f"net{letter}.{k}" for k in state} == {k for k in weights if k.startswith(f"net{letter}.")}
        assert all(torch.equal(v, weights[f"net{letter}.{k}"]) for k, v in state.items())
