"""Times and memory of calls in this process, one beside the other.

Times are CPU seconds of this thread, so that a busy machine counts less; where several threads work they are those of the wall clock,
which say something on a quiet machine alone. The calls take turns, and ratios are taken turn by turn: what slows one of them slows its
neighbours too.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Calls = Mapping[str, Callable[[], object]]


def times(calls: Calls, rounds: int, *, threads: int = 1) -> dict[str, list[float]]:
    """Seconds of every call in every round; each is called once before. The order turns around from round to round."""
    clock = time.thread_time if threads == 1 else time.perf_counter
    for call in calls.values():
        call()
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            began = clock()
            calls[name]()
            taken[name].append(clock() - began)
    return taken


def ratio(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float]:
    """How often the time of `fast` goes into that of `slow`, round by round: median and quartiles."""
    values = [a / max(b, 1e-9) for a, b in zip(slow, fast, strict=True)]
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else values * 3
    return {"median": middle, "low": low, "high": high}


def added(call: Callable[[], object]) -> float | None:
    """MiB by which the process grows at most during a call; None where the system does not tell (only Linux does)."""
    try:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        before = _status("VmRSS")
        call()
        return max(0.0, _status("VmHWM") - before)
    except (OSError, AttributeError):
        return None


def _status(key: str) -> float:
    text = Path("/proc/self/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(key)).split()[1]) / 1024


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    import os
    import platform

    import torch

    import zoo

    words = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").is_file() else ""
    name = next((line.split(":", 1)[1].strip() for line in words.splitlines() if line.startswith("model name")), "")
    return {
        "processor": name or platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": os.cpu_count(),
        "load": [round(x, 1) for x in os.getloadavg()],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "zoo": zoo.__version__,
        "date": time.strftime("%Y-%m-%d"),
    }
