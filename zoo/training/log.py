"""Progress on stderr, scalars and picture grids for TensorBoard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from zoo.data.sheets import grid
from zoo.files.names import one_line
from zoo.files.writing import reason
from zoo.training.events import Events
from zoo.training.runs import TENSORBOARD


class Log:
    """A rich bar on stderr (one line per `log_every` where stderr is no terminal) and TensorBoard event files in the run folder.

    quiet: nothing on stderr. write: False in processes that write no files. Nothing is written before the first record.
    Where the event file cannot be written (a full disk) a line says so and training goes on without it.
    """

    def __init__(self, folder: Path, steps: int, *, quiet: bool = False, write: bool = True) -> None:
        self.events: Events | None = Events(folder / TENSORBOARD) if write else None
        quiet = quiet or not write
        self.console = Console(stderr=True, quiet=quiet)
        self.steps = steps
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            *times,
            TextColumn("{task.fields[losses]}", markup=False),
        )
        self.bar = Progress(*columns, console=self.console, disable=quiet or not self.console.is_terminal)
        self.task = self.bar.add_task("training", total=steps, losses="")

    def __enter__(self) -> Log:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        self._record(lambda events: events.close())

    def step(self, step: int, seconds: float, logs: dict[str, float] | None) -> None:
        """Advance; with `logs` also write the scalars."""
        if logs is None:
            self.bar.update(self.task, completed=step)
            return
        losses = "  ".join(f"{one_line(name)} {value:.3g}" for name, value in logs.items())
        self.bar.update(self.task, completed=step, losses=losses)
        self._scalars("train", logs, step)
        if not self.console.is_terminal:
            self.console.print(
                f"step {step}/{self.steps}  {seconds / 60:.1f} min  {losses}",
                soft_wrap=True,
                highlight=False,
                markup=False,
            )

    def scores(self, step: int, scores: dict[str, float]) -> None:
        """Validation scores."""
        self._scalars("validation", scores, step)
        if scores:
            text = "  ".join(f"{one_line(name)} {value:.4g}" for name, value in scores.items())
            self.console.print(f"validation at step {step}: {text}", soft_wrap=True, highlight=False, markup=False)

    def pictures(self, step: int, rows: dict[str, Tensor]) -> None:
        """One grid, a row per name."""
        if rows and self.events is not None:
            picture = grid([list(images[:8].float().cpu()) for images in rows.values()])
            self._record(lambda events: events.picture("preview: " + " / ".join(rows), picture, step))

    def _scalars(self, group: str, values: dict[str, float], step: int) -> None:
        if values:
            self._record(lambda events: events.scalars({f"{group}/{n}": v for n, v in values.items()}, step))

    def _record(self, add: Callable[[Events], None]) -> None:
        if self.events is None:
            return
        try:
            add(self.events)
        except OSError as error:
            why = f"{self.events.folder} cannot be written ({reason(error, self.events.folder / 'events')})"
            self.console.print(
                f"Training goes on without the TensorBoard log: {why}.", soft_wrap=True, highlight=False, markup=False
            )
            self.events = None
