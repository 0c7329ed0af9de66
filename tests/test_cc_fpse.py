"""CC-FPSE behind the zoo's interface, its predicted convolutions, inference form and trainer, trained and composed at toy sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from gan_tiny import SPACE, block_maps, check_learning, settled, step_of
from segvae_tiny import small
from torch.nn import functional as F
from training_steps import TwoPairs

import zoo
from zoo.errors import ConfigError, UsageError, WeightsError
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.fpse import FPSEDiscriminator
from zoo.registry import label_space, registry
from zoo.rng import Rng
from zoo_plugins.cc_fpse import model as module
from zoo_plugins.cc_fpse import official
from zoo_plugins.cc_fpse.blocks import CHUNK, ConditionalBlock, PixelwiseDepthwise, Site
from zoo_plugins.cc_fpse.config import VARIANTS, CCFPSEConfig, CCFPSEOptions
from zoo_plugins.cc_fpse.model import CCFPSE
from zoo_plugins.cc_fpse.trainer import CCFPSETrainer

TINY = CCFPSEConfig(
    label_space="celebamask-hq", resolution=64, ngf=2, hidden=4, z_dim=6, nef=2, encoder_size=32
)  # fmt: skip
OPTIONS = CCFPSEOptions(steps=10, batch_size=2, perceptual="none", ndf=4)


def _model(**changes: Any) -> CCFPSE:
    torch.manual_seed(0)
    return settled(CCFPSE(replace(TINY, **changes), SPACE))


# --- layers -----------------------------------------------------------------------------------------------------------


def test_every_pixel_has_a_kernel_of_its_own() -> None:
    """The sum over an unfolded copy, and its gradients; kernels of one map serve several samples."""
    torch.manual_seed(0)
    x, kernels = torch.randn(2, 3, 5, 7, requires_grad=True), torch.randn(1, 27, 5, 7, requires_grad=True)
    unfolded = F.unfold(x, 3, padding=1).view(2, 3, 9, 5, 7)
    expected = (unfolded * kernels.view(1, 3, 9, 5, 7)).sum(2)
    out = PixelwiseDepthwise()(x, kernels)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-5)
    cotangent = torch.randn_like(out)
    for ours, theirs in zip(*(torch.autograd.grad(y, (x, kernels), cotangent) for y in (out, expected)), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_kernels_of_a_few_channels_at_a_time_change_nothing() -> None:
    torch.manual_seed(0)
    block = ConditionalBlock(2 * CHUNK + 5, CHUNK + 3, 6, hidden=4).eval()
    site, x = Site(torch.randn(1, 6, 8, 8)), torch.randn(2, 2 * CHUNK + 5, 8, 8)
    plan = block.plan(site)
    assert plan.conv_0.kernels.shape == (1, 9 * (2 * CHUNK + 5), 8, 8)
    torch.testing.assert_close(block(x, site), block(x, plan), atol=1e-6, rtol=1e-5)
    with torch.enable_grad():
        torch.testing.assert_close(block(x, site).detach(), block(x, plan), atol=1e-6, rtol=1e-5)


# --- model ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    config = VARIANTS[name].config
    space = label_space(config.label_space)
    with torch.device("meta"):
        model = CCFPSE(config, space)
    assert model.channels == space.names and ("photo" in model.styles) == config.use_vae
    count = sum(p.numel() for p in model.parameters())
    assert count == registry().architecture("cc-fpse").parameters[name]
    assert count <= 4_400_000 if "-128" in name else count > 1.2e8


def test_only_the_planes_that_occur_are_convolved_and_that_changes_nothing() -> None:
    model, maps = _model(edges=True), block_maps(1, classes=4)
    planes, z = model.planes(maps), torch.randn(1, TINY.z_dim)
    with torch.no_grad():
        few = model.generator(planes, z)
    torch.testing.assert_close(few, model.generator(planes, z).detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_vae": False, "edges": True},
        {"norm": "instance", "resolution": 96, "aspect_ratio": 1.5},
        {"norm": "spectralnone"},
        {"upsampling": "more", "resolution": 128, "aspect_ratio": 0.5, "max_width": 20},
    ],
)
def test_inference_form_is_equal_whether_layouts_keep_kernels_or_not(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, maps = _model(**changes), block_maps(2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    kept = model.layout(maps)
    plain = model.synthesize(kept, rng=3)
    assert kept.kept and plain.shape[-2:] == model.resolution
    monkeypatch.setattr(module, "KEPT", 0)
    lean = model.layout(maps, reuse=kept)
    assert not lean.kept
    for other in (model.synthesize(lean, rng=3), fast.synthesize(maps, rng=3)):
        torch.testing.assert_close(other, plain, atol=2e-5, rtol=0)
    monkeypatch.undo()
    torch.testing.assert_close(fast.synthesize(maps, rng=3), plain, atol=2e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_layouts_are_taken_up_again() -> None:
    model, maps = _model(), block_maps(3)
    layout = model.layout(maps)
    assert model.layout(maps, reuse=layout) is layout
    labels = maps.labels.clone()
    labels[1, :9] = 3
    changed = type(maps)(labels, SPACE)
    again, fresh = model.layout(changed, reuse=layout), model.layout(changed)
    style = model.sample_style(changed, 1)
    torch.testing.assert_close(model.synthesize(again, style), model.synthesize(fresh, style), atol=1e-6, rtol=0)
    many = model.synthesize(layout_of_one := model.layout(maps[0]), model.style(torch.randn(5, 6)))
    assert len(many) == 5 and len(layout_of_one) == 1


def test_bad_input_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*ngf, hidden"):
        CCFPSEConfig(resolution=100, ngf=0, hidden=0)
    with pytest.raises(ConfigError, match="normal or more"):
        CCFPSEConfig(upsampling="most")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="This CC-FPSE has no style"):
        _model(use_vae=False).sample_style(block_maps(1), 1)
    with pytest.raises(UsageError, match="CC-FPSE holds a tensor z"):
        model = _model()
        model.synthesize(block_maps(1), model.style(torch.zeros(1, 5)))
    with pytest.raises(WeightsError, match="unknown keys"):
        official.convert({"generator": {"head_0.conv_5.weight": torch.zeros(1)}})


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("vae", "discriminator"), [(True, "fpse"), (False, "multiscale"), (True, "oasis")])
def test_training_steps(vae: bool, discriminator: str) -> None:
    torch.manual_seed(1)
    config = replace(TINY, use_vae=vae, edges=not vae)
    trainer = CCFPSETrainer(CCFPSE(config, SPACE), replace(OPTIONS, discriminator=discriminator))
    losses = step_of(trainer, 0)
    own = {"labelmix"} if discriminator == "oasis" else {"gan_feat"}
    assert set(losses) == {"gan", "d_fake", "d_real", *own} | ({"kld"} if vae else set())
    for network in trainer.networks.values():
        without = {n for n, p in network.named_parameters() if p.grad is None}
        assert all(".unused." in n for n in without)
    if discriminator == "fpse":
        assert isinstance(trainer.discriminator, FPSEDiscriminator)
    if discriminator == "multiscale":
        assert isinstance(trainer.discriminator, MultiscaleDiscriminator)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert set(rows) == {"map", "photo", *(("encoded", "random") if vae else ("image",))}


def test_training_learns() -> None:
    torch.manual_seed(1)
    check_learning(CCFPSETrainer(CCFPSE(TINY, SPACE), replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)), "l1", 30)


@pytest.mark.usefixtures("one_thread")
def test_it_is_trained_and_composes_with_both_mask_generators(
    tmp_path: Path, run: Callable[..., Ran], pair: tuple[str, str]
) -> None:
    sizes = {
        "resolution": 64, "ngf": 4, "max_width": 16, "hidden": 8, "z_dim": 8, "nef": 4, "encoder_size": 32, "ndf": 4, "batch_size": 2,
        "steps": 2, "precision": "fp32", "preview_every": 0, "validate_every": 0, "perceptual": "none",
    }  # fmt: skip
    changes = [x for k, v in sizes.items() for x in ("--set", f"{k}={v}")]
    made = run(
        "train", "cc-fpse/celeba-128", "--device", "cpu", "--data", "toy-faces:6", "--out", tmp_path / "r", *changes
    )
    assert made.code == 0, made.err
    model = tmp_path / "r" / "model"
    segvae = zoo.save(small(), tmp_path / "segvae")
    for generator in (pair[0], segvae):
        pipe = zoo.compose((str(generator), str(model)), device="cpu")
        made = pipe(labels=["skin", "hair", "nose"], n=2, seed=3)
        assert made.images is not None and made.images.shape == (2, 3, 64, 64) and made.styles is not None
        assert bool((made.images[0] != made.images[1]).any())
