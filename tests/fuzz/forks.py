"""A command in a forked child: what it imports, breaks or is killed in stays there, and torch need not be loaded again."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .patience import Patience
from .place import Place, Ran, call
from .watching import watching


@dataclass(frozen=True)
class Ended:
    """How a child ended. signal: that killed it, 0 for none; ran: what the command left, None if it never came to that; steps: changes
    of files that it made."""

    signal: int
    ran: Ran | None
    surprise: str = ""
    steps: int = 0
    seconds: float = 0.0
    hung: bool = False
    watched: dict[str, list[str]] = field(default_factory=dict)


def command(
    place: Place,
    *arguments: object,
    before: Callable[[], None] | None = None,
    stop_at: int = -1,
    fault: str = "",
    after: float = 0,
    wall: float = 60,
) -> Ended:
    """Call `zoo` in a child. before: called in the child first. stop_at, fault: see `Watch`. after: seconds until SIGKILL from
    outside. wall: seconds of processor time after which it counts as hanging."""
    reader, writer = os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _child(place, [str(a) for a in arguments], before, stop_at, fault, writer)
    os.close(writer)
    killed = False
    content = b""
    patience = Patience(child, wall, still=20)
    while True:
        left = begun + after - time.monotonic() if after and not killed else 1
        if select.select([reader], [], [], max(min(left, 1), 0))[0]:
            block = os.read(reader, 1 << 16)
            if not block:
                break
            content += block
        elif after and not killed and time.monotonic() >= begun + after:
            os.kill(child, signal.SIGKILL)
            killed = True
        elif patience.over():
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return Ended(signal.SIGKILL, None, hung=True, seconds=wall)
    os.close(reader)
    status = os.waitpid(child, 0)[1]
    number, seconds = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0, time.monotonic() - begun
    if number or not content:
        return Ended(number, None, seconds=seconds)
    told = json.loads(content)
    return Ended(0, Ran(**told.pop("ran")), seconds=seconds, **told)


def _child(
    place: Place, arguments: list[str], before: Callable[[], None] | None, stop_at: int, fault: str, writer: int
) -> None:
    """Never returns."""
    try:
        # background jobs of a shell ignore SIGINT, which no user's `zoo` does
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if before is not None:
            before()
        watch = place.watch()
        watch.stop_at, watch.fault = stop_at, fault
        with watching(watch):
            ran, surprise = call(arguments)
        watched = {"programs": watch.programs, "writes": watch.writes, "reads": watch.reads}
        told: dict[str, Any] = {"ran": vars(ran), "surprise": surprise, "steps": watch.step, "watched": watched}
        content = json.dumps(told).encode()
        while content:
            content = content[os.write(writer, content) :]
    finally:
        os._exit(0)


def judge(place: Place, name: str, ended: Ended) -> None:
    """The problems that any command may have, as `Place.zoo` finds them."""
    if ended.hung:
        place.outcome.add("time", f"{name}: not done in time")
    if ended.surprise:
        place.outcome.add("internal", f"{name}: {ended.surprise}")
    if ended.signal and not ended.hung:
        place.outcome.add("crash", f"{name}: signal {ended.signal}")
    if ended.ran is not None:
        watch = place.watch()
        watch.programs, watch.writes, watch.reads = (ended.watched[k] for k in ("programs", "writes", "reads"))
        place._judge(name, ended.ran, watch)
