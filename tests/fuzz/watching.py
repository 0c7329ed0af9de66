"""What a command does to the machine, seen by an audit hook: files it opens or changes, programs it starts, code it is led to.

Python tells the hook of every open, rename, removal and process before it happens. A hook cannot be taken away again, so there is
one for the life of the process, and `Watch` switches it on.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAMS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.startfile"}
)
CHANGES = frozenset(
    {
        "os.remove",
        "os.rename",
        "os.mkdir",
        "os.rmdir",
        "os.truncate",
        "os.chmod",
        "os.chown",
        "os.utime",
        "os.link",
        "os.symlink",
    }
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CACHE = os.path.join(os.path.realpath(tempfile.gettempdir()), "torchinductor_")
"""A folder of torch's compiler, made when that is imported, as torch's optimizers do."""
HARMLESS = ("/dev/null", "/dev/tty", "/dev/shm", "/proc/self")


@dataclass
class Watch:
    """allowed: folders that may be written; guarded: a folder that is not even read, unless None."""

    allowed: tuple[Path, ...]
    guarded: Path | None = None
    programs: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    reads: list[str] = field(default_factory=list)
    step: int = 0
    """Changes of files so far, counted."""
    stop_at: int = -1
    """At this change `fault` happens: "KILL", "TERM", "INT" (signals to this process) or "ENOSPC", "EIO", "EROFS" (it fails)."""
    fault: str = ""

    def seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """One event of Python."""
        if event in PROGRAMS:
            self.programs.append(f"{event} {str(arguments[0])[:80]}")
        elif event == "open":
            path, mode, flags = arguments
            if isinstance(path, int) or path is None:
                return
            writing = bool(flags & WRITING) if isinstance(flags, int) else any(c in str(mode) for c in "wax+")
            real = os.path.realpath(os.fsdecode(path))
            if writing:
                self._change(event, real)
            elif self.guarded is not None and real.startswith(f"{self.guarded}/"):
                self.reads.append(real)
        elif event in CHANGES:
            for path in arguments[: 2 if event in ("os.rename", "os.link") else 1]:
                if not isinstance(path, int):
                    name = os.path.abspath(os.fsdecode(path))
                    self._change(event, os.path.join(os.path.realpath(os.path.dirname(name)), os.path.basename(name)))

    def _change(self, event: str, real: str) -> None:
        if real.startswith((*HARMLESS, CACHE)):
            return
        if not any(real == str(a) or real.startswith(f"{a}/") for a in self.allowed):
            self.writes.append(f"{event} {real}")
        self.step += 1
        if self.step == self.stop_at:
            if self.fault.startswith("E"):
                raise OSError(getattr(errno, self.fault), os.strerror(getattr(errno, self.fault)), real)
            os.kill(os.getpid(), getattr(signal, f"SIG{self.fault}"))


_current: list[Watch] = []
_busy: list[bool] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if not _current or _busy or not (event == "open" or event in PROGRAMS or event in CHANGES):
        return
    _busy.append(True)  # looking at a path is no event of the command
    try:
        _current[-1].seen(event, arguments)
    finally:
        _busy.pop()


_installed: list[bool] = []


@contextmanager
def watching(watch: Watch) -> Iterator[Watch]:
    """Switch the hook on for a block."""
    if not _installed:
        sys.addaudithook(_hook)
        _installed.append(True)
    _current.append(watch)
    try:
        yield watch
    finally:
        _current.pop()
