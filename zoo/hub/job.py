"""One pull of a repository: what to fetch and until when."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.hub.references import Remote, endpoint


@dataclass(frozen=True)
class Job:
    """What to fetch: a repository, the digests that count (the card's), and the name to tell it by."""

    remote: Remote
    model: str
    pins: Mapping[str, str]
    deadline: float
    """As `time.monotonic()` counts."""
    seconds: float
    """How long the deadline was from the start."""

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def where(self) -> str:
        """For messages."""
        return f"{endpoint()}/{self.remote.repo}"
