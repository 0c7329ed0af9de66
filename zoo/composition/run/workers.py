"""Batches made at once, in threads of one process, and how a machine's processors are shared among them.

A batch depends on its samples' streams and on the number of threads inside torch's operators, not on what is made beside it. So what is
recorded is that number, and runs with one worker and with many have the same bytes. One thread for each of several batches does more in
the same time than several threads for one (small layers wait for each other's threads), and whoever takes the batches meanwhile writes
the files of those before. Torch lets other threads of Python run while it computes.
"""

from __future__ import annotations

import atexit
import ctypes
import queue
import threading
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.composition.run.style_change import styled_classes
from zoo.environment import memory
from zoo.interfaces.border import owner_of
from zoo.registry import FIRST_PARTY

T = TypeVar("T")
R = TypeVar("R")
AHEAD = 1
"""Batches that may be finished before they are asked for, beside those that are being made."""
PLANES = 3000
"""Numbers per pixel that a sample may need while it is made (measured: 350 to 2900), for how many batches fit into memory."""


class Share(NamedTuple):
    """Batches made at once, and torch's threads for each."""

    workers: int
    threads: int


def share(models: Models, request: Request, threads: int, recorded: int | None = None) -> Share:
    """How a run uses `threads` processors. recorded: the threads of each batch in a run that is continued or made again.

    One batch at a time where there is only one, away from the CPU, where blocks are compiled, where models of others do not say that they
    may be called at once, and for styles of single classes, which are measured against pictures of the batch before.
    """
    alone = (
        request.device != "cpu"
        or models.compile
        or bool(styled_classes(request))
        or not all(concurrent(named.model) for named in models.named.values())
    )
    height, width = models.resolution
    batch = min(request.batch_size, request.samples)
    fitting = int(memory() / 2 // (batch * height * width * 4 * PLANES)) if memory() < float("inf") else threads
    batches = -(-request.samples // request.batch_size)
    workers = 1 if alone else max(1, min(threads, batches, fitting))
    if recorded is not None:
        return Share(min(workers, max(1, threads // recorded)), recorded)
    return Share(workers, max(1, threads // workers))


def concurrent(model: Any) -> bool:
    """Whether several threads may call a model at once: ours, and those that say so."""
    owner = owner_of(model)
    return model.CONCURRENT or (owner is not None and owner.distribution == FIRST_PARTY)


class _Stopped(BaseException):
    """Raised in a worker whose results nobody waits for any more."""


class _Pool:
    """Threads that make `items`, one for each maker."""

    def __init__(self, makers: Sequence[Callable[[Any], Any]]) -> None:
        self._todo: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
        self._results: dict[int, tuple[Any, BaseException | None]] = {}
        self._busy: set[int] = set()
        self._closed = False
        self._lock = threading.Lock()
        self._inside = torch.get_num_threads()
        # daemons, so that a caller who drops the iterator in the middle can end; `close` at exit, so that none is killed at work
        self._threads = [
            threading.Thread(target=self._work, args=(make,), name="zoo-batch", daemon=True) for make in makers
        ]
        for thread in self._threads:
            thread.start()
        atexit.register(self.close)

    def _work(self, make: Callable[[Any], Any]) -> None:
        try:
            torch.set_num_threads(self._inside)  # which is each thread's own
            for place, item in iter(self._todo.get, None):
                with self._lock:
                    if self._closed:
                        return
                    self._busy.add(threading.get_ident())
                value: Any = None
                fault: BaseException | None = None
                try:
                    value = make(item)
                except Exception as error:
                    fault = error
                with self._lock:
                    self._busy.discard(threading.get_ident())
                self._done.put((place, value, fault))
                del value, fault  # nothing of a batch is held while the next is made
        except _Stopped:
            pass

    def start(self, place: int, item: Any) -> None:
        """Make an item as soon as a thread is free."""
        self._todo.put((place, item))

    def result(self, place: int) -> Any:
        """What was made at this place; raises what was raised there."""
        while place not in self._results:
            try:
                at, value, error = self._done.get(timeout=1)  # on Windows nothing interrupts a wait without an end
            except queue.Empty:
                continue
            self._results[at] = value, error
        value, error = self._results.pop(place)
        if error is not None:
            raise error
        return value

    def close(self) -> None:
        """End the threads, in the midst of an item at their next line of Python."""
        atexit.unregister(self.close)
        with self._lock:  # who is at work has to pass the lock before it is out of reach of the `except`
            self._closed = True
            for ident in self._busy:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(_Stopped))
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()


def in_order(makers: Sequence[Callable[[T], R]], items: Sequence[T]) -> Generator[R, None, None]:
    """What the makers give for the items, in the order of the items. Each maker is called by one thread; a single one by the caller's.

    At most one item more than there are makers is begun and not yet taken. What a maker raises is raised in its item's turn.
    """
    if len(makers) == 1:
        yield from map(makers[0], items)
        return
    pool = _Pool(makers)
    try:
        begun = 0
        for place in range(len(items)):
            while begun < min(len(items), place + len(makers) + AHEAD):
                pool.start(begun, items[begun])
                begun += 1
            yield pool.result(place)
    finally:
        pool.close()
