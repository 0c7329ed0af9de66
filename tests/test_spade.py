"""SPADE behind the zoo's interface, its inference form and its trainer, at toy sizes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL.Image
import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients, check_learning, settled, step_of
from training_steps import TwoPairs

import zoo
from zoo import configs
from zoo.data import PairData
from zoo.errors import ConfigError, DataError, UsageError, WeightsError
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.spade import official
from zoo_plugins.spade.config import VARIANTS, SpadeConfig, SpadeOptions
from zoo_plugins.spade.model import SPADE, SpadeLayout
from zoo_plugins.spade.trainer import SpadeTrainer

TINY = SpadeConfig(
    label_space="celebamask-hq", resolution=32, ngf=2, spade_hidden=4, use_vae=True, z_dim=6, nef=2, encoder_size=32
)
OPTIONS = SpadeOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3)


def _model(**changes: Any) -> SPADE:
    torch.manual_seed(0)
    return settled(SPADE(replace(TINY, **changes), SPACE))


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    variant = VARIANTS[name]
    space = label_space(variant.config.label_space)
    with torch.device("meta"):
        model = SPADE(variant.config, space)
    assert model.channels == space.names and ("photo" in model.styles) == variant.config.use_vae
    if space.ignore:  # officially the "don't care" class, or the license plate
        assert model.label_input.table[255] == len(space) - 1
    count = sum(p.numel() for p in model.parameters())
    assert count <= 4_400_000 if variant.config.max_width else count > 9e7  # ours: 9 MB in half precision


def test_only_the_channels_that_occur_are_convolved_and_that_changes_nothing() -> None:
    model, maps = _model(), block_maps(1)
    planes, z = model.planes(maps), torch.randn(1, TINY.z_dim)
    with torch.no_grad():
        few = model.generator(planes, z)
    whole = model.generator(planes, z).detach()
    torch.testing.assert_close(few, whole, atol=1e-5, rtol=0)


def test_styles_of_photos() -> None:
    model, maps = _model(), block_maps(2)
    layout = model.layout(maps)
    assert isinstance(layout, SpadeLayout) and layout.notes == () and model.layout(maps, reuse=layout) is layout
    with pytest.raises(UsageError, match="one style"):
        model.synthesize(block_maps(3), model.sample_style(maps, 1))
    photo = torch.rand(2, 3, 48, 48)
    mean = model.encode_style(photo, maps)
    assert torch.equal(mean.tensors["z"], model.encode_style(photo, maps).tensors["z"])
    assert not torch.equal(mean.tensors["z"], model.encode_style(photo, maps, rng=1).tensors["z"])
    assert model.sample_style(maps, None, prior="mean").tensors["z"].abs().sum() == 0
    with pytest.raises(UsageError, match="SPADE holds a tensor z"):
        model.synthesize(maps, replace(mean, tensors={"z": torch.zeros(2, 5)}))


def test_without_vae_there_is_no_style_and_it_says_so() -> None:
    model, maps = _model(use_vae=False), block_maps(2)
    assert not model.styles
    torch.testing.assert_close(model.synthesize(maps)[:1], model.synthesize(maps[0]), atol=1e-5, rtol=0)
    for refused in (
        lambda: model.sample_style(maps, 1),
        lambda: model.encode_style(torch.rand(2, 3, 32, 32), maps),
        lambda: model.synthesize(maps, _model().sample_style(maps, 1)),
    ):
        with pytest.raises(UsageError, match="This SPADE has no style"):
            refused()


def test_instance_edges_come_from_the_instances_and_a_map_without_them_says_so() -> None:
    model, maps = _model(edges=True, use_vae=False), block_maps(1)
    assert model.label_input.channels == len(SPACE) + 1
    instances = torch.zeros_like(maps.labels)
    instances[:, :, 9:] = 1
    numbered = SemanticMap(maps.labels, SPACE, instances)
    edges = model.planes(numbered)[0, -1]
    assert edges[:, 8:10].min() == 1 and edges.sum() == 2 * 32
    drawn, told = model.layout(maps), model.layout(numbered)
    assert "`instances`" in drawn.notes[0] and told.notes == ()
    assert (model.synthesize(drawn) - model.synthesize(told)).abs().max() > 1e-3
    # equal labels with other instances are another map
    again = model.layout(maps, reuse=told)
    torch.testing.assert_close(model.synthesize(again), model.synthesize(drawn), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"use_vae": False, "edges": True},
        {"norm": "spadebatch5x5"},
        {"norm": "spectralspadeinstance1x1", "resolution": 64},  # an instance norm needs more than one pixel
        {"upsampling": "more", "resolution": 64, "aspect_ratio": 0.5},
        {"upsampling": "most", "resolution": 256, "aspect_ratio": 2.0, "use_vae": False, "ngf": 4, "max_width": 4},
    ],
)
def test_inference_form_is_equal(changes: dict[str, Any]) -> None:
    model, maps = _model(**changes), block_maps(2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    plain = model.synthesize(maps, rng=3)
    assert plain.shape[-2:] == model.resolution
    torch.testing.assert_close(fast.synthesize(maps, rng=3), plain, atol=1e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_sizes() -> None:
    assert replace(TINY, resolution=512, aspect_ratio=2.0, upsampling="more").size == (256, 512)
    with pytest.raises(ConfigError, match=r"resolution.*ngf"):
        SpadeConfig(resolution=100, ngf=0)
    with pytest.raises(ConfigError, match="pixels of height"):
        SpadeConfig(resolution=32, aspect_ratio=4.0)


def test_foreign_and_old_checkpoints_are_refused() -> None:
    with pytest.raises(WeightsError, match="unknown keys"):
        official.convert({"generator": {"embedding.weight": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="Unknown role"):
        official.convert({"critic": {}})
    old = {"layer1.0.weight_orig": torch.zeros(1), "layer1.0.weight_u": torch.zeros(1)}
    with pytest.raises(WeightsError, match="weight_v"):
        official.convert({"encoder": old})


# --- training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vae", [False, True])
def test_training_steps(vae: bool) -> None:
    torch.manual_seed(1)
    trainer = SpadeTrainer(SPADE(replace(TINY, use_vae=vae, edges=not vae), SPACE), OPTIONS)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "gan_feat", "d_fake", "d_real"} | ({"kld"} if vae else set())
    check_gradients(trainer)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert set(rows) == {"map", "photo", *(("encoded", "random") if vae else ("image",))}


def test_training_learns() -> None:
    torch.manual_seed(1)
    check_learning(SpadeTrainer(SPADE(TINY, SPACE), replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)), "l1", 30)


def test_optimizers_with_and_without_ttur() -> None:
    def groups(**changes: Any) -> dict[str, tuple[float, tuple[float, float]]]:
        trainer = SpadeTrainer(SPADE(TINY, SPACE), replace(OPTIONS, **changes))
        return {n: (o.param_groups[0]["lr"], o.param_groups[0]["betas"]) for n, o in trainer.optimizers().items()}

    assert groups() == {"generator": (1e-4, (0.0, 0.9)), "discriminator": (4e-4, (0.0, 0.9))}
    assert groups(ttur=False) == {"generator": (2e-4, (0.5, 0.999)), "discriminator": (2e-4, (0.5, 0.999))}
    assert groups(beta1=0.1, beta2=0.99)["generator"][1] == (0.1, 0.99)
    assert configs.override(OPTIONS, {"beta1": "0.3"}).betas == (0.3, 0.9)
    trainer = SpadeTrainer(SPADE(TINY, SPACE), OPTIONS)
    assert trainer.rates(50.9, 0)["generator"] == 1e-4 and trainer.rates(51.0, 0)["generator"] == 0


@pytest.mark.parametrize("mode", ["ls", "original", "w"])
def test_other_objectives_train(mode: str) -> None:
    torch.manual_seed(1)
    step_of(SpadeTrainer(SPADE(TINY, SPACE), replace(OPTIONS, gan_mode=cast(Any, mode))), 0)


def test_validation_and_the_fitted_prior() -> None:
    trainer = SpadeTrainer(_model(), OPTIONS)
    data = cast(PairData, TwoPairs(block_maps(2)))
    images = TwoPairs(block_maps(2)).batch.images
    assert images is not None
    expected = (
        2
        * (trainer.gan.synthesize(block_maps(2), trainer.gan.encode_style(images, block_maps(2))) - images).abs().mean()
    )
    assert trainer.validate(data)["l1"] == pytest.approx(float(expected), abs=1e-6)
    assert trainer.finish(data)["latent_prior"]["factor"].shape == (6, 6)
    assert SpadeTrainer(_model(use_vae=False), OPTIONS).finish(data) == {}
    maps_only = TwoPairs(block_maps(2))
    maps_only.has_images = False
    with pytest.raises(DataError, match="SPADE learns from photos"):
        trainer.prepare(cast(PairData, maps_only))


# --- in a composition ---------------------------------------------------------------------------------------------


def test_a_run_says_that_edges_were_drawn_from_the_labels(tmp_path: Path, run: Callable[..., Any]) -> None:
    model = zoo.save(_model(edges=True, use_vae=False), tmp_path / "spade")
    block_maps(1).to_png(tmp_path / "map.png")
    numbers = np.zeros((32, 32), dtype=np.uint8)
    numbers[:, 16:] = 7
    PIL.Image.fromarray(numbers).save(tmp_path / "instances.png")
    given = (tmp_path / "map.png", "--out")
    drawn = run("synth", model, *given, tmp_path / "drawn")
    assert drawn.code == 0 and "no instance numbers" in drawn.out + drawn.err
    assert (
        "no instance numbers" in json.loads((tmp_path / "drawn" / "manifest.json").read_text())["summary"]["notes"][0]
    )
    told = run("synth", model, *given, tmp_path / "told", "--instances", tmp_path / "instances.png")
    assert told.code == 0 and "no instance numbers" not in told.out + told.err
    pictures = [np.asarray(PIL.Image.open(next((tmp_path / n / "images").glob("*.png")))) for n in ("drawn", "told")]
    assert (pictures[0] != pictures[1]).any()
