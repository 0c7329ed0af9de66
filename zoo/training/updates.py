"""One step of training: the updates that a Trainer yields, with micro-batches and processes (contract: docs/design.md, "Training")."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.data import Batch
from zoo.errors import ZooError
from zoo.interfaces.trainers import Trainer, Update
from zoo.nn.one_batch import Share
from zoo.rng import Rng
from zoo.training.processes import Processes

Logs = dict[str, Tensor]
ALONE = Share()


class Diverged(ZooError):
    """A loss, a gradient or a parameter is NaN or infinite."""


class Stepper:
    """Runs the updates of one step. Networks are never wrapped: systems with several networks and optimizers break
    DistributedDataParallel in ways that give wrong gradients without an error; gradients are averaged here instead."""

    def __init__(
        self, trainer: Trainer, optimizers: Mapping[str, Optimizer], processes: Processes, share: Share = ALONE
    ) -> None:
        """share: what part of every micro-batch this process gets."""
        self.trainer, self.optimizers, self.processes, self.share = trainer, optimizers, processes, share
        self.options = trainer.options
        self._faulty: list[str] = []

    def autocast(self) -> torch.autocast:
        """The context of forward passes: bfloat16 where the options say so."""
        return torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")

    def as_one_batch(self) -> AbstractContextManager[object]:
        """The context of what several processes compute as one; nothing for a single process."""
        return nullcontext() if self.processes.world == 1 else self.processes.as_one_batch(self.share)

    def seed_torch(self, step: int) -> None:
        """torch's own generator (dropout) is a function of the step, in all processes alike but on GPUs, which draw on their own."""
        seed = (self.options.seed * 1_000_003 + step) % 2**63
        torch.manual_seed(seed)
        if self.processes.world > 1 and self.processes.device.type == "cuda":
            torch.cuda.manual_seed((seed + (self.processes.rank << 40)) % 2**63)

    def place(self, batch: Batch) -> Batch:
        """The batch on the device, in the networks' memory format."""
        moved = batch.to(self.processes.device)
        if self.options.channels_last and moved.images is not None:
            return replace(moved, images=moved.images.contiguous(memory_format=torch.channels_last))
        return moved

    def step(self, step: int, micro_batches: Sequence[tuple[Batch, Rng]]) -> Logs:
        """All updates of one step, the micro-batches side by side. Returns their losses and logs, averaged over the
        micro-batches. Raises Diverged before any optimizer has taken a gradient that is not finite."""
        self.seed_torch(step)
        iterators = [
            self.trainer.updates(self.place(batch), rng.within("step", step), step) for batch, rng in micro_batches
        ]
        logs: Logs = {}
        with self.as_one_batch():
            while named := self._gather(iterators, logs):
                self._apply(named)
        return logs

    def logged(self, logs: Logs) -> dict[str, float]:
        """The losses and logs of a step as means over all samples; what not every process has is of those that have it."""
        own = {name: float(value) for name, value in logs.items()}
        if self.processes.world == 1:
            return own
        parts = self.processes.each((self.share.weight, own))
        names = dict.fromkeys(name for _, part in parts for name in part)
        having = {name: [(w, part[name]) for w, part in parts if name in part] for name in names}
        return {name: sum(w * v for w, v in found) / sum(w for w, _ in found) for name, found in having.items()}

    def _gather(self, iterators: Sequence[Iterator[Update]], logs: Logs) -> tuple[str, ...]:
        """Advance every micro-batch by one update and gather the gradients; () when the batch is done."""
        named: tuple[str, ...] | None = None
        for iterator in iterators:
            with self.autocast():
                update = next(iterator, None)
            names = () if update is None else self._known(update.optimizers)
            if named is None:
                named = names
                self._clear(named)
            if names != named:
                raise ZooError(
                    f"{type(self.trainer).__name__} names the optimizers {named} for one batch and {names} for another:"
                    " a trainer must yield the same ones in the same order for every batch."
                )
            if update is not None:
                self._backward(update, len(iterators), logs)
        return named or ()

    def _known(self, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [n for n in names if n not in self.optimizers]
        if unknown or not names:
            raise ZooError(
                f"{type(self.trainer).__name__} yields an update for the optimizers {names}, but has {', '.join(self.optimizers)}."
            )
        return tuple(names)

    def _backward(self, update: Update, micro: int, logs: Logs) -> None:
        total = torch.stack([loss.float() for loss in update.losses.values()]).sum()
        if not math.isfinite(float(total.detach())):
            self._faulty += [n for n, v in update.losses.items() if not math.isfinite(float(v.detach()))] or ["sum"]
        if self.processes.world > 1:
            total = total * self.share.weight
        total.div(micro).backward(inputs=self._parameters(update.optimizers))
        for name, value in {**update.losses, **update.logs}.items():
            part = torch.as_tensor(value).detach().float() / micro
            logs[name] = logs[name] + part if name in logs else part

    def _parameters(self, names: Sequence[str]) -> list[nn.Parameter]:
        return [p for n in names for g in self.optimizers[n].param_groups for p in g["params"] if p.requires_grad]

    def _clear(self, names: Sequence[str]) -> None:
        for parameter in self._parameters(names):
            parameter.grad = None

    def _apply(self, names: tuple[str, ...]) -> None:
        """Average, check, clip, step."""
        if self.processes.average(self._parameters(names), bool(self._faulty)):
            found = self.processes.each(list(dict.fromkeys(self._faulty)))
            told = [", ".join(n) + (f" (process {r})" if len(found) > 1 else "") for r, n in enumerate(found) if n]
            raise Diverged(f"the loss {', '.join(told)}")
        norms: dict[str, Tensor] = {}
        for name in names:
            norms[name] = nn.utils.get_total_norm([p.grad for p in self._parameters((name,)) if p.grad is not None])
            if not math.isfinite(float(norms[name])):
                raise Diverged(f"a gradient of the optimizer {name!r}")
        for name in names:
            if self.options.clip:
                nn.utils.clip_grads_with_norm_(self._parameters((name,)), self.options.clip, norms[name])
            self.optimizers[name].step()
        self._clear(names)
