"""CLVAE's networks at toy sizes: pooling and heads by class, the ablations, the inference form, and what is no checkpoint of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from clvae_tiny import TINY, maps_of, model_of, photos_of
from torch import Tensor

from zoo.errors import ConfigError, WeightsError
from zoo.families.spade.blocks import SPADENorm
from zoo.labels import numbered_space
from zoo.registry import label_space
from zoo_plugins.clvae import official
from zoo_plugins.clvae.config import VARIANTS, CLVAEConfig
from zoo_plugins.clvae.encoder import ClassEncoder, linear_rows, roi_max_pool
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.regions import find_regions


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
    layer = SPADENorm(3, 12, norm="instance", hidden=5)
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
    levels = [three.generator.level(step) for step in three.generator.steps]
    assert [three.generator.layer_of(level) for level in levels if level] == [0, 0, 0, 0, 0, 1]
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
