"""The one training loop. What is the paper's own lies in a `Trainer`; this owns everything around it: rates, the average
of the weights, checkpoints, validation, stopping."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from zoo.data import Batch, PairData
from zoo.errors import Cancelled, ConfigError, ToldElsewhere, UsageError
from zoo.files.names import one_line
from zoo.interfaces.trainers import Trainer
from zoo.nn.batch_norm import batch_norms
from zoo.nn.one_batch import Lost
from zoo.rng import Rng
from zoo.training.ema import Ema, is_finite
from zoo.training.log import Log
from zoo.training.processes import Processes
from zoo.training.rare import epoch_orders
from zoo.training.runs import BEST, RunFolder
from zoo.training.sampler import Sampler, augment_of
from zoo.training.updates import Diverged, Stepper

__all__ = ["Diverged", "Interrupted", "Loop", "Published"]

STATISTICS_BATCHES = 16


class Interrupted(Cancelled):
    """A signal stopped the run after its state was saved."""


@dataclass(frozen=True)
class Published:
    """Which weights the finished model holds, and what they score on the validation data as they are stored."""

    step: int
    scores: dict[str, float] = field(default_factory=dict)


class Loop:
    """One run. `run()` trains to the end (steps or minutes), `finish()` leaves the published weights in the model."""

    def __init__(
        self,
        trainer: Trainer,
        data: PairData,
        validation: PairData | None,
        run: RunFolder,
        log: Log,
        *,
        device: str = "cpu",
    ) -> None:
        self.trainer, self.data, self.validation, self.run_folder, self.log = trainer, data, validation, run, log
        self.options = trainer.options
        self.processes = Processes(device)
        self.device = self.processes.device
        self.step = 0
        self.seconds = 0.0
        self.processes.together(self._set_up)
        self.stepper = Stepper(trainer, self.optimizers, self.processes, self.sampler.share)
        self._resume()

    def _set_up(self) -> None:
        trainer, options = self.trainer, self.options
        self.sampler = Sampler(
            self.data,
            batch_size=options.batch_size,
            seed=options.seed,
            augment=augment_of(options, self.data),
            micro=options.accumulate,
            rank=self.processes.rank,
            world=self.processes.world,
            together=trainer.samples_together,
            order=epoch_orders(trainer, self.data),
        )
        self._check()
        for network in trainer.networks.values():
            if not any(p.requires_grad for p in network.parameters()):
                network.requires_grad_(True)  # zoo.load gives frozen models
            network.to(self.device).train()
            if options.channels_last:
                network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        trainer.prepare(self.data)
        self.optimizers = trainer.optimizers()
        self.ema = Ema(trainer.model, options.ema, warmup=options.ema_warmup) if options.ema else None

    def _check(self) -> None:
        """Fail now rather than at the first validation."""
        if self.options.ema and batch_norms(self.trainer.model) and type(self.trainer).statistics is Trainer.statistics:
            raise ConfigError(f"{type(self.trainer).__name__} has batch norms but no `statistics`: train with ema=0.")

    # --- state ----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that a resumed run needs. Random numbers and the sampler are functions of the step."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "networks": {n: net.state_dict() for n, net in self.trainer.networks.items()},
            "optimizers": {n: o.state_dict() for n, o in self.optimizers.items()},
            "ema": self.ema.state_dict() if self.ema else None,
        }

    def _resume(self) -> None:
        """The main process's state everywhere: its checkpoint, or its fresh networks."""
        state = self.processes.from_main(self.processes.by_main(self.run_folder.load_state))
        if state is not None:
            self.processes.together(lambda: self._fit(state))
        self._spread()
        self.best = None
        self.processes.by_main(self._settle_record)

    def _fit(self, state: dict[str, Any]) -> None:
        try:
            self._load(state)
        except (KeyError, ValueError, RuntimeError) as error:
            hint = "resume without the <<changes>> of networks or optimizers"
            raise UsageError(
                f"{self.run_folder.path}: its checkpoint does not fit these options ({one_line(' '.join(str(error).split()))}): {hint}."
            ) from error

    def _settle_record(self) -> None:
        """The best validation and the learning curve up to the step that the run goes on from."""
        best = self.run_folder.load_state(BEST)
        if best and best["step"] > self.step:  # from steps that were lost with the state after them
            self.run_folder.remove(BEST)
            best = None
        self.best = self._rank(best["scores"]) if best else None
        self.run_folder.cut_metrics(self.step)

    def _spread(self) -> None:
        """The main process's networks, averages and moments of the optimizers everywhere."""
        for tensor in self._tensors():
            self.processes.share((tensor,))

    def _tensors(self) -> Iterator[torch.Tensor]:
        for network in self.trainer.networks.values():
            yield from network.state_dict().values()
        if self.ema:
            yield from self.ema.average.values()
        for optimizer in self.optimizers.values():
            for kept in optimizer.state.values():
                yield from (value for value in kept.values() if isinstance(value, torch.Tensor))

    def _load(self, state: dict[str, Any]) -> None:
        for name, network in self.trainer.networks.items():
            network.load_state_dict(state["networks"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        if self.ema:
            if state["ema"] is None:
                self.ema = Ema(
                    self.trainer.model, self.options.ema, warmup=self.options.ema_warmup
                )  # switched on by the resumption: starts here
            else:
                self.ema.load_state_dict(state["ema"])
        self.step, self.seconds = int(state["step"]), float(state["seconds"])

    def save(self) -> None:
        """Write a checkpoint, unless something in the networks is no longer finite: then the last good one stays.

        Raises Diverged."""
        faulty = [name for name, network in self.trainer.networks.items() if not is_finite(network)]
        if self.processes.any(bool(faulty))[0]:
            raise Diverged(f"the state of {faulty[0]!r}" if faulty else "the state of another process")
        if not self.processes.same(
            self._tensors()
        ):  # machines of other kinds round otherwise: all go on from what is saved
            self._spread()
        self.processes.by_main(lambda: self.run_folder.save_state(self.state()))

    # --- steps ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train until the steps or minutes are done; then, or at a signal, the state is saved.

        Raises Interrupted after a signal, Diverged when a loss, gradient or parameter is NaN or infinite (the last
        checkpoint stays as it was).
        """
        with _signals(self.processes.world > 1) as caught:
            try:
                self._steps(caught)
                self.save()
            except Diverged as error:
                if not self.processes.main:
                    raise ToldElsewhere from error
                raise Diverged(
                    f"After {self.step} steps: {error} is NaN or infinite, so the run stops. {self._way_on()}"
                ) from error
            except Lost as error:
                kept = f" The last checkpoint is kept, go on from it: zoo train --resume {self.run_folder.path}"
                raise Lost(f"{error}{kept if self.run_folder.has_state else ''}") from error
        if any(self.processes.any(bool(caught))):
            if not self.processes.main:
                raise ToldElsewhere(Interrupted.exit_code)
            raise Interrupted(f"Stopped at step {self.step}; continue with: zoo train --resume {self.run_folder.path}")

    def _way_on(self) -> str:
        if not self.run_folder.has_state:
            return "No state had been saved yet: start anew with other options, for example a lower learning rate (<<changes>>)."
        return f"The last good state is kept: go on from it with other options, zoo train --resume {self.run_folder.path} --set …"

    def _steps(self, caught: list[int]) -> None:
        limit = math.inf if self.options.minutes is None else 60 * self.options.minutes
        clock = time.monotonic()
        stream = self.sampler.stream(self.step, self.options.steps)
        for step in range(self.step, self.options.steps):
            _, batches = self.processes.together(lambda: next(stream))
            if any(self.processes.any(bool(caught), self.seconds >= limit)):
                return
            self._set_rates(step)
            logs = self.stepper.step(step, batches)
            if self.ema:
                self.ema.update()
            self.step = step + 1
            self.seconds += time.monotonic() - clock
            self._after_step(logs, batches)
            clock = time.monotonic()

    def _set_rates(self, step: int) -> None:
        rates = self.trainer.rates(step / self.sampler.steps_per_epoch, step)
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = rates[name]

    def _after_step(self, logs: dict[str, torch.Tensor], batches: list[tuple[Batch, Rng]]) -> None:
        options, step = self.options, self.step
        due = step % options.log_every == 0
        self.log.step(step, self.seconds, self.stepper.logged(logs) if due else None)
        if options.preview_every and step % options.preview_every == 0:
            self._preview(batches[0])
        if options.validate_every and step % options.validate_every == 0:
            self.validate()
        if step % options.save_every == 0:
            self.save()

    # --- looking at it --------------------------------------------------------------------------------------------

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The weights that are published (the EMA's, if there is one), in evaluation mode and without gradients."""
        model = self.trainer.model
        if self.ema is not None:
            with torch.no_grad(), self.ema.applied(self._statistics):
                yield
            return
        modes = {m: m.training for m in model.modules()}
        model.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _statistics(self) -> None:
        """The latest training batches through the model, for batch norms."""
        first = max(0, self.step - STATISTICS_BATCHES)
        for step in range(first, first + STATISTICS_BATCHES):
            batch, rng = self.processes.together(lambda step=step: self.sampler.batches(step)[0])
            with self.stepper.autocast(), self.stepper.as_one_batch():
                self.trainer.statistics(self.stepper.place(batch), rng.within("statistics", step))

    def _preview(self, pair: tuple[Batch, Rng]) -> None:
        batch, rng = pair
        with self.averaged():
            rows = lambda: self.trainer.preview(self.stepper.place(batch), rng.within("preview"))  # noqa: E731
            self.processes.by_main(lambda: self.log.pictures(self.step, rows()))

    def validate(self) -> dict[str, float]:
        """Score the published weights, extend the learning curve, keep the best ones; {} but in the main process, which does it."""
        if self.validation is None:
            return {}
        with self.averaged():
            return self.processes.by_main(self._validated) or {}

    def _validated(self) -> dict[str, float]:
        scores = self._scores()
        rank = self._rank(scores)
        if rank is not None and (self.best is None or rank > self.best):
            self.best = rank
            self.run_folder.save_state(
                {"step": self.step, "model": self.trainer.model.state_dict(), "scores": scores}, BEST
            )
        samples = self.step * self.sampler.per_step
        self.run_folder.add_metrics(
            {"step": self.step, "samples": samples, "minutes": round(self.seconds / 60, 2), **scores}
        )
        self.log.scores(self.step, scores)
        return scores

    def _scores(self) -> dict[str, float]:
        return {k: float(v) for k, v in self.trainer.validate(self.validation).items()} if self.validation else {}

    def _rank(self, scores: dict[str, float]) -> float | None:
        """The first score, such that more is better; None if there is none or it is NaN."""
        name, value = next(iter(scores.items()), ("", math.nan))
        return None if math.isnan(value) else -value if name in self.trainer.lower_is_better else value

    @torch.no_grad()
    def finish(self) -> Published | None:
        """Leave the published weights in the model, rounded as they are stored, compute its assets, and score it so; None but in the
        main process, which does it."""
        curve = self.run_folder.metrics() if self.processes.main else []
        if self.processes.from_main(not curve or curve[-1]["step"] != self.step):
            self.validate()
        publish_best = self.options.publish == "best"
        best = self.processes.by_main(lambda: self.run_folder.load_state(BEST)) if publish_best else None
        if self.processes.from_main(best is None):
            with self.averaged():
                final = {k: v.clone() for k, v in self.trainer.model.state_dict().items()}
        else:
            final = best["model"] if best else {}
        return self.processes.by_main(lambda: self._published(final, best["step"] if best else self.step))

    def _published(self, final: dict[str, torch.Tensor], step: int) -> Published:
        model = self.trainer.model
        model.load_state_dict(final)
        model.eval()
        if self.options.dtype == "float16":
            for parameter in model.parameters():
                parameter.copy_(parameter.half())
        model.assets = self.trainer.finish(self.data)
        self.trainer.settle(self.data)
        return Published(step, self._scores())


@contextmanager
def _signals(several: bool) -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM so that the step in hand is finished; a second SIGINT ends a single process at once."""
    caught: list[int] = []

    def note(number: int, frame: object) -> None:
        # of several processes none may leave the others alone; their launcher ends them if they take too long
        if caught and number == signal.SIGINT and not several:
            raise KeyboardInterrupt
        caught.append(number)

    previous: dict[int, Callable[..., Any] | int | None] = {}
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
