"""What data sets have read, kept from one training to the next."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_KEPT: ContextVar[dict[Hashable, dict[str, Any]] | None] = ContextVar("kept_reads", default=None)


@contextmanager
def keeping_reads() -> Iterator[None]:
    """Within this, pairs that were read stay for the next `PairData` on them (`kept_reads`): many trainings on one data set, in turn.

    The files must not change meanwhile.
    """
    token = _KEPT.set({})
    try:
        yield
    finally:
        _KEPT.reset(token)


def kept_reads(*key: Hashable) -> dict[str, Any]:
    """The memory of a `PairData`, as its arguments; {} outside `keeping_reads`. key: everything that decides what number i of it reads."""
    kept = _KEPT.get()
    return {} if kept is None else kept.setdefault(key, {"_cache": {}, "_layers": {}, "_instances": {}})
