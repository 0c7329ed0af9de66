"""MaskGAN's dense mapping network: styles, the inference form, what may be wrong, both stages of training."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients, step_of
from test_training_cli import zoo as cli

import zoo
from zoo.data import Batch
from zoo.errors import ConfigError, DataError, UsageError
from zoo.files.images import save_image, to_pil
from zoo.inference.optimize import optimize
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.maskgan.behaviour import EditedMaps
from zoo_plugins.maskgan.config import MaskGANConfig, MaskGANOptions
from zoo_plugins.maskgan.inference import FoldedGenerator
from zoo_plugins.maskgan.model import MaskGAN
from zoo_plugins.maskgan.trainer import MaskGANTrainer
from zoo_plugins.maskgan.vae_config import MaskVAEConfig
from zoo_plugins.maskgan.vae_model import MaskVAE

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {"resolution": 32, "ngf": 4, "n_downsample_global": 2, "n_blocks_global": 2, "style_width": 2}
OPTIONS: dict[str, Any] = {"perceptual": "none", "ndf": 4, "n_layers_d": 3}
VAE: dict[str, Any] = {"ngf": 3, "ndf": 3, "latent": 6, "halvings": 3}


def tiny(**fields: Any) -> MaskGAN:
    torch.manual_seed(0)
    model = MaskGAN(MaskGANConfig(**(TINY | fields)), SPACE).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


class Pairs:
    """Maps and photos in memory (photos None: the maps' colours; False: none), as data sets give them."""

    def __init__(self, maps: SemanticMap, photos: Any = None) -> None:
        self.maps, self.label_space, self.has_images = maps, maps.space, photos is not False
        self.photos = maps.colorize() if photos is None else photos

    def __len__(self) -> int:
        return len(self.maps)

    def batch(self, indices: Any) -> Batch:
        rows = list(indices)
        return Batch(self.photos[rows] if self.has_images else None, self.maps[rows], tuple(map(str, rows)))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            yield self.batch(range(start, min(start + batch_size, len(self))))


def tiny_vae() -> MaskVAE:
    torch.manual_seed(1)
    return MaskVAE(MaskVAEConfig(**VAE), SPACE).eval()


# --- styles -----------------------------------------------------------------------------------------------------------


def test_a_style_is_of_the_photo_and_of_its_map() -> None:
    """Another map of the same photo gives another style; the style does not depend on the map that is painted."""
    model, photo = tiny(), torch.rand(1, 3, 32, 32)
    one, other = (model.encode_style(photo, block_maps(1, seed=seed)) for seed in (0, 1))
    assert one.tensors["adain"].shape == (1, 4, 2 * 16) and one.layers == ("1", "2", "3", "4") and not one.classes
    assert float((one.tensors["adain"] - other.tensors["adain"]).abs().max()) > 1e-3
    maps = block_maps(3, seed=7)
    painted = model.synthesize(maps, one)
    assert painted.shape == (3, 3, 32, 32) and float((painted[0] - painted[1]).abs().max()) > 1e-3
    torch.testing.assert_close(painted[1:2], model.synthesize(maps[1], one), atol=1e-5, rtol=0)


def test_layers_of_a_style_change_alone() -> None:
    model, maps = tiny(), block_maps(1)
    one, other = (model.encode_style(torch.rand(1, 3, 32, 32), block_maps(1, seed=seed)) for seed in (0, 1))
    mixed = one.take(other, layers=["4"])
    assert torch.equal(mixed.tensors["adain"][:, :3], one.tensors["adain"][:, :3])
    assert torch.equal(mixed.tensors["adain"][:, 3], other.tensors["adain"][:, 3])
    images = [model.synthesize(maps, style) for style in (one, mixed, other)]
    assert all(not torch.equal(a, b) for a, b in pairwise(images))


def test_the_prior_has_the_moments_of_the_photos_styles() -> None:
    """Its mean is the mean of their codes, which the last layer maps affinely; draws spread as the codes do."""
    model, maps, photos = tiny(), block_maps(64), torch.rand(64, 3, 32, 32)
    photos = photos * torch.rand(64, 3, 1, 1)
    data: Any = Pairs(maps, photos)
    model.assets["latent_prior"] = model.fit_asset("latent_prior", data, MaskGANOptions(**OPTIONS))
    styles = model.encode_style(photos, maps).tensors["adain"]
    mean = model.sample_style(maps[0], prior="mean").tensors["adain"]
    torch.testing.assert_close(mean[0], styles.mean(0), atol=1e-4, rtol=1e-3)
    drawn = model.sample_style(block_maps(1).repeat_interleave(4000), 0).tensors["adain"]
    error = (drawn.std(0) - styles.std(0)).abs() / styles.std(0).clamp_min(1e-3)
    assert float(error.max()) < 0.1
    assert model.styles == {"photo", "prior", "mean"}


def test_what_a_model_lacks_is_said() -> None:
    model, maps = tiny(), block_maps(1)
    with pytest.raises(UsageError, match="zoo fit MODEL latent_prior"):
        model.synthesize(maps)
    with pytest.raises(UsageError, match="no prior 'normal'"):
        model.sample_style(maps, 0, prior="normal")
    with pytest.raises(UsageError, match="got 1 photos of 16 x 16"):
        model.encode_style(torch.rand(1, 3, 16, 16), maps)
    other = tiny(n_blocks_global=1).encode_style(torch.rand(1, 3, 32, 32), maps)
    with pytest.raises(UsageError, match=r"adain \[samples, 4, 32\], got adain \[1, 2, 32\]"):
        model.synthesize(maps, other)
    data: Any = Pairs(maps, False)
    with pytest.raises(DataError, match="maps alone"):
        model.fit_asset("latent_prior", data, MaskGANOptions(**OPTIONS))


# --- inference form ---------------------------------------------------------------------------------------------------


def test_the_inference_form_is_equal_and_keeps_the_maps_part() -> None:
    model, maps = tiny(), block_maps(2)
    style = model.encode_style(torch.rand(2, 3, 32, 32), maps)
    fast: Any = optimize(model)
    assert isinstance(fast.generator, FoldedGenerator)
    torch.testing.assert_close(fast.synthesize(maps, style), model.synthesize(maps, style), atol=2e-5, rtol=0)
    layout = fast.layout(maps)
    assert fast.layout(maps, reuse=layout) is layout
    edited = SemanticMap(torch.cat([maps.labels[:1].roll(5, 2), maps.labels[1:]]), SPACE)
    part = fast.layout(edited, reuse=layout)
    torch.testing.assert_close(part.plan.features[1], layout.plan.features[1], atol=0, rtol=0)
    torch.testing.assert_close(fast.synthesize(part, style), fast.synthesize(edited, style), atol=2e-5, rtol=0)


# --- configs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"resolution": 500}, "resolution must be a multiple of 16"),
        ({"resolution": 16}, "coarsest features are 1 x 1"),
        ({"resolution": 16, "n_downsample_global": 3}, "needs sides of 32 or more, got 16 x 16"),
        ({"style_width": 0}, "style_width must be at least 1"),
    ],
)
def test_configs_that_make_no_network_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MaskGANConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"stage": 3}, "stage is 1 or 2, got 3"),
        ({"stage": 2}, "name one"),
        ({"mask_vae": "x"}, "goes with stage=2"),
        ({"inter": 0.0}, "inter must be positive"),
        ({"share_fake": False}, "both steps on one fake"),
        ({"ttur": True}, "lr_d"),
        ({"discriminator": "oasis"}, "multiscale and projected"),
        ({"blender_width": 0}, "blender_width must be at least 1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        MaskGANOptions(**fields)


def test_what_cannot_edit_maps_is_refused(tmp_path: Path) -> None:
    zoo.save(tiny(), tmp_path / "painter")
    with pytest.raises(ConfigError, match="has to be a mask generator that reconstructs them, got MaskGAN"):
        MaskGANTrainer(tiny(), MaskGANOptions(**OPTIONS, stage=2, mask_vae=str(tmp_path / "painter")))
    with pytest.raises(ConfigError, match="multiples of 8"):
        MaskGANTrainer(tiny(resolution=36), MaskGANOptions(**OPTIONS, stage=2, mask_vae="mask-vae-celeba"))


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_first_stage_learns() -> None:
    model = tiny()
    trainer = MaskGANTrainer(model.train().requires_grad_(True), MaskGANOptions(**OPTIONS, lr=2e-3, lambda_l1=20.0))
    trainer.prepare(Pairs(block_maps(2)))  # pyright: ignore[reportArgumentType]
    losses = [step_of(trainer, i) for i in range(12)]
    assert losses[-1]["l1"] < losses[0]["l1"] and set(losses[0]) == {"d_fake", "d_real", "gan", "gan_feat", "l1"}
    check_gradients(trainer)
    assert set(trainer.networks) == {"model", "discriminator"} and trainer.rates(150, 0)["generator"] == 1e-3


def test_the_second_stage_takes_four_steps_and_forgets_a_rate(tmp_path: Path) -> None:
    zoo.save(tiny_vae(), tmp_path / "vae")
    options: dict[str, Any] = {**OPTIONS, "stage": 2, "mask_vae": str(tmp_path / "vae"), "blender_width": 2}
    trainer = MaskGANTrainer(tiny().train().requires_grad_(True), MaskGANOptions(**options))
    data = Pairs(block_maps(2))
    trainer.prepare(data)  # pyright: ignore[reportArgumentType]
    batch = data.batch([0, 1])
    updates = trainer.updates(batch, Rng(0, [0, 1]), 0)
    assert [u.optimizers for u in updates] == [("discriminator",), ("generator",), ("discriminator",), ("blending",)]
    losses = step_of(trainer, 0)
    assert {"gan", "gan_feat", "d_fake", "blend_gan", "blend_gan_feat", "blend_d_fake", "blend_d_real"} <= set(losses)
    check_gradients(trainer)
    blending = {id(p) for g in trainer.optimizers()["blending"].param_groups for p in g["params"]}
    assert {id(p) for n in ("model", "blender") for p in trainer.networks[n].parameters()} == blending
    late = trainer.rates(150, 0)
    assert late["blending"] == 5e-5 and late["generator"] == late["discriminator"] == 2.5e-5
    decaying = MaskGANTrainer(tiny(), MaskGANOptions(**options, decay_blending=True))
    assert decaying.rates(150, 0)["blending"] == 2.5e-5
    assert {"inner map", "outer map", "inner", "outer", "blend"} < set(trainer.preview(batch, Rng(0, [0, 1])))


def test_edited_maps_lie_on_the_way_to_another_face_and_away_from_it() -> None:
    vae = tiny_vae()
    edited = EditedMaps(vae, "it", 2.5, 4.0)
    maps, others = block_maps(2), block_maps(2, seed=5)
    z, other = (vae.encode(m)["z"] for m in (maps, others))
    inner, outer = edited.between(maps, others)
    assert torch.equal(inner.labels, vae.decode({"z": z + (other - z) / 2.5}).labels)
    assert torch.equal(outer.labels, vae.decode({"z": z - (other - z) / 4}).labels)
    own = vae.decode({"z": z}).labels
    assert all(torch.equal(m.labels, own) for m in edited.between(maps, maps))
    data: Any = Pairs(maps)
    edited.prepare(data)
    assert torch.equal(edited.others(Rng(0, [3])).labels, edited.others(Rng(0, [4, 3])).labels[1:])


def test_a_generator_of_parts_edits_maps_too() -> None:
    """Semantic-VAE: classes of one of both maps alone may appear."""
    from zoo.data.toy_faces import ToyFaces

    generator, source = zoo.load("mask-vae-celeba"), ToyFaces("2", None, None)
    labels = torch.stack([torch.from_numpy(source.read(i, (128, 128))[1]).long() for i in range(2)])
    maps = SemanticMap(labels, source.label_space).to_space(SPACE)
    inner, outer = EditedMaps(generator, "it", 2.5, 4.0).between(maps, maps[[1, 0]])
    shown = {n for s in maps.label_sets() for n in s.names} | {"background"}
    assert all({n for s in m.label_sets() for n in s.names} <= shown for m in (inner, outer))
    assert not torch.equal(inner.labels, outer.labels)


def test_both_stages_from_the_command_line(tmp_path: Path) -> None:
    """MaskVAE and stage 1 apart, stage 2 from both; then maps of the one in the style of a photo, by the ordinary commands."""
    small = {"steps": 2, "batch_size": 2, "precision": "fp32", "preview_every": 1, "validate_every": 0}
    gan = {**small, **TINY, "perceptual": "none", "ndf": 4, "resolution": 64}

    def train(what: tuple[str, ...], out: str, **sets: Any) -> None:
        changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
        to = ("--device", "cpu", "--data", "toy-faces:4", "--out", str(tmp_path / out))
        assert cli("train", *what, *to, *changes) == 0

    train(("maskgan-vae/celeba-128",), "vae", **small, **(VAE | {"halvings": 4}))
    train(("maskgan/celeba-128",), "first", **gan)
    second = {k: v for k, v in gan.items() if k not in TINY}
    models = tmp_path / "vae/model", tmp_path / "first/model"
    train(("--init", str(models[1])), "second", **second, stage=2, mask_vae=models[0], blender_width=2)
    result = zoo.compose((str(models[0]), str(tmp_path / "second/model")), device="cpu")(n=2, seed=0)
    assert result.images is not None and result.maps is not None and result.images.shape == (2, 3, 64, 64)
    save_image(to_pil(torch.rand(3, 64, 64)), tmp_path / "photo.png")
    for i in range(2):
        result.maps.to_png(tmp_path / f"map{i}.png", i)
    painter = str(tmp_path / "second/model")
    styled = f"{tmp_path}/photo.png::{tmp_path}/map0.png"
    assert cli("synth", painter, tmp_path / "map1.png", "--style", styled, "--out", tmp_path / "copied") == 0
    edits = (
        "--edit",
        f"interpolate:skin,hair={tmp_path}/map1.png@0.4",
        "--edit",
        "remove:nose",
        "--edit",
        "perturb:skin=0.5",
    )
    chain = f"{models[0]}+{painter}"
    assert (
        cli("compose", chain, "--mask", tmp_path / "map0.png", *edits, "--style", styled, "--out", tmp_path / "edited")
        == 0
    )
    assert len(list((tmp_path / "edited/images").iterdir())) == 1
