"""CLVAE's trainer at toy sizes: steps, losses, noise, validation and its assets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
import torch
from clvae_tiny import OPTIONS, SPACE, TINY, maps_of, model_of, photos_of
from gan_tiny import check_gradients, check_learning, step_of
from torch import Tensor
from training_steps import TwoPairs

from zoo.data import PairData
from zoo.rng import Rng
from zoo_plugins.clvae.losses import class_divergence
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.trainer import CLVAETrainer


@pytest.mark.parametrize("changes", [{}, {"classwise": False}, {"layerwise": False}, {"layers": 3}])
def test_training_steps_reach_every_parameter(changes: dict[str, Any]) -> None:
    torch.manual_seed(1)
    trainer = CLVAETrainer(CLVAE(replace(TINY, **changes), SPACE), replace(OPTIONS, lambda_l1=10.0))
    losses = step_of(trainer, 0, classes=8)
    assert set(losses) == {"gan", "kld", "gan_feat", "l1", "d_fake", "d_real"}
    check_gradients(trainer)


def test_training_learns() -> None:
    torch.manual_seed(1)
    options = replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False, share_fake=True)
    check_learning(CLVAETrainer(CLVAE(TINY, SPACE), options), "l1", 20, classes=8)


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
    data, given = cast(PairData, TwoPairs(maps_of(2))), TwoPairs(maps_of(2)).batch
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
