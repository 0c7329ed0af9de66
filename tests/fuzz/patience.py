"""When a process counts as hanging on a machine that others use too: by the processor time that it had, not by the clock alone."""

from __future__ import annotations

import os
import time
from pathlib import Path


def processor_seconds(pid: int) -> float:
    """What a process and its ended children have used; 0 once it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


class Patience:
    """limit: seconds of processor time; beyond as many by the clock the process must at least go on using some within `still` seconds."""

    def __init__(self, pid: int, limit: float, still: float = 60) -> None:
        self.pid, self.limit, self.still = pid, limit, still
        self.begun = self.moved = time.monotonic()
        self.first = self.last = processor_seconds(pid)

    def over(self) -> bool:
        """Ask it every second or so."""
        now, used = time.monotonic(), processor_seconds(self.pid)
        if used > self.last + 0.02:
            self.last, self.moved = used, now
        late = now - self.begun > self.limit
        return (
            used - self.first > self.limit
            or (late and now - self.moved > self.still)
            or now - self.begun > 15 * self.limit
        )
