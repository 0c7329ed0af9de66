"""Shards made by several processes of this machine: each builds its own maker and is given one shard after the other.

A worker that is lost (killed, out of memory) loses the shard that it was making, which another makes again. When the driver is gone the
workers end at their next batch.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import zoo.errors
from zoo.errors import DataError, UsageError, ZooError
from zoo.sharding.job import Job
from zoo.sharding.local import Watch
from zoo.sharding.plan import Plan
from zoo.sharding.store import Store, open_store

ATTEMPTS = 3
"""How often a shard may be begun by workers that are lost."""
PATIENCE = 5.0
"""Seconds that a worker has to end when it is told to."""


class _Gone(BaseException):
    """In a worker: the driver is not there any more."""


def make_in_processes(
    job: Job, plan: Plan, numbers: Sequence[int], store: Store, watch: Watch, *, workers: int, processors: int
) -> None:
    """Make these shards. workers: processes at most. processors: of the machine, shared among them.

    Raises DataError for a shard whose workers were lost `ATTEMPTS` times, and what a worker's `make_shard` raises; finished shards stay.
    """
    if not store.shared:
        raise UsageError(f"{store.place} is seen by one process alone: leave <<workers>> out.")
    crew = _Crew(job, store, watch, max(1, processors // workers))
    todo, lost = deque(numbers), Counter[int]()
    try:
        while todo or crew.busy:
            while todo and crew.busy < workers:
                crew.give(todo.popleft())
            for number, fault in crew.news():
                lost[number] += 1
                if lost[number] == ATTEMPTS:
                    raise DataError(
                        f"Shard {number} was lost {ATTEMPTS} times with its worker ({fault}): if the memory is full, fewer <<workers>>"
                        " or a smaller <<batch_size>> need less."
                    )
                watch.note(f"A worker was lost ({fault}): shard {number} is made again by another.")
                todo.appendleft(number)
    finally:
        crew.end()


class _Worker:
    """A process, and the shard that it is making (None: none)."""

    def __init__(self, job: Job, place: str, processors: int, index: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process = context.Process(
            target=_work, args=(other, job.to_json(), place, processors, index), name=f"zoo-shards-{index}", daemon=True
        )
        self.process.start()
        other.close()
        self.number: int | None = None
        self.told = 0

    def give(self, number: int) -> None:
        """Have it make a shard; that it is gone is seen by `news`."""
        self.number, self.told = number, 0
        with suppress(OSError):
            self.connection.send(number)

    def fault(self) -> str:
        """Why it ended."""
        self.process.join(PATIENCE)
        code = self.process.exitcode
        if code is not None and code < 0:
            try:
                return f"killed by {signal.Signals(-code).name}"
            except ValueError:
                return f"killed by signal {-code}"
        return f"exit code {code}"


class _Crew:
    """The workers of a run."""

    def __init__(self, job: Job, store: Store, watch: Watch, processors: int) -> None:
        self._job, self._store, self._watch, self._processors = job, store, watch, processors
        self._workers: list[_Worker] = []
        self._begun = 0

    @property
    def busy(self) -> int:
        """Workers that make a shard."""
        return sum(w.number is not None for w in self._workers)

    def give(self, number: int) -> None:
        """Have an idle worker, or a new one, make a shard."""
        worker = next((w for w in self._workers if w.number is None), None)
        if worker is None:
            worker = _Worker(self._job, self._store.absolute, self._processors, self._begun)
            self._begun += 1
            self._workers.append(worker)
        worker.give(number)

    def news(self) -> list[tuple[int, str]]:
        """Wait for something to happen; the shards that were lost with their workers, and why."""
        lost: list[tuple[int, str]] = []
        ready = wait([w.connection for w in self._workers])
        for worker in [w for w in self._workers if w.connection in ready]:
            try:
                self._hear(worker, worker.connection.recv())
            except (EOFError, OSError):
                self._workers.remove(worker)
                if worker.number is not None:
                    self._watch.lost(worker.told)
                    lost.append((worker.number, worker.fault()))
        return lost

    def _hear(self, worker: _Worker, message: tuple[str, Any]) -> None:
        kind, value = message
        if kind == "samples":
            worker.told += value
            self._watch.samples(value)
        elif kind == "shard":
            assert worker.number is not None
            number, worker.number = worker.number, None
            self._watch.shard(number, value)
        else:
            name, text, trace = value
            kind = getattr(zoo.errors, name, None)
            if isinstance(kind, type) and issubclass(kind, ZooError):
                error = kind(text)
            else:
                error = DataError(f"A worker failed at shard {worker.number} ({name}: {text}).")
            error.add_note(trace)  # which --debug shows
            raise error

    def end(self) -> None:
        """End all workers, those at work in the midst of it."""
        for worker in self._workers:
            worker.connection.close()
            if worker.number is not None:
                worker.process.terminate()
        for worker in self._workers:
            worker.process.join(PATIENCE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def _work(connection: Connection, job: dict[str, Any], place: str, processors: int, index: int) -> None:
    """A worker's life: make the shards whose numbers come, until nobody sends any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver is interrupted, and ends its workers
    sys.stdout = sys.stderr  # data on stdout are the driver's
    try:
        _make_all(connection, Job.from_json(job), place, processors, index)
    except (_Gone, EOFError):
        pass
    except BaseException as error:
        text = str(error.args[0]) if isinstance(error, ZooError) and error.args else str(error)
        with suppress(_Gone):
            _send(connection, ("error", (type(error).__name__, text, traceback.format_exc())))


def _make_all(connection: Connection, job: Job, place: str, processors: int, index: int) -> None:
    from zoo.environment import keep_pages, uncollected

    keep_pages()
    with uncollected():
        from zoo.sharding.make import make_shard
        from zoo.sharding.makers import build_maker

        maker = build_maker(job, device=_device(job, index), processors=processors)
    plan, store = Plan.of(job.manifest), open_store(place)
    while True:
        facts = make_shard(maker, plan, connection.recv(), store, lambda count: _send(connection, ("samples", count)))
        _send(connection, ("shard", facts))


def _device(job: Job, index: int) -> str | None:
    """Which of several GPUs a worker takes."""
    if job.manifest["device"] != "cuda":
        return None
    import torch

    return f"cuda:{index % max(1, torch.cuda.device_count())}"


def _send(connection: Connection, message: tuple[str, Any]) -> None:
    try:
        connection.send(message)
    except OSError:
        raise _Gone from None
