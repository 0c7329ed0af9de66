"""The judges of maps: what they are asked, that they learn, and what no loss may use."""

from __future__ import annotations

import math

import pytest
import torch

import zoo
from zoo.data.specs import open_data
from zoo.errors import DataError, WeightsError
from zoo.maps import SemanticMap
from zoo.nn.perceptual import ParserFeatures
from zoo.registry import registry
from zoo.rng import Rng
from zoo_plugins.judges.blocks import filled, one_hot

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = {"side": 32, "width": 8}


def test_a_hole_takes_the_nearest_class() -> None:
    labels = torch.tensor([[[1, 1, 5, 5, 2], [1, 1, 5, 5, 2]]])
    assert filled(labels, labels == 5).tolist() == [[[1, 1, 1, 2, 2], [1, 1, 1, 2, 2]]]
    assert torch.equal(filled(labels, labels == 9), labels)
    assert torch.equal(filled(labels, torch.ones_like(labels, dtype=torch.bool)), labels)
    assert one_hot(torch.tensor([[[0, 255]]]), 2).tolist() == [[[[1.0, 0.0]], [[0.0, 0.0]]]]


def test_the_predictor_does_not_see_the_shape() -> None:
    """Two maps that differ only in the asked class, within one other class, give one answer."""
    torch.manual_seed(0)
    model = zoo.create("shape-predictor/celeba-128", **SMALL).eval()
    space = model.label_space
    labels = torch.full((2, 32, 32), space.index("skin"))
    labels[0, 5:9, 5:9], labels[1, 10:20, 12:30] = space.index("nose"), space.index("nose")
    found = model.predict(SemanticMap(labels, space), ["nose", "nose"])
    torch.testing.assert_close(found[0], found[1])
    assert not torch.allclose(found[0], model.predict(SemanticMap(labels[:1], space), ["hair"])[0])
    with pytest.raises(DataError, match="1 classes for 2 maps"):
        model.predict(SemanticMap(labels, space), ["nose"])


@pytest.mark.parametrize("name", ["mask-autoencoder", "shape-predictor"])
def test_a_judge_learns_and_maps_that_show_nothing_have_no_error(name: str) -> None:
    data = open_data("toy-faces:16#train", resolution=32)
    torch.manual_seed(0)
    model = zoo.create(f"{name}/celeba-128", **SMALL)
    arch = registry().architecture(name)
    options = registry().load(arch, "variants")["celeba-128"].training
    trainer = registry().load(arch, "trainer")(model, options)
    trainer.prepare(data)
    batch, optimizer = data.batch(range(8)), trainer.optimizers()["model"]
    before = model.eval().errors(batch.maps)
    assert before.dtype == torch.float64 and before.shape == (8,) and bool((before > 0).all())
    for step in range(12):
        update = next(trainer.updates(batch, Rng(0, range(8)).within(step), step))
        torch.stack(list(update.losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert float(model.errors(batch.maps).mean()) < float(before.mean())
    assert set(trainer.validate(data)) >= {"error"}
    nothing = torch.full((1, 32, 32), model.label_space.background_index)
    error = model.errors(SemanticMap(nothing, model.label_space))
    assert math.isnan(float(error)) == (name == "shape-predictor")


def test_no_loss_may_use_the_judging_parser() -> None:
    model = zoo.create("mobile-parser/celeba-128", **SMALL)
    assert (
        "judge" in model.capabilities()
        and "judge" not in zoo.create("face-parser/celeba-128", feature_scale=32).capabilities()
    )
    with pytest.raises(WeightsError, match="held back from every loss"):
        ParserFeatures(model)
    photos, before = torch.rand(2, 3, 32, 32), {k: v.clone() for k, v in model.state_dict().items()}
    torch.testing.assert_close(model.train().logits(photos), model.eval().logits(photos))  # no statistics of the batch
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.eval().parse(torch.rand(1, 3, 40, 56)).labels.shape == (1, 40, 56)
