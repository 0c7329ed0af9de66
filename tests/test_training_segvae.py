"""Training of SegVAE, its ablations and baselines: what a step computes, schedules, whole runs on the toy set, then generation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures_models import Ran
from torch import Tensor

import zoo
from zoo.data import layers_of
from zoo.data.specs import open_data
from zoo.errors import ConfigError
from zoo.rng import Rng
from zoo_plugins.segvae import parallel
from zoo_plugins.segvae.config import (
    CvaeGlobalConfig,
    CvaeSepConfig,
    SegVAEConfig,
    SegVAETraining,
)
from zoo_plugins.segvae.model import SegVAE
from zoo_plugins.segvae.steps import unroll
from zoo_plugins.segvae.trainer import SegVAETrainer

TINY = {"size": 16, "ngf": 2, "shape_dim": 8, "hidden_dim": 6, "z_dim": 4, "init_gain": 1.0}
KINDS = {
    "official": SegVAEConfig(**TINY),
    "no-sn": SegVAEConfig(spectral=False, **TINY),
    "bn": SegVAEConfig(spectral=False, norm="bn", **TINY),
    "no-lstm": SegVAEConfig(lstm=False, **TINY),
    "no-prior": SegVAEConfig(learned_prior=False, **TINY),
    "cvae-sep": CvaeSepConfig(**TINY),
    "cvae-global": CvaeGlobalConfig(**TINY),
}


def model_of(config: SegVAEConfig) -> SegVAE:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return SegVAE(config, zoo.label_space("celebamask-hq"))


def planes_of(model: SegVAE, count: int = 4) -> Tensor:
    return model.planes(layers_of(open_data("toy-faces:8", resolution=16).batch(range(count))))


@pytest.mark.parametrize("name", ["no-sn", "no-lstm", "no-prior", "cvae-sep", "cvae-global"])
def test_all_steps_at_once_are_the_steps_in_turn(name: str) -> None:
    """Same losses and gradients, in training (no spectral norm) and evaluation."""
    model = model_of(replace(KINDS[name], spectral=False)).train()
    trainer = SegVAETrainer(model, SegVAETraining(shape_loss="bce"))
    planes = planes_of(model)
    label_set = planes.flatten(2).amax(2).gt(0).float()
    assert not bool((label_set[:, 1:].sum(0) == 0).all()) and bool((label_set[:, 1:] == 0).any())
    eps = torch.randn(2, 4, 18, 4, generator=torch.Generator().manual_seed(0))
    grads = []
    for pair in (trainer._at_once(planes, label_set, eps[0]), trainer._in_turn(planes, label_set, *eps)):
        model.zero_grad()
        (pair[0].sum() * 1e-3 + pair[1].sum()).backward()
        found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        grads.append((pair, found))
    (kl, shape), (kl2, shape2) = grads[0][0], grads[1][0]
    assert kl.max() > 0 and shape.max() > 0
    torch.testing.assert_close(kl, kl2, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(shape, shape2, rtol=1e-4, atol=1e-6)
    assert grads[0][1].keys() == grads[1][1].keys()
    for key, value in grads[0][1].items():
        torch.testing.assert_close(value, grads[1][1][key], rtol=1e-3, atol=1e-5, msg=key)


def test_where_steps_advance_a_norm_they_run_in_turn() -> None:
    assert not parallel.applies(model_of(KINDS["official"]).train())
    assert parallel.applies(model_of(KINDS["official"]).eval())
    assert not parallel.applies(model_of(KINDS["bn"]).train())
    assert parallel.applies(model_of(KINDS["no-sn"]).train())


def test_spectral_norms_advance_once_per_class_step() -> None:
    model = model_of(KINDS["official"]).train()
    layer = model.context.encoder.blocks[0][0]  # type: ignore[index]
    calls: list[int] = []
    hook = layer.register_forward_hook(lambda *_: calls.append(1))  # type: ignore[union-attr]
    before = layer.u0.clone()  # type: ignore[union-attr]
    SegVAETrainer(model, SegVAETraining()).terms(planes_of(model), Rng(0, range(4)))
    hook.remove()
    assert len(calls) == 18 and not torch.equal(before, layer.u0)  # type: ignore[union-attr]


def test_each_class_is_averaged_over_the_samples_that_have_it() -> None:
    """A sample without a class changes nothing in that class's terms (no batch norm)."""
    model = model_of(KINDS["no-sn"]).eval()
    trainer = SegVAETrainer(model, SegVAETraining())
    planes = planes_of(model, 2)
    planes[1, 3:] = 0  # the second sample has the first two channels alone
    eps = torch.zeros(2, 18, 4)
    label_set = planes.flatten(2).amax(2).gt(0).float()
    both = trainer._at_once(planes, label_set, eps)
    alone = trainer._at_once(planes[:1], label_set[:1], eps[:1])
    torch.testing.assert_close(both[1][2:], alone[1][2:])
    assert not torch.allclose(both[1][:2], alone[1][:2])


