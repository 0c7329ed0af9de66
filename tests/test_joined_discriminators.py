"""Synthesizers of the SPADE family against discriminators that other plugins register, with the losses that these bring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tiny import SPACE, check_gradients, step_of
from test_training_cli import zoo
from torch import Tensor, nn

from zoo.errors import ConfigError
from zoo.families.spade import joining
from zoo.families.spade.discriminators import MultiscaleDiscriminator, Opinion
from zoo.families.spade.fpse import FPSEDiscriminator
from zoo.families.spade.objectives import Objective
from zoo.files.tensors import read_tensors
from zoo.registry import registry
from zoo_plugins.scgan.config import VARIANTS as SCGAN_VARIANTS
from zoo_plugins.scgan.config import SCGANConfig, SCGANOptions
from zoo_plugins.scgan.model import SCGAN
from zoo_plugins.scgan.trainer import SCGANTrainer
from zoo_plugins.spade.config import SpadeConfig, SpadeOptions
from zoo_plugins.spade.model import SPADE
from zoo_plugins.spade.trainer import SpadeTrainer

SPADE_TINY = SpadeConfig(
    label_space="celebamask-hq", resolution=64, ngf=2, spade_hidden=4, use_vae=True, z_dim=6, nef=2, encoder_size=32
)
SCGAN_TINY = SCGANConfig(resolution=64, ngf=2, nff=2, nrf=2, spade_hidden=4, z_dim=6, nef=2, encoder_size=32)
SPADE_OPTIONS = SpadeOptions(steps=10, batch_size=2, perceptual="none", ndf=4)


def _spade(discriminator: str, config: SpadeConfig = SPADE_TINY, **options: Any) -> SpadeTrainer:
    torch.manual_seed(0)
    return SpadeTrainer(SPADE(config, SPACE).train(), replace(SPADE_OPTIONS, discriminator=discriminator, **options))


def test_spade_with_the_discriminator_of_oasis() -> None:
    trainer = _spade("oasis")
    losses = step_of(trainer, 0)
    # its own losses, and what the generator has beside them; there is nothing to match features with
    assert set(losses) == {"gan", "kld", "d_fake", "d_real", "labelmix"} and isinstance(trainer.objective, Objective)
    assert type(trainer.discriminator).__name__ == "SegmentingDiscriminator"
    check_gradients(trainer)
    assert "labelmix" not in step_of(_spade("oasis.discriminator", lambda_labelmix=0.0), 0)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("scgan.fpse", FPSEDiscriminator),
        ("cc-fpse", FPSEDiscriminator),
        ("scgan", MultiscaleDiscriminator),
        ("pix2pixhd.multiscale", MultiscaleDiscriminator),
        ("spade.discriminator", MultiscaleDiscriminator),
    ],
)
def test_spade_with_discriminators_that_see_the_map(name: str, kind: type) -> None:
    trainer = _spade(name)
    assert isinstance(trainer.discriminator, kind) and trainer.objective is None
    assert set(step_of(trainer, 0)) == {"gan", "kld", "gan_feat", "d_fake", "d_real"}
    check_gradients(trainer, "model")


def test_a_name_says_the_same_as_the_systems_own_word() -> None:
    """SPADE's discriminator by its registered name, and as `multiscale`: the same losses to the last bit."""
    assert step_of(_spade("spade"), 0) == step_of(_spade("multiscale"), 0)


def test_augmented_pictures_have_pixels_without_a_label() -> None:
    trainer = _spade("oasis", diffaugment=True, share_fake=True)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "kld", "d_fake", "d_real", "labelmix"}


def test_scgan_with_the_training_of_oasis() -> None:
    """`scgan-oasis`: the generator as it is, its own loss L_s, and the losses of OASIS."""
    options = replace(SCGAN_VARIANTS["celeba-128-oasis"].training, ndf=2, steps=4, batch_size=2)
    assert isinstance(options, SCGANOptions)
    torch.manual_seed(0)
    trainer = SCGANTrainer(SCGAN(SCGAN_TINY, SPACE).train(), options)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "kld", "w_recon", "d_fake", "d_real", "labelmix"}
    check_gradients(trainer)


