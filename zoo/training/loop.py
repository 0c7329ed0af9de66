"""The one training loop. What is the paper's own lies in a `Trainer`; this owns everything around it.

Gradients of several processes are averaged by hand and networks are never wrapped: systems with several networks and
optimizers break DistributedDataParallel in ways that give wrong gradients without an error.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from zoo.data import Augment, PairData
from zoo.errors import Cancelled, ZooError
from zoo.interfaces import Trainer, Update
from zoo.rng import Rng
from zoo.training.ema import Ema, finite
from zoo.training.log import Log
from zoo.training.runs import BEST, RunFolder
from zoo.training.sampler import Sampler

STATISTICS_BATCHES = 16


class Interrupted(Cancelled):
    """A signal stopped the run after its state was saved."""


class Diverged(ZooError):
    """A loss or a parameter is no longer finite."""


class Loop:
    """One run. `run()` trains to the end (steps or minutes), `finish()` leaves the published weights in the model."""

    def __init__(self, trainer: Trainer, data: PairData, validation: PairData | None, run: RunFolder, log: Log, *, device: str = "cpu") -> None:
        self.trainer, self.data, self.validation, self.run_folder, self.log = trainer, data, validation, run, log
        self.options = options = trainer.options
        self.accelerator = Accelerator(mixed_precision="bf16" if options.precision == "bf16" else "no", cpu=device == "cpu")
        self.device = self.accelerator.device if device != "mps" else torch.device("mps")
        self.step = 0
        self.seconds = 0.0
        self.best: float | None = None
        augment = Augment(flip=options.flip, zoom=options.zoom, color=options.color)
        self.sampler = Sampler(
            data,
            batch_size=options.batch_size,
            seed=options.seed,
            augment=augment,
            micro=options.accumulate,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        for network in trainer.networks.values():
            network.to(self.device).train().requires_grad_(True)
            if options.channels_last:
                network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        trainer.prepare(data)
        self.optimizers = trainer.optimizers()
        self.ema = Ema(trainer.model, options.ema) if options.ema else None
        self._resume()
        self._broadcast()

    # --- state ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs. Random numbers and the sampler are functions of the step."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "networks": {n: net.state_dict() for n, net in self.trainer.networks.items()},
            "optimizers": {n: o.state_dict() for n, o in self.optimizers.items()},
            "ema": self.ema.state_dict() if self.ema else None,
        }

    def _resume(self) -> None:
        state = self.run_folder.load_state()
        if state is None:
            return
        for name, network in self.trainer.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.ema and state["ema"] is not None:
            self.ema.load_state_dict(state["ema"])
        self.step, self.seconds, self.best = int(state["step"]), float(state["seconds"]), state["best"]

    def _broadcast(self) -> None:
        """Rank 0's networks everywhere."""
        if self.accelerator.num_processes > 1:
            for network in self.trainer.networks.values():
                for tensor in network.state_dict().values():
                    torch.distributed.broadcast(tensor, 0)
            if self.ema:
                for tensor in self.ema.average.values():
                    torch.distributed.broadcast(tensor, 0)

    def save(self) -> None:
        """Write a checkpoint, unless a parameter is no longer finite: then the last good one stays. Raises Diverged."""
        for name, network in self.trainer.networks.items():
            if not finite(dict(network.named_parameters())):
                raise Diverged(self._diverged(f"a parameter of {name!r}"))
        if self.accelerator.is_main_process:
            self.run_folder.save_state(self.state())

    def _diverged(self, what: str) -> str:
        return (
            f"Step {self.step + 1}: {what} is NaN or infinite; the run stops. The last good state is kept:"
            f" continue it with other options, for example zoo train --resume {self.run_folder.path} --set lr=…"
        )

    # --- steps ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the steps or minutes are done. Raises Interrupted (state saved), Diverged."""
        options = self.options
        with _signals() as stop:
            for step, batches in self.sampler.stream(self.step, options.steps):
                if options.minutes is not None and self.seconds >= 60 * options.minutes:
                    break
                began = time.monotonic()
                self._set_rates(step)
                logs = self._step(step, batches)
                if self.ema:
                    self.ema.update()
                self.step = step + 1
                self.seconds += time.monotonic() - began
                self.log.step(self.step, self.seconds, logs if self.step % options.log_every == 0 else None)
                if options.preview_every and self.step % options.preview_every == 0:
                    self._preview(batches[0])
                if options.validate_every and self.step % options.validate_every == 0:
                    self.validate()
                if self.step % options.save_every == 0:
                    self.save()
                if stop:
                    self.save()
                    raise Interrupted(f"Stopped at step {self.step}; continue with: zoo train --resume {self.run_folder.path}")
        self.save()

    def _set_rates(self, step: int) -> None:
        rates = self.trainer.rates(step / self.sampler.steps_per_epoch, step)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name]

    def _step(self, step: int, batches: list) -> dict[str, float]:
        """All updates of one step; micro-batches advance side by side."""
        # layers that draw from torch's own generator (dropout) stay reproducible after a resume
        torch.manual_seed(self.options.seed * 1_000_003 + step)
        iterators = [
            self.trainer.updates(self._on_device(batch), rng.within("step", step), step) for batch, rng in batches
        ]
        logs: dict[str, float] = {}
        while True:
            done = False
            named: tuple[str, ...] = ()
            for iterator in iterators:
                update = self._next(iterator)
                if update is None:
                    done = True
                    break
                if not named:
                    named = update.optimizers
                    self._clear(named)
                self._backward(update, len(iterators), logs)
            if done:
                return logs
            self._apply(named)

    def _on_device(self, batch: Any) -> Any:
        moved = batch.to(self.device)
        if self.options.channels_last and moved.images is not None:
            return type(moved)(moved.images.contiguous(memory_format=torch.channels_last), moved.maps, moved.names)
        return moved

    def _next(self, iterator: Iterator[Update]) -> Update | None:
        with self.accelerator.autocast():
            return next(iterator, None)

    def _backward(self, update: Update, micro: int, logs: dict[str, float]) -> None:
        total = torch.stack([loss.float() for loss in update.losses.values()]).sum()
        if not math.isfinite(float(total.detach())):
            bad = [n for n, v in update.losses.items() if not math.isfinite(float(v.detach()))]
            raise Diverged(self._diverged(f"the loss {', '.join(bad) or 'sum'}"))
        total.div(micro).backward(inputs=self._parameters(update.optimizers))
        for name, value in {**update.losses, **update.logs}.items():
            logs[name] = logs.get(name, 0.0) + float(value.detach() if isinstance(value, Tensor) else value) / micro

    def _parameters(self, names: tuple[str, ...]) -> list[nn.Parameter]:
        return [p for n in names for g in self.optimizers[n].param_groups for p in g["params"] if p.requires_grad]

    def _clear(self, names: tuple[str, ...]) -> None:
        for parameter in self._parameters(names):
            parameter.grad = None

    def _apply(self, names: tuple[str, ...]) -> None:
        self._reduce(names)
        for name in names:
            if self.options.clip:
                torch.nn.utils.clip_grad_norm_(self._parameters((name,)), self.options.clip)
            self.optimizers[name].step()
        self._clear(names)

    def _reduce(self, names: tuple[str, ...]) -> None:
        """Average gradients over processes; one that is None everywhere stays None, None on some counts as zero."""
        world = self.accelerator.num_processes
        if world == 1:
            return
        parameters = self._parameters(names)
        used = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        torch.distributed.all_reduce(used)
        for parameter, count in zip(parameters, used.tolist(), strict=True):
            if count:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                torch.distributed.all_reduce(parameter.grad)
                parameter.grad /= world

    # --- looking at it --------------------------------------------------------------------------------------------

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The weights that are published (the EMA's, if there is one), in evaluation mode and without gradients."""
        model = self.trainer.model
        if self.ema is None:
            modes = {m: m.training for m in model.modules()}
            model.eval()
            try:
                with torch.no_grad():
                    yield
            finally:
                for module, mode in modes.items():
                    module.training = mode
            return
        with torch.no_grad(), self.ema.applied(self._statistics):
            yield

    def _statistics(self) -> None:
        first = max(0, self.step - STATISTICS_BATCHES)
        for step in range(first, first + STATISTICS_BATCHES):
            batch, rng = self.sampler.batches(step)[0]
            with self.accelerator.autocast():
                self.trainer.statistics(self._on_device(batch), rng.within("statistics", step))

    def _preview(self, pair: tuple) -> None:
        batch, rng = pair
        if self.accelerator.is_main_process:
            with self.averaged():
                self.log.pictures(self.step, self.trainer.preview(self._on_device(batch), rng.within("preview")))

    def validate(self) -> dict[str, float]:
        """Score the published weights, extend the learning curve, keep the best ones."""
        if self.validation is None or not self.accelerator.is_main_process:
            return {}
        with self.averaged():
            scores = {k: float(v) for k, v in self.trainer.validate(self.validation).items()}
            if scores:
                name, value = next(iter(scores.items()))
                ordered = -value if name in self.trainer.lower_is_better else value
                if self.best is None or ordered > self.best:
                    self.best = ordered
                    self.run_folder.save_state({"step": self.step, "model": self.trainer.model.state_dict(), "scores": scores}, BEST)
        samples = self.step * self.sampler.per_step
        self.run_folder.add_metrics({"step": self.step, "samples": samples, "minutes": round(self.seconds / 60, 2), **scores})
        self.log.scores(self.step, scores)
        return scores

    @torch.no_grad()
    def finish(self) -> None:
        """Leave the published weights in the model, rounded as they are stored, and compute its assets."""
        curve = self.run_folder.metrics(until=self.step)
        if self.validation is not None and (not curve or curve[-1]["step"] != self.step):
            self.validate()
        best = self.run_folder.load_state(BEST) if self.options.publish == "best" else None
        model = self.trainer.model
        if best is None:
            with self.averaged():
                final = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            final = best["model"]
        model.load_state_dict(final)
        model.eval()
        if self.options.dtype == "float16":
            for parameter in model.parameters():
                parameter.copy_(parameter.half())
        model.assets = self.trainer.finish(self.data)


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM so that the step in hand is finished; a second SIGINT ends at once."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        if caught and number == signal.SIGINT:
            raise KeyboardInterrupt
        caught.append(number)

    previous: dict[int, Callable | int | None] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.signal(number, note)
    except ValueError:  # not the main thread: signals are the caller's
        previous = {}
    try:
        yield caught
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


__all__ = ["Diverged", "Interrupted", "Loop", "Rng", "Tensor"]
