"""One job at a time for each tab, by a few threads for all; the others wait in a queue that has an end. No torch in here."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zoo.errors import Cancelled, ZooError, plain
from zoo.web.limits import Limits
from zoo.web.work import Work

Emit = Callable[[dict[str, Any]], None]
NEWER = "A newer stroke took its place."
SHUT = "The server is being shut down."


class Full(ZooError):
    """The queue has no more room."""


@dataclass(eq=False)
class Job:
    """kind: as on the wire. run: does the work and gives the result. emit: takes each line for the page, from any thread; the last has
    a `result` or an `error`."""

    kind: str
    session: str
    run: Callable[[Work], dict[str, Any]]
    emit: Emit
    work: Work = field(default_factory=Work)
    over: bool = False

    def finish(self, line: dict[str, Any]) -> None:
        """The last line, once."""
        if not self.over:
            self.over = True
            self.emit(line)


class Desk:
    """Takes jobs and has them done."""

    def __init__(self, limits: Limits, threads: int = 2) -> None:
        self.limits = limits
        self._waiting: list[Job] = []
        self._running: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._serve, name=f"zoo-job-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, job: Job) -> None:
        """Put a job into the queue. A render cancels the tab's older ones. Raises Full."""
        with self._changed:
            if self._closed:
                raise Full(SHUT)
            if job.kind == "render":
                self._replace(job.session)
            own = sum(j.session == job.session for j in self._waiting)
            if own >= self.limits.own_waiting:
                raise Full(f"{own} jobs of this page wait already: wait for one of them, or cancel it.")
            if len(self._waiting) >= self.limits.waiting:
                raise Full("The server has too much to do at the moment: try again in a few seconds.")
            job.work.seconds = self.limits.seconds
            self._waiting.append(job)
            self._changed.notify()

    def _replace(self, session: str) -> None:
        for job in [j for j in self._waiting if j.session == session and j.kind == "render"]:
            self._waiting.remove(job)
            job.work.cancel(NEWER)
            job.finish({"error": NEWER, "retry": False, "cancelled": True})
        running = self._running.get(session)
        if running is not None and running.kind == "render":
            running.work.cancel(NEWER)

    def cancel(self, job: Job, why: str = "") -> None:
        """Nobody waits for it any more."""
        with self._changed:
            job.work.cancel(why)
            if job in self._waiting:
                self._waiting.remove(job)
                job.finish({"error": job.work.why, "retry": False, "cancelled": True})

    def busy(self, session: str) -> bool:
        """Whether a tab has a job that runs or waits."""
        return session in self._running or any(j.session == session for j in self._waiting)

    def close(self, wait: float = 0.5) -> bool:
        """Cancel all, wait so many seconds for what runs; whether all of it has ended. Pages hear of it at once, not when a step is over."""
        with self._changed:
            self._closed = True
            for job in self._running.values():
                job.work.cancel(SHUT)
            for job in [*self._waiting, *self._running.values()]:
                job.finish({"error": SHUT, "retry": True})
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(wait)
        return not any(thread.is_alive() for thread in self._threads)

    # --- the threads ----------------------------------------------------------------------------------------------

    def _take(self) -> Job | None:
        """The next job of a tab that has none running; None when the server ends."""
        with self._changed:
            while not self._closed:
                for job in self._waiting:
                    if job.session not in self._running:
                        self._waiting.remove(job)
                        self._running[job.session] = job
                        return job
                self._changed.wait()
            return None

    def _serve(self) -> None:
        while (job := self._take()) is not None:
            try:
                self._do(job)
            finally:
                with self._changed:
                    del self._running[job.session]
                    self._changed.notify_all()

    def _do(self, job: Job) -> None:
        job.work.begin()
        try:
            job.work.check()
            result = job.run(job.work)
            job.work.check()
            job.finish({"result": result})
        except Cancelled as error:
            job.finish({"error": str(error) or job.work.why, "retry": False, "cancelled": True})
        except ZooError as error:
            job.finish({"error": plain(str(error)), "retry": False})
        except MemoryError:
            job.finish(
                {"error": "This does not fit into the memory of the machine: take a smaller model.", "retry": False}
            )
        except BaseException as error:
            traceback.print_exc(file=sys.stderr)
            job.finish({"error": unforeseen(error), "retry": False})


def unforeseen(error: BaseException) -> str:
    """What the page is told of a fault that nobody foresaw; the traceback is the terminal's."""
    return (
        f"Something went wrong that should not ({type(error).__name__}): the terminal where the server runs shows what."
    )
