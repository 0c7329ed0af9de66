"""SC-GAN behind the zoo's interface, its inference form and its trainer, at toy sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients, check_learning, settled, step_of
from training_steps import TwoPairs

from zoo.data import PairData
from zoo.errors import ConfigError, UsageError, WeightsError
from zoo.families.spade.diffaugment import augment
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.scgan import official
from zoo_plugins.scgan.config import VARIANTS, SCGANConfig, SCGANOptions
from zoo_plugins.scgan.model import SCGAN
from zoo_plugins.scgan.trainer import SCGANTrainer

TINY = SCGANConfig(resolution=32, ngf=2, nff=2, nrf=2, spade_hidden=4, z_dim=6, nef=2, encoder_size=32)
OPTIONS = SCGANOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3, flip=False)


def _model(**changes: Any) -> SCGAN:
    torch.manual_seed(0)
    return settled(SCGAN(replace(TINY, **changes), SPACE))


def test_celeba_channel_order_and_capabilities() -> None:
    model = _model()
    assert model.channels == (*SPACE.names[1:], "background")
    assert isinstance(model, SamplesStyle) and isinstance(model, EncodesStyle)
    assert model.styles == {"prior", "mean", "photo"}
    assert model.planes(SemanticMap(torch.zeros(1, 32, 32, dtype=torch.long), SPACE)).argmax(1).unique().tolist() == [
        18
    ]


def test_small_variant_fits_its_budget() -> None:
    with torch.device("meta"):
        model = SCGAN(VARIANTS["celeba-128"].config, SPACE)
    assert sum(p.numel() for p in model.parameters()) <= 8_700_000


def test_styles() -> None:
    model, maps = _model(), block_maps(2)
    layout = model.layout(maps)
    assert model.layout(maps, reuse=layout) is layout
    photo = torch.rand(2, 3, 48, 48)
    mean = model.encode_style(photo, maps)
    assert torch.equal(mean.tensors["z"], model.encode_style(photo, maps).tensors["z"])
    assert not torch.equal(mean.tensors["z"], model.encode_style(photo, maps, rng=1).tensors["z"])
    between = model.encode_style(photo[:1], maps[0]).lerp(model.encode_style(photo[1:], maps[1]), 0.5)
    torch.testing.assert_close(between.tensors["z"], mean.tensors["z"].mean(0, keepdim=True))
    assert model.sample_style(maps, None, prior="mean").tensors["z"].abs().sum() == 0
    with pytest.raises(UsageError, match="fitted"):
        model.sample_style(maps, 1, prior="fitted")
    model.assets["latent_prior"] = {"mean": torch.full((6,), 3.0), "factor": torch.zeros(6, 6)}
    assert torch.equal(model.sample_style(maps, 1).tensors["z"], torch.full((2, 6), 3.0))
    assert torch.equal(
        model.sample_style(maps, 1, prior="normal").tensors["z"], Rng(1, range(2)).normal("z", shape=(6,))
    )
    with pytest.raises(UsageError, match="one style"):
        model.synthesize(block_maps(3), mean)


def test_without_vae_there_is_no_style() -> None:
    model, maps = _model(use_vae=False, n_norm=4, position=False, pyr_pos=False, svg_spectral=True), block_maps(2)
    assert not model.styles
    torch.testing.assert_close(model.synthesize(maps)[:1], model.synthesize(maps[0]), atol=1e-6, rtol=0)
    with pytest.raises(UsageError, match="no style"):
        model.sample_style(maps, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"weight_type": "sigmoid", "n_norm": 2, "svg_spectral": True},
        {"norm": "spectralspadesyncbatch3x3"},
        {"norm": "sccinstance3x3", "resolution": 64},  # an instance norm needs more than one pixel
        {"upsampling": "more", "resolution": 64, "use_vae": False},
    ],
)
def test_inference_form_is_equal(changes: dict[str, Any]) -> None:
    model, maps = _model(**changes), block_maps(2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    torch.testing.assert_close(fast.synthesize(maps, rng=3), model.synthesize(maps, rng=3), atol=1e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    if model.encoder is not None:
        photo = torch.rand(2, 3, 32, 32)
        torch.testing.assert_close(
            fast.encode_style(photo, maps).tensors["z"], model.encode_style(photo, maps).tensors["z"]
        )


def test_config_faults_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*nrf.*blur_size"):
        SCGANConfig(resolution=100, nrf=0, blur_size=4)
    with pytest.raises(ConfigError, match="position"):
        SCGANConfig(position=False)


def test_old_spectral_keys_are_refused() -> None:
    with pytest.raises(WeightsError, match="weight_v"):
        official.convert({"encoder": {"layer1.0.weight": torch.zeros(1), "layer1.0.weight_u": torch.zeros(1)}})


# --- training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours", [False, True])
def test_training_steps(ours: bool) -> None:
    torch.manual_seed(1)
    options = replace(
        OPTIONS, share_fake=ours, diffaugment=ours, lambda_l1=10.0 * ours, kld_mean=ours, channels_last=ours
    )
    trainer = SCGANTrainer(SCGAN(TINY, SPACE), options)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "kld", "gan_feat", "w_recon", "d_fake", "d_real"} | ({"l1"} if ours else set())
    check_gradients(trainer)


@pytest.mark.parametrize("kind", ["fpse", "fpsem", "routing", "srouting", "selfrouting"])
def test_every_discriminator_trains(kind: Any) -> None:
    torch.manual_seed(1)
    norm = "spectral" if kind == "fpsem" else "spectralinstance"
    options = replace(OPTIONS, discriminator=kind, smooth_d=kind == "srouting", norm_d=norm)
    trainer = SCGANTrainer(SCGAN(replace(TINY, resolution=64, use_vae=False), SPACE), options)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "gan_feat", "w_recon", "d_fake", "d_real"}
    check_gradients(trainer, "discriminator")


@pytest.mark.parametrize(
    ("name", "planes", "size"),
    [
        ("ade20k", 151, (256, 256)),
        ("coco", 183, (256, 256)),
        ("cityscapes", 35, (256, 512)),
        ("celeba", 19, (512, 512)),
    ],
)
def test_official_variants_fit_their_label_spaces(name: str, planes: int, size: tuple[int, int]) -> None:
    variant = VARIANTS[name]
    space = label_space(variant.config.label_space)
    with torch.device("meta"):
        model = SCGAN(variant.config, space)
    assert model.label_input.channels == planes and model.resolution == size
    assert (model.channels == space.names) == (name != "celeba") and bool(model.styles) == (name == "celeba")
    if space.ignore:
        assert model.label_input.table[255] == planes - 1


def test_training_learns() -> None:
    torch.manual_seed(1)
    check_learning(SCGANTrainer(SCGAN(TINY, SPACE), replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)), "l1", 30)


def test_rates_follow_the_official_schedule() -> None:
    trainer = SCGANTrainer(SCGAN(TINY, SPACE), OPTIONS)
    assert trainer.rates(0, 0) == {"generator": 1e-4, "discriminator": 4e-4}
    assert trainer.rates(50.9, 0)["generator"] == 1e-4
    assert trainer.rates(51, 0)["generator"] == pytest.approx(1e-4 * (1 - 1 / 50))
    assert trainer.rates(100, 0)["generator"] == pytest.approx(0)
    ours = SCGANTrainer(SCGAN(TINY, SPACE), replace(OPTIONS, decay_last=0.4, steps=100, ttur=False, lr=4e-4))
    assert ours.rates(0, 60) == {"generator": 4e-4, "discriminator": 4e-4}
    assert ours.rates(0, 80)["generator"] == pytest.approx(2e-4)


def test_validation_preview_and_assets() -> None:
    trainer = SCGANTrainer(_model(), OPTIONS)
    data = cast(PairData, TwoPairs(block_maps(2)))
    score = trainer.validate(data)["l1"]
    images = TwoPairs(block_maps(2)).batch.images
    assert images is not None
    style = trainer.gan.encode_style(images, block_maps(2))
    expected = 2 * (trainer.gan.synthesize(block_maps(2), style) - images).abs().mean()
    assert score == pytest.approx(float(expected), abs=1e-6)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert {"map", "photo", "encoded", "random"} <= set(rows)
    assert all(v.shape == (2, 3, 32, 32) and v.min() >= 0 and v.max() <= 1 for v in rows.values())
    prior = trainer.finish(data)["latent_prior"]
    mu, logvar = trainer.gan.encode(images * 2 - 1)
    covariance = torch.cov(mu.T, correction=0) + torch.diag(logvar.exp().mean(0))
    torch.testing.assert_close(prior["factor"] @ prior["factor"].T, covariance, atol=1e-4, rtol=1e-3)


def test_reconstruction_losses_and_perceptual_choice() -> None:
    with pytest.raises(ConfigError, match="perceptual"):
        step_of(SCGANTrainer(SCGAN(TINY, SPACE), replace(OPTIONS, recon_loss="vgg")), 0)
    assert step_of(SCGANTrainer(SCGAN(TINY, SPACE), replace(OPTIONS, recon_loss="l2")), 0)["w_recon"] > 0


def test_augmentation_is_keyed_and_moves_map_and_image_together() -> None:
    planes = torch.ones(1, 2, 16, 16)
    images = torch.zeros(1, 3, 16, 16)
    nothing = torch.tensor([[0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0]])  # hole: the upper left quarter of it is inside
    out = augment(planes, images, nothing)
    assert out[0, 0, :4, :4].sum() == 0 and out[0, 0, 4:, 4:].min() == 1
    shifted = augment(planes, images + 0.2, torch.tensor([[0.5, 0.5, 0.5, 1.0, 0.5, 0.0, 0.0]]))
    assert shifted[0, :, :2].abs().sum() == 0
    assert torch.equal(shifted[0, 0] == 0, shifted[0, 2] == 0)
