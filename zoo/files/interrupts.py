"""Ctrl-C while something must not be left half-done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_held() -> Iterator[list[KeyboardInterrupt]]:
    """Raise a KeyboardInterrupt of Ctrl-C at the end of the block instead of within it; the list holds it as soon as it is known.

    The handler of the signal is called at once, as ever; only what it raises waits. Outside the main thread nothing is raised anyway.
    """
    raised: list[KeyboardInterrupt] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield raised
        return

    def holding(number: int, frame: Any) -> None:
        try:
            before(number, frame)
        except KeyboardInterrupt as error:
            raised.append(error)

    signal.signal(signal.SIGINT, holding)
    try:
        yield raised
    finally:
        signal.signal(signal.SIGINT, before)
        if raised:
            raise raised[0]
