"""Training: losses reach every parameter, and a run that was cut goes on as if it had not been."""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.api import load
from zoo.errors import Cancelled
from zoo.interfaces.trainers import Trainer
from zoo.rng import Rng
from zoo.testing.comparing import changed
from zoo.testing.subject import Subject, read_folder, stir
from zoo.training.runs import STATE, RunFolder
from zoo.training.session import open_splits, run_training


class Cut(RunFolder):
    """A run that ends as soon as its first checkpoint is written, as if the machine were switched off."""

    def save_state(self, state: dict[str, Any], name: str = STATE) -> None:
        super().save_state(state, name)
        if name == STATE:
            raise Cancelled("cut")


class Learning(Subject):
    """Tests of the trainer."""

    def test_gradients_reach_every_parameter(self, pairs: str) -> None:
        """Of all networks, in two steps; or the parameter is listed in `dead_parameters`, and then none reaches it."""
        self._needs_trainer()
        plan = self.plan(pairs)
        with torch.random.fork_rng(devices=[]):
            trainer = self.trainer_of(plan)
            data, _ = open_splits(plan, trainer.model)
            for network in trainer.networks.values():
                stir(network)
                network.train()
            trainer.prepare(data)
            reached = set()
            order, size = trainer.epoch_order(0, data) or range(len(data)), plan.training.batch_size
            for step in range(2):
                reached |= _take_step(trainer, data.batch(order[step * size : (step + 1) * size]), step)
        names = _names(trainer)
        unreached = {name for name in names.values() if name not in reached}
        listed = {name for name in names.values() if any(fnmatchcase(name, p) for p in self.dead_parameters)}
        assert not unreached - listed, f"no gradient for {sorted(unreached - listed)}"
        assert not listed - unreached, f"listed as dead, but a gradient reaches {sorted(listed - unreached)}"
        unused = [p for p in self.dead_parameters if not any(fnmatchcase(n, p) for n in names.values())]
        assert not unused, f"dead_parameters that do not exist: {unused}"

    def test_a_cut_run_goes_on_bit_for_bit(self, pairs: str, tmp_path: Path) -> None:
        """Four steps at once are two, a cut and two more: networks, optimizers, averages, scores, the model folder."""
        self._needs_trainer()
        plan = self.plan(pairs)
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        before = torch.get_rng_state()
        run_training(plan, RunFolder.create(whole), quiet=True)
        assert torch.equal(before, torch.get_rng_state()), "a training run leaves torch's own generator as it was"
        with pytest.raises(Cancelled, match="cut"):
            run_training(plan, Cut(cut), quiet=True)
        state = RunFolder.open(cut).load_state()
        assert state is not None and state["step"] == 2
        run_training(plan, RunFolder.open(cut), quiet=True)
        states = [_timeless(RunFolder.open(path).load_state()) for path in (whole, cut)]
        assert not changed(*states), f"a resumed run has another {changed(*states)}"
        curves = [[_timeless(line) for line in RunFolder.open(path).metrics()] for path in (whole, cut)]
        assert curves[0] == curves[1]
        assert read_folder(whole / "model") == read_folder(cut / "model")
        assert type(load(whole)) is type(self.build())

    def _needs_trainer(self) -> None:
        if self.declared.trainer is None:
            pytest.skip("it is not trained here")


def _names(trainer: Trainer) -> dict[int, str]:
    """`NETWORK.PARAMETER` of what is trained, by identity."""
    names: dict[int, str] = {}
    for network, module in trainer.networks.items():
        for name, parameter in module.named_parameters():
            if parameter.requires_grad:
                names.setdefault(id(parameter), f"{network}.{name}")
    return names


def _take_step(trainer: Trainer, batch: Any, step: int) -> set[str]:
    """All updates of one batch as the loop takes them; the parameters that got a gradient other than zero."""
    names, optimizers = _names(trainer), trainer.optimizers()
    reached: set[str] = set()
    for update in trainer.updates(batch, Rng(0, range(len(batch))).within("step", step), step):
        chosen = [optimizers[name] for name in update.optimizers]
        parameters: list[nn.Parameter] = [
            p for o in chosen for g in o.param_groups for p in g["params"] if p.requires_grad
        ]
        for optimizer in chosen:
            optimizer.zero_grad()
        losses: Tensor = torch.stack([loss.float() for loss in update.losses.values()])
        assert bool(losses.isfinite().all()), f"losses {update.losses}"
        losses.sum().backward(inputs=parameters)
        reached |= {names[id(p)] for p in parameters if p.grad is not None and bool(p.grad.any())}
        for optimizer in chosen:
            optimizer.step()
    return reached


def _timeless(values: dict[str, Any] | None) -> dict[str, Any]:
    """Without what the clock says."""
    return {k: v for k, v in (values or {}).items() if k not in ("seconds", "minutes")}
