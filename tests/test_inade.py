"""INADE behind the zoo's interface: instances, styles, its inference form, its trainer, trained and composed at toy sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from gan_tiny import SPACE, block_maps, check_gradients, check_learning, step_of
from segvae_tiny import small
from torch.nn import functional as F
from training_steps import TwoPairs

import zoo
from zoo.errors import ConfigError, UsageError
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.inade.config import VARIANTS, InadeConfig, InadeOptions
from zoo_plugins.inade.encoder import InstanceConv2d, InstanceEncoder, instance_means
from zoo_plugins.inade.instances import Shown, places
from zoo_plugins.inade.model import INADE
from zoo_plugins.inade.norms import INADENorm, Site
from zoo_plugins.inade.styles import copy_codes
from zoo_plugins.inade.trainer import InadeTrainer

TINY = InadeConfig(label_space="celebamask-hq", resolution=32, ngf=2, z_dim=6, noise_dim=4)
OPTIONS = InadeOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=4)


@torch.no_grad()
def _model(**changes: Any) -> INADE:
    """With weights and running statistics as training would leave them."""
    torch.manual_seed(0)
    model = INADE(replace(TINY, **changes), SPACE)
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    for name, parameter in model.named_parameters():
        if "fc_noise" in name:
            parameter.add_(0.5 * torch.randn_like(parameter))
    for _ in range(20):  # also settles u and v
        maps = block_maps(4, model.resolution)
        noise = torch.randn(4, model.codes, 2, model.config.noise_dim)
        model.generator(model.plan(model.places(maps)), torch.randn(4, model.config.z_dim), noise)
    return model.eval()


def _numbered(maps: SemanticMap, columns: int) -> SemanticMap:
    """Instances by column."""
    width = maps.size[1]
    numbers = (torch.arange(width) * columns // width).expand_as(maps.labels)
    return SemanticMap(maps.labels, maps.space, 7 * numbers + 3)


# --- instances ---------------------------------------------------------------------------------------------------------


def test_instances_are_counted_within_their_class_and_map() -> None:
    channels = torch.tensor([[[0, 0, 2, 2, 2, 1]], [[2, 2, 2, 2, 0, 0]]])
    numbers = torch.tensor([[[5, 9, 30, 20, 30, 5]], [[400, 3, 20, 1, 20, 20]]])
    assert places(channels, numbers, 3).tolist() == [[[0, 1, 7, 6, 7, 3]], [[6, 7, 8, 6, 0, 0]]]  # the fourth shares
    assert places(channels, None, 3).tolist() == (3 * channels).tolist()
    assert torch.equal(places(channels, numbers, 1), channels)
    alone = [places(channels[i : i + 1], numbers[i : i + 1], 3) for i in range(2)]
    assert torch.equal(torch.cat(alone), places(channels, numbers, 3))


def test_only_what_is_shown_is_numbered() -> None:
    shown = Shown.of(torch.tensor([[[4, 4, 9]], [[2, 9, 2]]]))
    assert shown.values.tolist() == [2, 4, 9] and shown.index.tolist() == [[[1, 1, 2]], [[0, 2, 0]]]
    assert shown.at(torch.tensor([9, 2])).tolist() == [2, 0]


# --- layers ------------------------------------------------------------------------------------------------------------


def test_rows_that_are_looked_up_are_the_sums_over_one_hot_planes() -> None:
    torch.manual_seed(0)
    norm = INADENorm(5, 4, 3, norm="instance")
    labels, numbers = torch.randint(0, 4, (2, 6, 7)), torch.randint(0, 3, (2, 6, 7))
    noise = torch.randn(2, 3, 2, 3)
    shown = Shown.of(labels * 3 + numbers)
    site = Site(shown.index, shown.values // 3, noise[:, shown.values % 3])
    x = torch.randn(2, 5, 6, 7)
    planes, instances = (F.one_hot(t, n).permute(0, 3, 1, 2).float() for t, n in ((labels, 4), (numbers, 3)))
    scale, shift = norm.soft_affine(planes, instances, noise)
    torch.testing.assert_close(norm(x, site), norm.param_free_norm(x) * scale + shift, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_convolutions_look_at_one_instance_alone(stride: int) -> None:
    torch.manual_seed(0)
    conv = InstanceConv2d(2, 3, stride=stride)
    x, whole = torch.randn(1, 2, 8, 8), torch.zeros(1, 8, 8, dtype=torch.long)
    plain = F.conv2d(x, conv.weight, conv.bias, stride, 1)
    torch.testing.assert_close(conv(x, whole), plain, atol=1e-6, rtol=1e-5)
    halves = whole.clone()
    halves[:, :, 4:] = 1
    left = F.conv2d(x * (halves == 0), conv.weight, conv.bias, stride, 1)  # the other half is as good as black
    torch.testing.assert_close(conv(x, halves)[..., : 4 // stride], left[..., : 4 // stride], atol=1e-6, rtol=1e-5)


def test_heads_on_means_are_the_means_of_the_heads() -> None:
    torch.manual_seed(0)
    encoder = InstanceEncoder(2, 3)
    images, numbers = torch.randn(2, 3, 32, 32), torch.randint(0, 3, (2, 4, 4)).repeat_interleave(8, 1)
    numbers = numbers.repeat_interleave(8, 2)
    numbers[1][numbers[1] == 1] = 0  # absent from the second
    posterior = encoder(images, numbers, 4)
    head: Any = encoder.heads["shift_mu"]
    means, shown = instance_means(head(encoder.features(images, numbers), numbers), numbers, 4)
    torch.testing.assert_close(posterior.mu[:, :, 1], means, atol=1e-6, rtol=1e-5)
    assert shown.tolist() == [[True, True, True, False], [True, False, True, False]]
    assert not posterior.mu[:, 3].any() and not posterior.logvar[1, 1].any()


# --- model -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    config = VARIANTS[name].config
    space = label_space(config.label_space)
    with torch.device("meta"):
        model = INADE(config, space)
    assert model.channels == space.names and "photo" in model.styles
    count = sum(p.numel() for p in model.parameters())
    assert count <= 4_400_000 if "-128" in name else count > 8e7


def test_sizes() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*ngf, instances"):
        InadeConfig(resolution=100, ngf=0, instances=0)
    with pytest.raises(ConfigError, match="five numbers"):
        InadeOptions(vgg_weights=(1.0,))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"instances": 3},
        {"norm": "spadebatch3x3", "use_vae": False},
        {"norm": "spectralspadeinstance1x1", "resolution": 64},  # an instance norm needs more than one pixel
        {"upsampling": "more", "resolution": 64, "aspect_ratio": 0.5, "sketch": True},
    ],
)
def test_inference_form_is_equal(changes: dict[str, Any]) -> None:
    model = _model(**changes)
    maps = _numbered(block_maps(2), 5)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    plain = model.synthesize(maps, rng=3)
    assert plain.shape[-2:] == model.resolution
    torch.testing.assert_close(fast.synthesize(maps, rng=3), plain, atol=2e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_objects_of_a_class_have_looks_of_their_own_and_one_is_changed_alone() -> None:
    model = _model(instances=3)
    labels = torch.full((1, 32, 32), 4)
    apart = SemanticMap(labels, SPACE, (torch.arange(32) // 16).expand_as(labels) + 11)
    style, other = (model.sample_style(apart, rng=seed) for seed in (1, 2))
    assert model.layout(SemanticMap(labels, SPACE)).notes and not model.layout(apart).notes
    name = model.channels[4]
    changed = copy_codes(style, other, (name, 1), (name, 1))
    difference = [
        torch.nonzero((style.tensors[k] != changed.tensors[k]).flatten(3).any(3)).tolist() for k in ("scale", "shift")
    ]
    assert difference == [[[0, 4, 1]]] * 2 and torch.equal(style.tensors["z"], changed.tensors["z"])
    first, second = model.synthesize(apart, style), model.synthesize(apart, changed)
    moved = (first - second).abs().amax((0, 1, 2))
    assert moved[20:].mean() > 2 * moved[:4].mean()  # the doublings spread it a little
    from_other = copy_codes(style, other, (name, 0), (name, 2))
    assert torch.equal(from_other.tensors["scale"][:, 4, 0], other.tensors["scale"][:, 4, 2])
    with pytest.raises(UsageError, match="codes 0 to 2"):
        copy_codes(style, other, (name, 3), (name, 0))
    with pytest.raises(UsageError, match="No style class 'hairs'"):
        copy_codes(style, other, ("hairs", 0), (name, 0))


def test_draws_of_a_class_depend_on_its_name_alone() -> None:
    maps = block_maps(2)
    one, three = (_model(instances=n).sample_style(maps, rng=5) for n in (1, 3))
    assert torch.equal(one.tensors["scale"][:, :, 0], three.tensors["scale"][:, :, 0])
    alone = _model().sample_style(maps[1], rng=Rng(5, [1]))
    assert all(torch.equal(alone.tensors[k][0], one.tensors[k][1]) for k in alone.tensors)


def test_codes_of_photos() -> None:
    model = _model(instances=3)
    maps = _numbered(block_maps(2), 2)
    photos = torch.rand(2, 3, 32, 32)
    mean = model.encode_style(photos, maps)
    assert mean.present is not None and not mean.tensors["z"].any() and not mean.tensors["scale"][~mean.present].any()
    assert maps.instances is not None
    counts = {(s, c): len(maps.instances[s][maps.labels[s] == c].unique()) for s, c in mean.present.nonzero().tolist()}
    sample, index = next(place for place, count in counts.items() if count == 2)
    scale = mean.tensors["scale"][sample, index]
    assert torch.equal(scale[2], scale[0]) and not torch.equal(scale[1], scale[0])  # two objects, then the first again
    drawn = model.encode_style(photos, maps, rng=1)
    again = model.encode_style(photos, maps, rng=1)
    assert torch.equal(drawn.tensors["shift"], again.tensors["shift"]) and drawn.tensors["z"].any()
    assert not torch.equal(drawn.tensors["shift"], mean.tensors["shift"])
    with pytest.raises(UsageError, match="INADE holds z"):
        model.synthesize(maps, replace(mean, tensors={**mean.tensors, "z": torch.zeros(2, 5)}))
    with pytest.raises(UsageError, match="built without encoder"):
        _model(use_vae=False).encode_style(photos, maps)
    with pytest.raises(UsageError, match="no fitted prior"):
        model.sample_style(maps, 1, prior="fitted")


def test_a_sketch_is_read_where_the_config_says_so() -> None:
    model, maps = _model(sketch=True), block_maps(2)
    lines = (torch.rand(2, 1, 64, 64) > 0.8).float()
    style = model.sample_style(maps, rng=0)
    plain, drawn = model.layout(maps), model.layout(maps, sketch=lines)
    assert (model.synthesize(plain, style) - model.synthesize(drawn, style)).abs().max() > 1e-3
    again = model.layout(maps, reuse=drawn)
    assert torch.equal(model.synthesize(again, style), model.synthesize(plain, style))
    with pytest.raises(UsageError, match=r"\[2, 1, H, W\]"):
        model.layout(maps, sketch=lines[:1])
    with pytest.raises(UsageError, match="reads no sketch"):
        _model().layout(maps, sketch=lines)
    with pytest.raises(ConfigError, match="sketch=false"):
        InadeTrainer(model, OPTIONS)


# --- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vae", [False, True])
def test_training_steps(vae: bool) -> None:
    torch.manual_seed(1)
    trainer = InadeTrainer(INADE(replace(TINY, use_vae=vae), SPACE), OPTIONS)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "gan_feat", "d_fake", "d_real"} | ({"kld"} if vae else set())
    check_gradients(trainer)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert set(rows) == {"map", "photo", "random", *(("encoded",) if vae else ())}
    data: Any = TwoPairs(block_maps(2))
    assert trainer.validate(data) == trainer.validate(data)


def test_feature_matching_is_of_the_late_layers_alone() -> None:
    def term(**changes: Any) -> float:
        torch.manual_seed(1)
        return step_of(InadeTrainer(INADE(TINY, SPACE), replace(OPTIONS, **changes)), 0)["gan_feat"]

    assert term(n_layers_d=3) == 0 < term() < term(feature_layers_from=0)


def test_training_learns() -> None:
    torch.manual_seed(1)
    check_learning(InadeTrainer(INADE(TINY, SPACE), replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)), "l1", 30)


@pytest.mark.usefixtures("one_thread")
def test_it_is_trained_and_composes_with_both_mask_generators(
    tmp_path: Path, run: Callable[..., Ran], pair: tuple[str, str]
) -> None:
    sizes = {
        "resolution": 32, "ngf": 4, "max_width": 16, "z_dim": 8, "noise_dim": 4, "ndf": 4, "batch_size": 2, "steps": 2,
        "precision": "fp32", "preview_every": 0, "validate_every": 0, "perceptual": "none",
    }  # fmt: skip
    changes = [x for k, v in sizes.items() for x in ("--set", f"{k}={v}")]
    made = run(
        "train", "inade/celeba-128", "--device", "cpu", "--data", "toy-faces:6", "--out", tmp_path / "r", *changes
    )
    assert made.code == 0, made.err
    model = tmp_path / "r" / "model"
    segvae = zoo.save(small(), tmp_path / "segvae")
    for generator in (pair[0], segvae):
        pipe = zoo.compose((str(generator), str(model)), device="cpu")
        made = pipe(labels=["skin", "hair", "nose"], n=2, seed=3)
        assert made.images is not None and made.images.shape == (2, 3, 32, 32) and made.styles is not None
        assert bool((made.styles.tensors["scale"][0] != made.styles.tensors["scale"][1]).any())
