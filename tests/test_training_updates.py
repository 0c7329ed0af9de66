"""One step of training: the order of updates, accumulation, several processes, and which pairs make a batch."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from training_tiny import TinyOptions, TinySource, differences, start, tiny_data, trained

from zoo.checkpoints.variants import variants_of
from zoo.data import Augment
from zoo.errors import ConfigError, DataError, UsageError, ZooError
from zoo.labels import LabelClass, LabelSpace
from zoo.registry import registry
from zoo.rng import Rng
from zoo.training.runs import RunFolder
from zoo.training.sampler import Sampler

HERE = Path(__file__).parent


pytestmark = pytest.mark.usefixtures("one_thread")


# --- the protocol of updates --------------------------------------------------------------------------------------


def test_updates_are_stepped_one_after_the_other(tmp_path: Path) -> None:
    loop = start(tmp_path, steps=2)
    loop.run()
    seen = loop.trainer.seen  # type: ignore[attr-defined]
    # the discriminator's phase meets the generator already stepped, and no gradient is left in any network
    assert seen == [{"stepped": True, "grads": []}] * 2


def test_only_the_named_optimizers_parameters_get_gradients(tmp_path: Path) -> None:
    loop = start(tmp_path)
    during: list[tuple[str, bool, bool]] = []
    for name, optimizer in loop.optimizers.items():

        def step(name: str = name, real=optimizer.step) -> None:
            nets = loop.trainer.networks
            during.append(
                (name, *(any(p.grad is not None for p in nets[n].parameters()) for n in ("model", "discriminator")))
            )
            real()

        optimizer.step = step  # type: ignore[method-assign, assignment]
    loop.stepper.step(0, loop.sampler.batches(0))
    assert during == [("g", True, False), ("d", False, True)]


def test_four_times_two_is_eight(tmp_path: Path) -> None:
    common = {"plain": True, "steps": 6, "count": 20, "lr": 0.1, "ema": 0.0}
    _, once = trained(tmp_path / "once", batch_size=8, **common)
    _, often = trained(tmp_path / "often", batch_size=2, accumulate=4, **common)
    for net in ("model", "discriminator"):
        for name, value in once["networks"][net].items():
            torch.testing.assert_close(often["networks"][net][name], value, rtol=1e-4, atol=1e-6, msg=f"{net}.{name}")


def test_accumulation_resumes_too(tmp_path: Path) -> None:
    _, expected = trained(tmp_path / "whole", steps=4, accumulate=2, count=9)
    trained(tmp_path / "parts", steps=3, accumulate=2, count=9)
    _, found = trained(tmp_path / "parts", steps=4, accumulate=2, count=9)
    assert differences(expected, found) == []


def test_an_order_that_depends_on_the_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="same order for every batch"):
        start(tmp_path, uneven=True, accumulate=2).run()


def test_clipping_limits_the_gradient_of_each_optimizer(tmp_path: Path) -> None:
    loop = start(tmp_path, plain=True, clip=1e-3, ema=0.0)
    norms = []
    for optimizer in loop.optimizers.values():
        parameters = optimizer.param_groups[0]["params"]
        optimizer.step = lambda ps=parameters: norms.append(
            float(torch.nn.utils.get_total_norm([p.grad for p in ps if p.grad is not None]))
        )  # type: ignore
    loop.stepper.step(0, loop.sampler.batches(0))
    assert norms == [pytest.approx(1e-3, rel=1e-3)] * 2


# --- the sampler --------------------------------------------------------------------------------------------------


def test_each_epoch_is_a_permutation_without_the_rest() -> None:
    sampler = Sampler(tiny_data(), batch_size=2, seed=3, augment=Augment())
    epochs = [[n for s in range(e * 3, e * 3 + 3) for n in sampler.batches(s)[0][0].names] for e in range(4)]
    assert all(len(set(names)) == 6 for names in epochs) and len({tuple(n) for n in epochs}) == 4
    assert epochs[0] != [
        n
        for s in range(3)
        for n in Sampler(tiny_data(), batch_size=2, seed=4, augment=Augment()).batches(s)[0][0].names
    ]


def test_a_pair_is_augmented_alike_in_any_batch() -> None:
    augment = Augment(flip=True, zoom=0.5)
    made = {}
    for size in (1, 2, 4):
        sampler = Sampler(tiny_data(8), batch_size=size, seed=0, augment=augment)
        pairs = [
            (n, b.images[i]) for s in range(8 // size) for b, _ in sampler.batches(s) for i, n in enumerate(b.names)
        ]  # type: ignore[index]
        made[size] = dict(pairs)
    for name, image in made[1].items():
        assert torch.equal(image, made[2][name]) and torch.equal(image, made[4][name])
    later = Sampler(tiny_data(8), batch_size=8, seed=0, augment=augment).batches(1)[0][0]
    assert any(not torch.equal(later.images[i], made[1][n]) for i, n in enumerate(later.names))  # type: ignore[index]


@pytest.mark.parametrize("world", [2, 3])
def test_ranks_and_micro_batches_share_a_step(world: int) -> None:
    whole = Sampler(tiny_data(16), batch_size=4, seed=0, augment=Augment(), micro=2).batches(1)
    for m, (batch, rng) in enumerate(whole):
        parts: dict[int, tuple[str, int]] = {}
        for rank in range(world):
            sampler = Sampler(tiny_data(16), batch_size=4, seed=0, augment=Augment(), micro=2, rank=rank, world=world)
            assert sampler.steps_per_epoch == 2 and sampler.per_step == 8
            own, its = sampler.batches(1)[m]
            assert isinstance(its, Rng) and len(own) == len(sampler.share.rows)
            parts.update(dict(zip(sampler.share.rows, zip(own.names, its.samples, strict=True), strict=True)))
        assert [parts[i] for i in range(4)] == list(zip(batch.names, rng.samples, strict=True))


def test_more_processes_than_samples_are_refused() -> None:
    with pytest.raises(UsageError, match=r"3 processes cannot share batches of 2: .*batch_size"):
        Sampler(tiny_data(), batch_size=2, seed=0, augment=Augment(), rank=0, world=3)


def test_too_few_pairs_for_a_batch() -> None:
    with pytest.raises(DataError, match=r'7 training pairs .*changes=\{"batch_size": 7\}'):
        Sampler(tiny_data(), batch_size=8, seed=0, augment=Augment())


def test_bad_options_are_told_together() -> None:
    with pytest.raises(ConfigError, match=r"steps.*batch_size.*minutes.*ema.*seed"):
        TinyOptions(steps=0, batch_size=0, minutes=0, ema=1.0, seed=-1)
    with pytest.raises(ConfigError, match="lr must be 0 or more, got -1"):
        TinyOptions(lr=-1)


def test_learning_rates_of_every_system_are_held_against_their_range() -> None:
    """Here, not by torch once the networks are there: all fields that torch's optimizers would refuse."""
    reg = registry()
    seen = set()
    for name in reg.architectures:
        variants = variants_of(name).values() if reg.architecture(name).variants else ()
        cls = next((type(v.training) for v in variants if v.training is not None), None)
        if cls is None:
            continue
        for field in fields(cls):
            rate = "lr" in field.name.split("_") and isinstance(field.default, int | float)
            wrong = {"betas": (0.5, 1.0), "beta1": -0.1, "beta2": 2.0, "weight_decay": -1.0}.get(
                field.name, -1.0 if rate else None
            )
            if wrong is not None:
                seen.add(field.name)
                with pytest.raises(ConfigError, match=rf"{field.name}.* must"):
                    cls(**{field.name: wrong})
    assert {"lr", "betas", "beta1", "beta2", "weight_decay", "order_lr"} <= seen