def test_rates_fall_as_in_the_code() -> None:
    trainer = SegVAETrainer(model_of(KINDS["official"]), SegVAETraining())
    names = ["context", "decoder", "prior", "posterior"]
    assert list(trainer.optimizers()) == names
    at = {epoch: trainer.rates(float(epoch), 0)["context"] / 2.5e-5 for epoch in (0, 151, 152, 199, 202, 300)}
    assert at[0] == at[151] == 1.0
    assert math.isclose(at[152], 0.98) and math.isclose(at[199], 0.04) and at[202] == at[300] == 0.0
    cosine = SegVAETrainer(model_of(KINDS["official"]), SegVAETraining(schedule="cosine", warmup=9, steps=100))
    assert math.isclose(cosine.rates(0, 0)["prior"], 2.5e-6) and cosine.rates(0, 100)["prior"] == 0.0


def test_class_weights_favour_small_parts() -> None:
    data = open_data("toy-faces:8", resolution=16)
    trainer = SegVAETrainer(model_of(KINDS["no-sn"]), SegVAETraining(shape_balance=0.5))
    trainer.prepare(data)
    weights = dict(zip(trainer.model.channels, trainer._weights[1:].tolist(), strict=True))
    assert weights["l_eye"] > weights["nose"] > weights["skin"] > 0
    plain = SegVAETrainer(model_of(KINDS["no-sn"]), SegVAETraining())
    plain.prepare(data)
    assert bool((plain._weights == 1).all())


def test_unknown_losses_are_refused() -> None:
    with pytest.raises(ConfigError, match="l1 or bce"):
        SegVAETrainer(model_of(KINDS["no-sn"]), SegVAETraining(shape_loss="l2"))  # type: ignore[arg-type]


def test_both_shape_losses_train() -> None:
    """A few Adam steps on one batch lower either loss."""
    for kind in ("l1", "bce"):
        model = model_of(KINDS["no-sn"]).train()
        trainer = SegVAETrainer(model, SegVAETraining(shape_loss=kind, lr=1e-2))
        planes, values = planes_of(model), []
        for _ in range(40):
            terms = trainer.terms(planes, Rng(0, range(4)))
            total = terms["kl"] + terms["shape"]
            for optimizer in trainer.optimizers().values():
                optimizer.zero_grad()
            total.backward()
            for optimizer in trainer.optimizers().values():
                optimizer.step()
            values.append(float(total.detach()))
        assert values[-1] < 0.8 * values[0], (kind, values)


@pytest.mark.parametrize(
    "variant",
    ["segvae/celeba", "segvae/celeba-no-lstm", "segvae/celeba-no-prior", "cvae-sep/celeba", "cvae-global/celeba"],
)
def test_each_kind_trains_on_the_toy_set_and_generates(variant: str, tmp_path: Path, run: Callable[..., Ran]) -> None:
    sizes = [f"--set=network.{k}={v}" for k, v in TINY.items()]
    options = ["--set=steps=3", "--set=batch_size=3", "--set=ema=0.9", "--set=shape_loss=bce", "--set=lr=0.001"]
    folder = tmp_path / "run"
    done = run("train", variant, "--data", "toy-faces:6", "--out", folder, *sizes, *options, "--set=validate_every=0")
    assert done.code == 0, done.err
    model = zoo.load(folder / "model")
    assert model.assets["label_sets"] and not model.training
    out = tmp_path / "maps"
    made = run("generate", folder, "--labels", "skin,hair,nose", "-n", 2, "--seed", 1, "--out", out)
    assert made.code == 0, made.err
    for path in sorted((out / "maps").glob("*.png")):
        shown = set(zoo.SemanticMap.from_png(path, zoo.label_space("celebamask-hq")).label_set().names)
        assert shown <= {"background", "skin", "hair", "nose"}


def test_batch_norms_train_with_averaged_weights(tmp_path: Path, run: Callable[..., Ran]) -> None:
    sizes = [f"--set=network.{k}={v}" for k, v in {**TINY, "norm": "bn", "spectral": False}.items()]
    options = ["--set=steps=2", "--set=batch_size=2", "--set=ema=0.5"]
    done = run("train", "segvae/celeba", "--data", "toy-faces:6", "--out", tmp_path / "run", *sizes, *options)
    assert done.code == 0, done.err


def test_gradients_reach_every_network() -> None:
    model = model_of(KINDS["official"]).train()
    trainer = SegVAETrainer(model, SegVAETraining())
    terms = trainer.terms(planes_of(model), Rng(0, range(4)))
    (terms["kl"] + terms["shape"]).backward()
    for name in ("context", "prior", "posterior", "decoder"):
        norms = [p.grad.norm() for p in getattr(model, name).parameters() if p.grad is not None]
        assert norms and torch.stack(norms).max() > 0, name


def test_the_sampled_canvas_is_soft_and_the_last_class_never_on_it() -> None:
    model = model_of(KINDS["no-sn"]).eval()
    seen: list[Tensor] = []
    hook = model.context.register_forward_hook(lambda _m, inputs, _o: seen.append(inputs[0].clone()))
    label_set = torch.ones(1, 19)
    label_set[:, 0] = 0
    with torch.no_grad():
        steps = list(unroll(model, label_set, eps_prior=torch.zeros(1, 18, 4)))
    hook.remove()
    assert len(seen) == 18 and float(seen[0].abs().sum()) == 0
    last, first = model.order[-1], model.order[0]
    assert float(seen[-1][:, last].abs().sum()) == 0 and float(seen[-1][:, 0].abs().sum()) == 0
    shape = steps[0].shape(steps[0].drawn)
    assert shape is not None and torch.equal(seen[1][:, first], shape[:, 0])
