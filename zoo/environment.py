"""What this environment is made of (the versions that decide the bytes of a run), and how a process of ours uses its memory."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from zoo.version import __version__

_TRIM, _MMAP, _ARENAS = -1, -3, -8
"""Names of `mallopt`'s parameters in glibc."""
KEPT = 1 << 30
"""Bytes up to which freed memory is used again instead of going back to the system."""


def versions() -> dict[str, str]:
    """Versions that decide numbers."""
    import numpy
    import PIL
    import torch

    return {
        "zoo": __version__,
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
        "platform": sys.platform,
    }


def memory() -> float:
    """Bytes of memory that this machine has; infinite where the system does not say."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def keep_pages() -> None:
    """Let this process use freed memory again. glibc gives large blocks back at once, and a network whose features are such blocks
    then spends up to a sixth of its time on being given empty pages again. All threads share one heap: those that glibc makes for them
    are given back when they are empty, whatever is said here. For commands; nothing where there is no glibc.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_TRIM, KEPT)
        mallopt(_ARENAS, 1)
        if not mallopt(_MMAP, KEPT):  # older ones take at most that
            mallopt(_MMAP, 1 << 25)


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside the block nobody looks for garbage: imports and models leave none, and looking takes a tenth of their time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def leave(code: int) -> NoReturn:
    """End this process as `sys.exit` does, threads and functions of `atexit` included, without what the interpreter tears down behind them.

    For processes that have worked together: what is left of torch's groups of processes can abort the interpreter there. (Seen with
    torch 2.14.1 in 4 of 12 runs of four processes on two busy cores, the group destroyed and everything written: exit code -6, and torchrun
    takes the run for failed.)
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