@pytest.mark.parametrize("name", ["ade20k", "coco", "cityscapes"])
def test_the_recipe_of_scgan_oasis(name: str) -> None:
    plain, changed = SCGAN_VARIANTS[name], SCGAN_VARIANTS[f"{name}-oasis"]
    options = changed.training
    assert isinstance(options, SCGANOptions) and changed.config == plain.config
    city = name == "cityscapes"
    assert (options.lr, options.lr_d, options.betas) == (4e-4 if city else 1e-4, 4e-4, (0.0, 0.999))
    assert (options.ema, options.ema_warmup, options.lambda_labelmix) == (
        0.999 if city else 0.9999,
        False,
        5.0 if city else 10.0,
    )
    assert (options.discriminator, options.lambda_recon, options.lambda_feat, options.perceptual) == (
        "oasis",
        2.0,
        0.0,
        "none",
    )
    assert not options.labelmix_overwrite and options.unlabeled == "auto"


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_pictures_that_do_not_fit_are_refused_before_the_first_step() -> None:
    with pytest.raises(ConfigError, match=r"oasis.discriminator does not fit maps of 19 planes and pictures of 32 x 32 pixels: sides must be") as refused:  # fmt: skip
        _spade("oasis", replace(SPADE_TINY, resolution=32))
    assert "\n" not in str(refused.value)
    # instance norm of a single pixel
    with pytest.raises(ConfigError, match=r"scgan.fpse does not fit maps of 19 planes and pictures of 32 x 32 pixels"):
        _spade("scgan.fpse", replace(SPADE_TINY, resolution=32))


class FixedPlanes(nn.Conv2d):
    """Reads maps of three planes, whatever it is built for."""

    @classmethod
    def of(cls, label_input: object, options: object) -> FixedPlanes:
        return cls(6, 1, 1)

    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        return Opinion([self(torch.cat([planes, images], 1))], [])


class Scoreless(FixedPlanes):
    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        return Opinion([], [])


class Flat(FixedPlanes):
    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        return Opinion([images.mean((1, 2, 3))], [])


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (FixedPlanes, "odd does not fit maps of 19 planes and pictures of 64 x 64 pixels: "),
        (Scoreless, "gives Opinion, expected an Opinion with scores"),
        (Flat, r"scores have the shape \(1,\), expected"),
        (nn.Identity, "cannot be joined with a generator"),
    ],
)
def test_networks_that_do_not_fit(kind: type, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        def names(self, table: str) -> tuple[str, ...]:
            return ("odd",)

        def get(self, table: str, name: str) -> type:
            return kind

        def refuse_clash(self, table: str, name: str) -> None:
            pass

    monkeypatch.setattr(joining, "registry", Known)
    with pytest.raises(ConfigError, match=message) as refused:
        _spade("odd")
    assert "\n" not in str(refused.value)


def test_a_name_that_nobody_registers() -> None:
    with pytest.raises(ConfigError, match="discriminator: there is no 'oases'; did you mean 'oasis'"):
        _spade("oases")
    assert {"oasis.discriminator", "scgan.fpse", "spade.discriminator"} <= set(registry().names("networks"))


# --- from the command line --------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["oasis", "scgan.fpse"])
def test_pairs_train_from_the_command_line(name: str, tmp_path: Path) -> None:
    sets = {
        "discriminator": name, "steps": 2, "resolution": 64, "ngf": 4, "max_width": 16, "spade_hidden": 8, "nef": 4, "z_dim": 8,
        "encoder_size": 64, "ndf": 4, "batch_size": 2, "precision": "fp32", "channels_last": False, "preview_every": 0,
        "validate_every": 0, "perceptual": "none",
    }  # fmt: skip
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    run = tmp_path / "run"
    command = ["train", "spade/celeba-128", "--device", "cpu", "--data", "toy-faces:8", "--out", str(run), *changes]
    assert zoo(*command) == 0
    assert zoo("train", "--resume", run, "--set", "steps=3") == 0
    keys = set(read_tensors(run / "model" / "discriminator.safetensors"))
    assert any(k.startswith("down.0" if name == "oasis" else "encoders.0") for k in keys), sorted(keys)[:3]
