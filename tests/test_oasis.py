"""OASIS behind the zoo's interface: noise by picture, class and region, its losses, its inference form and its trainer, at toy sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients, step_of
from test_training_cli import zoo as command

import zoo
from zoo.errors import ConfigError, UsageError
from zoo.families.spade import folded
from zoo.families.spade.objectives import unlabeled_channel
from zoo.maps import SemanticMap
from zoo.nn.labels import LabelInput, background_first
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.training.ema import Ema
from zoo_plugins.oasis import official
from zoo_plugins.oasis.config import VARIANTS, OasisConfig, OasisOptions
from zoo_plugins.oasis.discriminator import SegmentingDiscriminator
from zoo_plugins.oasis.losses import SegmentationObjective, class_weights, labelmix_mask, real_loss
from zoo_plugins.oasis.model import OASIS
from zoo_plugins.oasis.noise import connected_regions
from zoo_plugins.oasis.trainer import OasisTrainer

TINY = OasisConfig(label_space="celebamask-hq", resolution=64, ngf=2, spade_hidden=4, z_dim=5)
OPTIONS = OasisOptions(steps=10, batch_size=2, ndf=2)


@torch.no_grad()
def _model(**changes: Any) -> OASIS:
    """With weights and statistics as training would leave them, in evaluation mode."""
    torch.manual_seed(0)
    model = OASIS(replace(TINY, **changes), SPACE)
    for parameter in model.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    for seed in range(10):  # also settles u and v
        maps = block_maps(2, 64, seed)
        style = model.sample_style(maps, seed) if model.config.use_noise else None
        model.generator.render(model.noisy(model.label_input.read(maps), style))
    return model.eval()


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    variant = VARIANTS[name]
    space = label_space(variant.config.label_space)
    with torch.device("meta"):
        model = OASIS(variant.config, space)
    assert model.channels == background_first(space) and ("prior" in model.styles) == variant.config.use_noise
    assert int(model.label_input.table[255]) == (0 if space.ignore else -1)
    unlabeled = unlabeled_channel(model.label_input, variant.training.unlabeled)
    assert unlabeled == (None if space.name == "celebamask-hq" else 0)
    count = sum(p.numel() for p in model.parameters())
    assert count <= 3_000_000 if "-128" in name else count > 7e7  # 6 MB in half precision


def test_noise_is_keyed_by_what_shares_it() -> None:
    model, maps = _model(), block_maps(2, 64)
    image = model.sample_style(maps, 3).tensors["z"]
    assert image.shape == (2, len(SPACE), 5) and torch.equal(image, image[:, :1].expand_as(image))
    assert torch.equal(image[:, 0], Rng(3, [0, 1]).normal("z", shape=(5,)))
    by_class = model.sample_style(maps, 3, noise="class").tensors["z"]
    assert torch.equal(by_class[:, 4], Rng(3, [0, 1]).normal("z", model.channels[4], shape=(5,)))
    regions = model.sample_style(maps, 3, noise="region")
    places, z = regions.tensors["regions"].long(), regions.tensors["z"]
    assert int(places.max()) + 1 == z.shape[1] > len(SPACE) // 2
    channels = model.label_input.read(maps)
    first = int(channels[1, 0, 0])  # the first region of its class in reading order
    expected = Rng(3, [1]).normal("z", model.channels[first], 0, shape=(5,))[0]
    assert torch.equal(z[1, int(places[1, 0, 0])], expected)
    # the same sample alone has the same noise
    alone = model.sample_style(maps[1], Rng(3, [1]), noise="region").tensors
    assert torch.equal(alone["z"][0], z[1, : alone["z"].shape[1]]) and not z[1, alone["z"].shape[1] :].any()
    assert not model.sample_style(maps, prior="mean").tensors["z"].any()


def test_a_new_look_of_one_class_is_the_authors_local_resampling() -> None:
    model, maps = _model(), block_maps(1, 64)
    name = model.channels[int(model.label_input.read(maps)[0, 0, 0])]
    style = model.sample_style(maps, 1)
    other = model.resample(style, maps, classes=[name], rng=2)
    index = model.channels.index(name)
    changed = (other.tensors["z"] != style.tensors["z"]).any(2)[0]
    assert changed[index] and int(changed.sum()) == 1
    assert torch.equal(other.tensors["z"][:, index], model.sample_style(maps, 2).tensors["z"][:, index])
    before, after = model.synthesize(maps, style), model.synthesize(maps, other)
    inside = (maps.labels == SPACE.index(name))[:, None]
    difference = (after - before).abs()
    assert float((difference * inside).max()) > 1e-3
    assert float((difference * ~inside).sum() / (~inside).sum()) < float((difference * inside).sum() / inside.sum())


def test_free_regions_and_classes_say_the_same_where_they_coincide() -> None:
    model, maps = _model(), block_maps(2, 64)
    z = torch.randn(2, len(SPACE), 5)
    by_class = replace(model.image_style(z[:, 0]), tensors={"z": z})
    by_region = model.region_style(z, model.label_input.read(maps))
    assert torch.equal(model.synthesize(maps, by_class), model.synthesize(maps, by_region))
    halves = torch.zeros(2, 2, 2, dtype=torch.int64)
    halves[:, 1] = 1  # of any size
    split = model.region_style(z[:, :2], halves)
    upper = model.synthesize(maps, model.image_style(z[:, 0]))
    both = model.synthesize(maps, split)
    assert (
        torch.equal(both[:, :, :8], upper[:, :, :8])
        or (both - upper)[:, :, :8].abs().mean() < (both - upper).abs().mean()
    )
    with pytest.raises(UsageError, match=r"2 regions: expected their numbers 0\.\.1, got 0\.\.7"):
        model.region_style(z[:, :2], torch.full((2, 4, 4), 7) * torch.eye(4, dtype=torch.int64))
    with pytest.raises(UsageError, match="A style of this OASIS holds z"):
        model.synthesize(maps, replace(by_class, tensors={"z": torch.zeros(2, len(SPACE), 4)}))
    with pytest.raises(UsageError, match="expected image, class or region"):
        model.sample_style(maps, 1, noise="pixel")


def test_without_noise_there_is_no_style_and_it_says_so() -> None:
    model, maps = _model(use_noise=False), block_maps(2, 64)
    assert not model.styles and model.synthesize(maps).shape == (2, 3, 64, 64)
    with pytest.raises(UsageError, match="built without noise"):
        model.sample_style(maps, 1)


@pytest.mark.parametrize("worth", [4e9, 0.0])
@pytest.mark.parametrize("noise", ["image", "class", "region", ""])
def test_inference_form(monkeypatch: pytest.MonkeyPatch, worth: float, noise: str) -> None:
    """By class and by window: equal, of fresh and kept layouts, for a style a map and several styles of one."""
    monkeypatch.setattr(folded, "WORTH", worth)
    model = _model(use_noise=bool(noise))
    fast = model.optimized()
    assert fast.generator.windowed == (worth == 0) and fast.generator.by_table == (worth > 0)
    maps = block_maps(3, 64)
    layout = fast.layout(maps, reuse=fast.layout(SemanticMap(maps.labels.roll(1, 0), SPACE)))
    assert fast.layout(maps, reuse=layout) is layout
    style = model.sample_style(maps, 5, noise=noise) if noise else None
    expected = model.synthesize(maps, style)
    assert float(expected.std()) > 0.05
    for given in (maps, layout):
        torch.testing.assert_close(fast.synthesize(given, style), expected, atol=2e-5, rtol=0)
    if style is not None and noise != "region":
        several = model.synthesize(maps[0], style)
        torch.testing.assert_close(fast.synthesize(fast.layout(maps[0]), style), several, atol=2e-5, rtol=0)


def test_regions_hang_together() -> None:
    labels = torch.tensor([[[1, 1, 0, 1], [0, 1, 0, 1], [0, 1, 1, 1], [2, 2, 0, 2]]])
    expected = torch.tensor([[[0, 0, 1, 0], [2, 0, 1, 0], [2, 0, 0, 0], [3, 3, 4, 5]]])
    assert torch.equal(connected_regions(labels), expected)
    spiral = torch.zeros(1, 9, 9, dtype=torch.int64)
    spiral[0, 1, 1:8] = spiral[0, 1:8, 7] = spiral[0, 7, 1:8] = spiral[0, 3:8, 1] = spiral[0, 3, 1:6] = 1
    assert int(connected_regions(spiral).max()) == 1  # one line, and all around it hangs together


def test_losses_of_pixels_without_a_label() -> None:
    """-1: outside of what an augmentation left. They weigh nothing."""
    torch.manual_seed(0)
    logits = torch.randn(1, 4, 2, 2, requires_grad=True)
    labels = torch.tensor([[[0, 1], [2, -1]]])
    weights = class_weights(labels, 3)
    torch.testing.assert_close(weights, torch.full((3,), 4 / 3))
    (gradient,) = torch.autograd.grad(real_loss(logits, labels, weights), logits)
    assert not gradient[:, :, 1, 1].any() and gradient[:, :, 0, 0].any()
    coins = torch.tensor([1, 0, 1])
    assert labelmix_mask(labels, coins, overwrite=False)[0, 0].tolist() == [1, 0]
    assert labelmix_mask(labels, coins, overwrite=True)[0, 0].tolist() == [0, 0]


def test_the_class_that_is_left_out() -> None:
    def channel(space: str, choice: str) -> int | None:
        names = label_space(space)
        return unlabeled_channel(LabelInput(names, names.names), choice)

    assert channel("ade20k", "auto") == 0 and channel("coco-stuff", "auto") == 182 and channel("camvid", "auto") == 11
    assert channel("celebamask-hq", "auto") is None and channel("ade20k", "none") is None
    assert channel("celebamask-hq", "nose") == label_space("celebamask-hq").index("nose")


@pytest.mark.parametrize("noise", ["image", "class"])
def test_a_step_teaches_every_parameter(noise: str) -> None:
    model = OASIS(replace(TINY, noise=noise), SPACE)
    trainer = OasisTrainer(model.train(), OPTIONS)
    assert isinstance(trainer.objective, SegmentationObjective) and isinstance(
        trainer.discriminator, SegmentingDiscriminator
    )
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "d_fake", "d_real", "labelmix"}
    check_gradients(trainer)
    assert trainer.rates(150.0, 0) == {"generator": 1e-4, "discriminator": 4e-4}


def test_the_discriminator_learns_to_segment() -> None:
    torch.manual_seed(0)
    trainer = OasisTrainer(OASIS(TINY, SPACE).train(), replace(OPTIONS, lr=0.0, lr_d=5e-3, ndf=4))
    with (
        torch.no_grad()
    ):  # small first weights change faster than the spectral norms' vectors follow: single steps would be far off
        for weight in trainer.discriminator.parameters():
            weight.mul_(50 if weight.ndim > 1 else 1)
    losses = [step_of(trainer, i, classes=3) for i in range(12)]
    for name in ("d_real", "d_fake"):
        assert sum(float(step[name]) for step in losses[-3:]) / 3 < 0.85 * float(losses[0][name]), name


def test_sizes_that_the_discriminator_cannot_see() -> None:
    with pytest.raises(ValueError, match="multiples of 64, got 96 x 64"):
        SegmentingDiscriminator(3, 2)(torch.zeros(1, 3, 64, 96))
    with pytest.raises(ConfigError, match="must be at least 1: z_dim"):
        OasisConfig(z_dim=0)


@pytest.mark.parametrize("generator", ["mask-vae", "segvae"])
def test_it_composes_after_a_toy_training(generator: str) -> None:
    model = OASIS(TINY, SPACE)
    trainer = OasisTrainer(model.train(), OPTIONS)
    for step in range(2):
        step_of(trainer, step)
    pipe = zoo.compose((generator, model.eval()), device="cpu")
    result = pipe(labels=["skin", "hair", "nose"], n=2, seed=0, style=["hair=seed:3"])
    assert result.images is not None and result.images.shape[:2] == (2, 3) and bool(result.images.isfinite().all())


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    """Trained, resumed, published with its average, identified as a checkpoint of the authors', and chained behind a mask generator."""
    sets = {
        "steps": 2, "resolution": 64, "ngf": 2, "max_width": 0, "spade_hidden": 4, "z_dim": 8, "ndf": 2, "batch_size": 2,
        "precision": "fp32", "channels_last": False, "preview_every": 1, "validate_every": 0, "ema": 0.9, "ema_warmup": False,
        "dtype": "float16",
    }  # fmt: skip
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    run = tmp_path / "run"
    assert command("train", "oasis/celeba-128", "--device", "cpu", "--data", "toy-faces:8", "--out", run, *changes) == 0
    assert command("train", "--resume", run, "--set", "steps=3") == 0
    model = cast(OASIS, zoo.load(str(run / "model")))
    state = {k.removeprefix("generator."): v for k, v in model.state_dict().items()}
    names = official.official_names("generator", list(state))
    torch.save({names[k]: v for k, v in state.items()}, tmp_path / "best_EMA.pth")
    assert command("identify", tmp_path / "best_EMA.pth") == 0
    assert (
        command("convert", tmp_path / "best_EMA.pth", "--out", tmp_path / "converted", "--config", "resolution=64") == 0
    )
    result = zoo.compose(("mask-vae", str(tmp_path / "converted")), device="cpu")(labels=["skin", "hair"], n=2, seed=0)
    expected = zoo.compose(("mask-vae", model), device="cpu")(labels=["skin", "hair"], n=2, seed=0)
    assert result.images is not None and expected.images is not None
    assert torch.equal(result.images, expected.images)


def test_an_average_with_one_decay_from_the_first_step_on() -> None:
    layer = torch.nn.Linear(2, 2)
    before = layer.weight.detach().clone()
    plain, growing = Ema(layer, 0.9, warmup=False), Ema(layer, 0.9)
    with torch.no_grad():
        layer.weight.add_(1)
    plain.update()
    growing.update()
    torch.testing.assert_close(plain.average["weight"], before + 0.1)
    torch.testing.assert_close(growing.average["weight"], before + 9 / 11)
