"""What a job is while it runs: where it reports to, and whether somebody still wants it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from zoo.errors import Cancelled

Report = Callable[[int, int, str], None]


@dataclass(eq=False)
class Work:
    """report(done, total, text): called from the working thread. seconds: how long it may take at most."""

    report: Report = lambda done, total, text: None
    seconds: float = float("inf")
    why: str = "The job was cancelled."
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _start: float = field(default_factory=time.monotonic)

    def begin(self) -> None:
        """From here on its time counts."""
        self._start = time.monotonic()

    def cancel(self, why: str = "") -> None:
        """Nobody wants the result any more; the work stops at its next step."""
        self.why = why or self.why
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        """Whether somebody called `cancel`."""
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raise Cancelled if it was cancelled, or its time is over."""
        if self._cancelled.is_set():
            raise Cancelled(self.why)
        if time.monotonic() - self._start > self.seconds:
            raise Cancelled(f"The job took longer than {self.seconds:g} seconds: try a smaller one, or another model.")

    def step(self, done: int, total: int, text: str) -> None:
        """Between two phases: stop if it must, else say how far it is."""
        self.check()
        self.report(done, total, text)
