"""Pairs with rare classes are shown more often, in every training."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import zoo
from zoo.data import PairData
from zoo.data.specs import open_data
from zoo.errors import ConfigError
from zoo.interfaces.training_options import TrainingOptions
from zoo.registry import registry
from zoo.training.rare import RareOften, epoch_orders, repeats


@pytest.fixture(scope="module")
def toys() -> PairData:
    return open_data("toy-faces:16#train", resolution=32)


def test_rare_classes_are_shown_more_often(toys: PairData) -> None:
    often = repeats(toys, 1.0)
    shown = [set(np.unique(toys.pair(i, (32, 32))[1]).tolist()) for i in range(len(toys))]
    counts = {v: sum(v in s for s in shown) for s in shown for v in s}
    assert often == pytest.approx([max((len(toys) / counts[v]) ** 0.5 for v in s) for s in shown])
    rare = RareOften(toys, 1.0, seed=0)
    orders = [rare.order(epoch) for epoch in range(300)]
    assert all(len(order) == len(toys) for order in orders)
    assert orders[0] == RareOften(toys, 1.0, seed=0).order(0) != orders[1]
    assert orders[0] != RareOften(toys, 1.0, seed=1).order(0)
    seen = np.bincount(np.concatenate([np.array(order) for order in orders]), minlength=len(toys)) / len(orders)
    assert seen == pytest.approx(np.array(often) * len(toys) / sum(often), abs=0.1)
    with pytest.raises(ConfigError, match=r"rare must lie in 0\.\.1, got 2"):
        TrainingOptions(rare=2)


def test_any_trainer_takes_it_but_one_with_an_order_of_its_own(toys: PairData) -> None:
    reg = registry()
    _, _, variant = reg.variant("mask-vae/celeba-128")
    trainer = reg.load(reg.architecture("mask-vae"), "trainer")(zoo.create("mask-vae/celeba-128"), variant.training)
    assert epoch_orders(trainer, toys)(0) is None
    trainer.options = dataclasses.replace(trainer.options, rare=0.5)
    assert epoch_orders(trainer, toys)(3) == RareOften(toys, 0.5, trainer.options.seed).order(3)
    trainer.epoch_order = lambda epoch, data: [0]
    with pytest.raises(ConfigError, match="in an order of its own: train with rare=0"):
        epoch_orders(trainer, toys)(0)