def test_data_in_another_label_space_is_translated() -> None:
    from zoo.training.session import Relabelled

    names = ("label_2", "label_0", "label_1")  # the tiny source's in another order
    assert set(names) == set(TinySource().label_space.names)
    target = LabelSpace("turned", tuple(LabelClass(n, (i, i, i)) for i, n in enumerate(names)))
    source = TinySource()
    turned = Relabelled(source, source.label_space.mapping_to(target))
    before, after = source.read(1)[1], turned.read(1)[1]
    assert [names[v] for v in after.ravel()] == [source.label_space.names[v] for v in before.ravel()]


# --- other processes ----------------------------------------------------------------------------------------------


def tiny_process(path: Path, *options: str, launcher: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
    }
    command = [sys.executable, *launcher, str(HERE / "training_tiny.py"), str(path), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until it is so, the process has ended, or two minutes are over."""
    deadline = time.monotonic() + 120
    while not there() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)


@pytest.mark.slow
def test_sigkill_then_sigterm(tmp_path: Path) -> None:
    options = ("steps=1000000", "save_every=3", "validate_every=0", "preview_every=0")
    path = tmp_path / "state.pt"
    process = tiny_process(tmp_path, *options)
    wait_for(path.exists, process)
    process.kill()
    process.communicate()
    state = RunFolder(tmp_path).load_state()
    assert state is not None and state["step"] % 3 == 0
    before = path.stat()
    process = tiny_process(tmp_path, *options)
    wait_for(lambda: path.stat().st_mtime_ns > before.st_mtime_ns, process)  # it has gone on
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "continue with: zoo train --resume" in errors
    later = RunFolder(tmp_path).load_state()
    assert later is not None and later["step"] > state["step"]
