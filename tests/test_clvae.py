"""CLVAE behind the zoo's interface, its styles, its inference form, its ablations and its trainer, at toy sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from zoo.data import Batch, PairData
from zoo.errors import ConfigError, LabelError, UsageError, WeightsError
from zoo.interfaces import EncodesStyle, SamplesStyle
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.nn.spade import SPADE
from zoo.nn.spectral import recompute_spectral
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.style import Style
from zoo_plugins.clvae import official
from zoo_plugins.clvae.config import VARIANTS, CLVAEConfig, CLVAEOptions
from zoo_plugins.clvae.encoder import ClassEncoder, linear_rows, roi_max_pool
from zoo_plugins.clvae.losses import class_divergence
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.regions import find_regions
from zoo_plugins.clvae.trainer import CLVAETrainer

SPACE = label_space("celebamask-hq")
TINY = CLVAEConfig(
    label_space="celebamask-hq", resolution=32, ngf=2, max_width=8, spade_hidden=4, z_dim=6, z_dim_local=4, nef=2, encoder_size=128
)  # fmt: skip
OPTIONS = CLVAEOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3, flip=False)


def model_of(**changes: Any) -> CLVAE:
    """With weights and running statistics as training would leave them."""
    torch.manual_seed(0)
    model = CLVAE(replace(TINY, **changes), SPACE)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.1 if p.dim() == 1 else 1 / p[0].numel() ** 0.5))
        recompute_spectral(model)
        channels = model.channel_map(maps_of(4, model.resolution))
        for _ in range(10):
            codes = torch.randn(4, len(SPACE), len(model.config.layer_names), model.n_local)
            model.generator(find_regions(channels), codes, torch.randn(4, model.config.z_dim))
    return model.eval()


def maps_of(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> SemanticMap:
    coarse = torch.randint(0, 8, (count, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).float()
    return SemanticMap(torch.nn.functional.interpolate(coarse, size=size)[:, 0].long(), SPACE)


def photos_of(count: int, size: tuple[int, int] = (32, 32), seed: int = 1) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))


# --- networks -----------------------------------------------------------------------------------------------------


def test_pooling_takes_the_maximum_over_each_class_of_each_image() -> None:
    feature, labels = torch.randn(3, 5, 8, 8), torch.randint(0, 6, (3, 8, 8))
    labels[labels == 4] = 0
    labels[1][labels[1] == 2] = 0
    found, visible = roi_max_pool(feature, labels, 6)
    for b in range(3):
        for k in range(6):
            inside = feature[b][:, labels[b] == k]
            assert bool(visible[b, k]) == bool(inside.numel())
            expected = inside.max(1).values if inside.numel() else torch.zeros(5)
            assert torch.equal(found[b, k], expected)
    assert not visible[:, 4].any() and not visible[1, 2]


def test_the_encoder_gives_what_each_class_alone_would_give() -> None:
    model, maps = model_of(), maps_of(2)
    labels, photos = model.channel_map(maps), photos_of(2) * 2 - 1
    labels[:, 0, 1] = 17  # one pixel at an odd place: gone at the next scale
    found = model.encoder(photos, labels)
    assert found.classes.tolist() == sorted(set(labels.flatten().tolist()))
    features = model.encoder.features(photos)
    at = found.classes.tolist().index(17)
    assert found.present[:, at].all() and not found.visible[:, at, 0].any()
    assert not found.class_mu[:, at, 0].any() and not found.class_logvar[:, at, 0].any()
    for k, channel in enumerate(found.classes.tolist()):
        only = find_regions(labels, (128, 128))
        for layer, tap in enumerate(model.config.taps):
            inside = only.classes[only.pyramid[tap]] == channel
            for b in range(2):
                if inside[b].any():
                    pooled = torch.nn.functional.leaky_relu(features[tap - 1][b][:, inside[b]].max(1).values, 0.2)
                    torch.testing.assert_close(found.class_mu[b, k, layer], model.encoder.local_mu[str(tap)](pooled))
                assert bool(found.visible[b, k, layer]) == bool(inside[b].any())


def test_linear_rows_are_the_linear_layer() -> None:
    """Values and gradients, in float32 (by rows) and where the plain layer takes over."""
    layer, rows = torch.nn.Linear(6, 5), torch.randn(2, 9, 6, requires_grad=True)
    inputs = (rows, layer.weight, layer.bias)
    found, expected = linear_rows(layer, rows), layer(rows)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    for a, b in zip(
        torch.autograd.grad(found, inputs, weights), torch.autograd.grad(expected, inputs, weights), strict=True
    ):
        torch.testing.assert_close(a, b)
    assert linear_rows(layer, rows[:, :0]).shape == (2, 0, 5)
    with torch.autocast("cpu", torch.bfloat16):
        assert linear_rows(layer, rows).dtype == torch.bfloat16
    assert linear_rows(layer.double(), rows.double()).dtype == torch.float64


def test_work_does_not_grow_with_the_label_space() -> None:
    """Nothing in encoder and generator but tables of weights has as many rows as there are classes."""
    sizes: dict[int, list[tuple[int, ...]]] = {}
    for classes in (19, 182):
        torch.manual_seed(0)
        config = replace(TINY, label_space="numbered", z_dim_local=4)
        model = CLVAE(config, numbered_space(classes)).eval()
        seen: list[tuple[int, ...]] = []
        for module in model.modules():
            if not list(module.children()):
                module.register_forward_hook(
                    lambda _m, given, out, seen=seen: seen.extend(tuple(cast(Tensor, t).shape) for t in (*given, out))
                )
        labels = maps_of(1).labels
        with torch.no_grad():
            found = model.encoder(photos_of(1) * 2 - 1, labels)
            codes = model.dense(found.class_mu, found.classes)
            model.generator(find_regions(labels), codes, found.mu)
        sizes[classes] = seen
    assert sizes[19] == sizes[182]


def test_spade_over_the_classes_present_equals_spade_over_all() -> None:
    layer = SPADE(3, 12, norm="instance", hidden=5)
    labels = torch.tensor([2, 5, 11])[torch.randint(0, 3, (2, 6, 7))]
    regions = find_regions(labels)
    full = torch.nn.functional.one_hot(labels, 12).permute(0, 3, 1, 2).float()
    planes = torch.nn.functional.one_hot(regions.pyramid[0], 3).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(layer.affine(planes, regions.classes), layer.affine(full))
    table = torch.randn(2, 3, 12)
    dense = torch.stack([table[b][regions.pyramid[0][b]] for b in range(2)]).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer.affine(planes, table=table), layer.affine(dense))
    one = layer.affine(planes[:1], table=table)
    torch.testing.assert_close(one[0][1:], layer.affine(planes[:1], table=table[1:])[0])


def test_small_variants_fit_their_budget() -> None:
    for name in ("celeba-128", "ccp-128"):
        config = VARIANTS[name].config
        with torch.device("meta"):
            model = CLVAE(config, label_space(config.label_space))
        stored = sum(2 * p.numel() for p in model.parameters()) + sum(4 * b.numel() for b in model.buffers())
        assert stored <= 9e6 and model.resolution == (128, 128)
        assert model.config.layer_names == ("1/32", "1/16", "1/8", "1/4", "1/2")


# --- the interface ------------------------------------------------------------------------------------------------


def test_capabilities_and_shapes() -> None:
    model, maps = model_of(), maps_of(2)
    assert isinstance(model, SamplesStyle) and isinstance(model, EncodesStyle)
    assert model.styles == {"prior", "mean", "photo"} and model.channels == SPACE.names
    style = model.sample_style(maps, 0)
    assert style.tensors["codes"].shape == (2, 19, 5, 4) and style.tensors["z"].shape == (2, 6)
    images = model.synthesize(maps, style)
    assert images.shape == (2, 3, 32, 32) and images.min() >= 0 and images.max() <= 1
    assert model.synthesize(maps_of(1, (64, 64)), rng=0).shape[-2:] == (32, 32)
    wide = model_of(resolution=64, aspect_ratio=2.0)
    assert wide.resolution == (32, 64) and wide.synthesize(maps_of(1, (32, 64)), rng=0).shape == (1, 3, 32, 64)


def test_a_class_s_numbers_depend_on_its_name_alone() -> None:
    model, maps = model_of(), maps_of(3)
    together = model.sample_style(maps, Rng(5, range(3)))
    shown = torch.zeros(3, 19, dtype=torch.bool).scatter_(1, maps.labels.flatten(1), True)
    assert together.present is not None and torch.equal(together.present, shown)
    for i in range(3):
        alone = model.sample_style(maps[i], Rng(5, [i]))
        assert torch.equal(alone.tensors["codes"], together.tensors["codes"][[i]])
    index = int(maps.labels[0, 0, 0])
    expected = Rng(5, [0]).normal(SPACE.names[index], 3, shape=(4,))
    assert torch.equal(together.tensors["codes"][:1, index, 2], expected)
    assert not together.tensors["codes"][~shown].any()
    images = model.synthesize(maps, rng=Rng(5, range(3)))
    for i in range(3):
        torch.testing.assert_close(model.synthesize(maps[i], rng=Rng(5, [i])), images[[i]], atol=1e-4, rtol=0)


def test_only_the_changed_class_and_layer_change_the_picture_s_latents() -> None:
    model, maps = model_of(), maps_of(1)
    name = SPACE.names[int(maps.labels[0, 5, 5])]
    style = model.sample_style(maps, 1)
    again = model.resample(style, maps, classes=[name], layers=["1/2"], rng=2)
    changed = (again.tensors["codes"] != style.tensors["codes"]).any(-1)[0]
    assert changed.nonzero().tolist() == [[SPACE.index(name), 4]]
    assert torch.equal(again.tensors["z"], style.tensors["z"])
    everything = model.resample(style, maps, rng=2)
    assert torch.equal(everything.tensors["z"], model.sample_style(maps, 2).tensors["z"])
    assert not torch.equal(model.synthesize(maps, again), model.synthesize(maps, style))


def test_styles_of_photos() -> None:
    model, maps, photos = model_of(), maps_of(2), photos_of(2)
    mean = model.encode_style(photos, maps)
    assert torch.equal(mean.tensors["codes"], model.encode_style(photos, maps).tensors["codes"])
    drawn = model.encode_style(photos, maps, rng=1)
    assert mean.present is not None and mean.visible is not None
    assert not torch.equal(drawn.tensors["codes"], mean.tensors["codes"])
    assert not drawn.tensors["codes"][~mean.visible].any() and not drawn.tensors["codes"][~mean.present].any()
    for i in range(2):
        alone = model.encode_style(photos[i : i + 1], maps[i], rng=Rng(1, [i]))
        torch.testing.assert_close(alone.tensors["codes"], drawn.tensors["codes"][[i]], atol=1e-5, rtol=1e-5)
    with pytest.raises(UsageError, match="2 photos of 32 x 32 pixels and 2 maps of 48 x 48"):
        model.encode_style(photos, maps_of(2, (48, 48)))
    with pytest.raises(LabelError, match="face-parsing"):
        model.encode_style(photos, SemanticMap(maps.labels, label_space("face-parsing")))


def test_classes_that_a_photo_lacks_are_drawn() -> None:
    model, maps = model_of(), maps_of(1)
    plain = SemanticMap(torch.full((1, 32, 32), int(maps.labels[0, 0, 0])), SPACE)
    style = model.encode_style(photos_of(1), plain)
    whole = model.complete_style(style, maps, Rng(3, [0]))
    drawn = model.sample_style(maps, Rng(3, [0]))
    assert style.present is not None and whole.present is not None and int(style.present.sum()) == 1
    assert torch.equal(whole.present, style.present | drawn.present)  # type: ignore[operator]
    lacking = ~style.present
    assert torch.equal(whole.tensors["codes"][lacking], drawn.tensors["codes"][lacking])
    assert torch.equal(whole.tensors["codes"][style.present], style.tensors["codes"][style.present])
    assert torch.equal(model.synthesize(maps, style, rng=Rng(3, [0])), model.synthesize(maps, whole))
    assert model.complete_style(whole, maps, None) is whole


def test_priors() -> None:
    model, maps = model_of(), maps_of(2)
    assert not model.sample_style(maps, None, prior="mean").tensors["codes"].any()
    with pytest.raises(UsageError, match="fitted"):
        model.sample_style(maps, 1, prior="fitted")
    with pytest.raises(UsageError, match="normal, fitted or mean"):
        model.sample_style(maps, 1, prior="median")
    model.assets["latent_prior"] = {
        "mean": torch.full((6,), 3.0), "factor": torch.zeros(6, 6),
        "class_mean": torch.full((19, 20), 2.0), "class_factor": torch.zeros(19, 20, 20),
    }  # fmt: skip
    fitted = model.sample_style(maps, 1)
    assert fitted.present is not None and torch.equal(fitted.tensors["z"], torch.full((2, 6), 3.0))
    assert (fitted.tensors["codes"][fitted.present] == 2).all() and not fitted.tensors["codes"][~fitted.present].any()
    assert torch.equal(model.sample_style(maps, None, prior="mean").tensors["codes"], fitted.tensors["codes"])
    model.assets["latent_prior"]["class_factor"] = torch.ones(19, 20)
    normal = model.sample_style(maps, 1, prior="normal").tensors["codes"]
    torch.testing.assert_close(model.sample_style(maps, 1).tensors["codes"][fitted.present], normal[fitted.present] + 2)


def test_layouts() -> None:
    model, maps = model_of(), maps_of(2)
    layout = model.layout(maps[0])
    many = maps[0].repeat_interleave(3)
    styles = model.sample_style(many, 1)
    torch.testing.assert_close(model.synthesize(layout, styles), model.synthesize(many, styles), atol=1e-5, rtol=0)
    edited = maps.labels.clone()
    edited[1] = 3
    changed, first = SemanticMap(edited, SPACE), model.layout(maps)
    assert model.layout(maps, reuse=first) is first
    again, fresh = model.layout(changed, reuse=first), model.layout(changed)
    torch.testing.assert_close(model.synthesize(again, rng=2), model.synthesize(fresh, rng=2), atol=1e-5, rtol=0)
    with pytest.raises(UsageError, match="3 maps"):
        model.synthesize(maps_of(3), model.sample_style(maps, 0))


def test_styles_of_other_models_are_refused() -> None:
    model, maps = model_of(), maps_of(1)
    with pytest.raises(UsageError, match=r"codes \[samples, 19, 5, 4\]"):
        model.synthesize(maps, Style({"z": torch.zeros(1, 6)}, {"z": ("sample", "channel")}))
    with pytest.raises(UsageError, match=r"1/32, 1/16, 1/8, 1/4, 1/2"):
        model.synthesize(maps, model_of(layers=3).sample_style(maps, 0))


# --- forms of the network -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"layers": 3},
        {"layers": 5},
        {"layers": 1},
        {"layerwise": False},
        {"classwise": False},
        {"norm": "spadebatch3x3"},
        {"norm": "spectralspadeinstance3x3", "resolution": 64},
        {"upsampling": "more", "resolution": 64},
        {"upsampling": "most", "resolution": 128, "z_dim_local": 30},
    ],
)
def test_forms_and_their_inference_form(changes: dict[str, Any]) -> None:
    model = model_of(**changes)
    maps, photos = maps_of(2, model.resolution), photos_of(2, model.resolution)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    torch.testing.assert_close(fast.synthesize(maps, rng=3), model.synthesize(maps, rng=3), atol=1e-5, rtol=0)
    style = model.encode_style(photos, maps)
    torch.testing.assert_close(fast.encode_style(photos, maps).tensors, style.tensors, atol=1e-5, rtol=1e-4)
    images = model.synthesize(maps, style)
    torch.testing.assert_close(fast.synthesize(maps, style), images, atol=1e-5, rtol=0)
    layout = fast.layout(maps[0])
    torch.testing.assert_close(fast.synthesize(layout, style[0]), images[:1], atol=1e-4, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_ablations() -> None:
    no_layer = model_of(layerwise=False)
    assert no_layer.config.layer_names == ("1/8",) and set(no_layer.encoder.local_mu) == {"3"}
    no_class = model_of(classwise=False)
    style = no_class.sample_style(maps_of(2), 0)
    assert style.classes == () and style.tensors["codes"].shape == (2, 5, 4) and style.present is None
    three = model_of(layers=3)
    assert three.config.layer_names == ("1/4", "1/2") and len(three.encoder.layers) == 3
    assert three.encoder.fc_mu.in_features == three.encoder.widths[2] * 4  # pooled to the size of L = 6
    # blocks without latents of their own use the coarsest there is
    assert [three.generator.layer_of(level) for _, _, level in three.generator.blocks() if level] == [0, 0, 0, 0, 0, 1]
    assert isinstance(three.encoder, ClassEncoder)
    map_alone = model_of(layers=1)
    assert map_alone.config.layer_names == () and not hasattr(map_alone.generator, "cse")


def test_config_faults_are_listed() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*layers.*encoder_size"):
        CLVAEConfig(resolution=100, layers=9, encoder_size=64)
    with pytest.raises(ConfigError, match="aspect_ratio"):
        CLVAEConfig(aspect_ratio=100.0)


def test_what_is_no_checkpoint_is_refused() -> None:
    with pytest.raises(WeightsError, match="weight_v"):
        official.convert({"encoder": {"layer1.0.weight": torch.zeros(1), "layer1.0.weight_u": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="unknown keys"):
        official.convert({"generator": {"svg.weight": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="Unknown role 'vgg'"):
        official.convert({"vgg": {}})


# --- training -----------------------------------------------------------------------------------------------------


class _Data:
    """Two pairs in memory."""

    label_space = SPACE
    names = ("a", "b")
    has_images = True

    def __len__(self) -> int:
        return 2

    def batches(self, batch_size: int) -> Iterator[Batch]:
        yield Batch(maps_of(2).colorize(), maps_of(2), ("a", "b"))


def batch() -> Batch:
    return next(_Data().batches(2))


def step_of(trainer: CLVAETrainer, step: int) -> dict[str, float]:
    """What the loop does with one batch."""
    seen: dict[str, float] = {}
    optimizers = trainer.optimizers()
    for update in trainer.updates(batch(), Rng(0, range(2)), step):
        chosen = [optimizers[n] for n in update.optimizers]
        for optimizer in chosen:
            optimizer.zero_grad()
        parameters = [p for o in chosen for g in o.param_groups for p in g["params"]]
        torch.stack(list(update.losses.values())).sum().backward(inputs=parameters)
        for optimizer in chosen:
            optimizer.step()
        seen |= {k: float(v.detach()) for k, v in update.losses.items()}
    return seen


@pytest.mark.parametrize("changes", [{}, {"classwise": False}, {"layerwise": False}, {"layers": 3}])
def test_training_steps_reach_every_parameter(changes: dict[str, Any]) -> None:
    torch.manual_seed(1)
    trainer = CLVAETrainer(CLVAE(replace(TINY, **changes), SPACE), replace(OPTIONS, lambda_l1=10.0))
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "kld", "gan_feat", "l1", "d_fake", "d_real"}
    assert all(v == v for v in losses.values())
    for name, network in trainer.networks.items():
        unused = [k for k, p in network.named_parameters() if p.grad is None]
        assert not unused, f"{name}: no gradient for {unused}"


def test_training_learns_and_is_repeatable() -> None:
    def run() -> tuple[list[float], dict[str, Tensor]]:
        torch.manual_seed(1)
        options = replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False, share_fake=True)
        trainer = CLVAETrainer(CLVAE(TINY, SPACE), options)
        losses = [step_of(trainer, i)["l1"] for i in range(20)]
        return losses, trainer.gan.state_dict()

    losses, state = run()
    assert losses[-1] < losses[0]
    again, same = run()
    assert losses == again and all(torch.equal(v, same[k]) for k, v in state.items())


def test_divergence_divides_by_the_classes_seen_or_by_those_of_the_mask() -> None:
    model, labels = model_of(), model_of().channel_map(maps_of(2))
    labels[0, 0, 1] = 17
    found = model.encoder(photos_of(2) * 2 - 1, labels)
    mu, logvar = found.class_mu, found.class_logvar
    each = (-0.5 * (1 + logvar - mu**2 - logvar.exp())).sum(3)
    for b in range(2):
        code = sum(each[b, :, layer].sum() / found.visible[b, :, layer].sum() for layer in range(5))
        torch.testing.assert_close(class_divergence(found, "visible")[b], cast(Tensor, code))
        paper = each[b].sum() / len(set(labels[b].flatten().tolist()))
        torch.testing.assert_close(class_divergence(found, "mask")[b], paper)
    assert not torch.allclose(class_divergence(found, "visible"), class_divergence(found, "mask"))


def test_noise_of_a_sample_does_not_depend_on_its_batch() -> None:
    trainer = CLVAETrainer(model_of(), OPTIONS)
    both, photos, planes = (
        trainer._eps(Rng(0, range(2)), "eps", 3),
        photos_of(2) * 2 - 1,
        trainer.gan.planes(maps_of(2)),
    )
    assert both.shape == (2, 19 * 5 * 4 + 6)
    with torch.no_grad():
        together = trainer.fake(planes, photos, both).fake
        alone = trainer.fake(planes[1:], photos[1:], trainer._eps(Rng(0, [1]), "eps", 3)).fake
    torch.testing.assert_close(alone, together[1:], atol=1e-4, rtol=0)


def test_validation_preview_and_assets() -> None:
    trainer = CLVAETrainer(model_of(), OPTIONS)
    data, given = cast(PairData, _Data()), batch()
    assert given.images is not None
    style = trainer.gan.encode_style(given.images, given.maps)
    expected = 2 * (trainer.gan.synthesize(given.maps, style) - given.images).abs().mean()
    assert trainer.validate(data)["l1"] == pytest.approx(float(expected), abs=1e-6)
    rows = trainer.preview(given, Rng(0, range(2)))
    assert {"map", "photo", "encoded", "random"} <= set(rows)
    prior = trainer.finish(data)["latent_prior"]
    assert prior["class_mean"].shape == (19, 20) and prior["class_factor"].shape == (19, 20, 20)
    seen = style.visible.sum(0)  # type: ignore[union-attr]
    twice, never = (seen == 2).all(1).nonzero()[0, 0], (seen == 0).all(1).nonzero()[0, 0]
    torch.testing.assert_close(prior["class_mean"][twice], style.tensors["codes"][:, twice].flatten(1).mean(0))
    assert torch.equal(prior["class_mean"][never], torch.zeros(20))
    torch.testing.assert_close(prior["class_factor"][never], torch.eye(20))
    trainer.gan.assets["latent_prior"] = prior
    assert trainer.gan.synthesize(given.maps, rng=0).isfinite().all()
