"""What stays in memory of many things that could be made again, up to a size."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """The first things that fit into `limit` bytes stay, and of the others the latest.

    A run goes through its files in the order in which they were checked: of the latest that fit it would find none. Several threads may
    ask; what one makes, the others wait for.
    """

    def __init__(self, limit: int) -> None:
        """limit: bytes."""
        self.limit = self.room = limit
        self._kept: dict[Hashable, tuple[Any, int]] = {}
        self._latest: tuple[Hashable, Any] | None = None
        self._lock = threading.RLock()  # what is made may ask for other things that are kept

    def get(self, key: Hashable) -> Any:
        """What is kept as `key`, or None."""
        with self._lock:
            if key in self._kept:
                return self._kept[key][0]
            return self._latest[1] if self._latest is not None and self._latest[0] == key else None

    def add(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of `size` bytes."""
        with self._lock:
            if size <= self.room:
                self._kept[key] = value, size
                self.room -= size
            else:
                self._latest = key, value

    def once(self, key: Hashable, make: Callable[[], tuple[T, int]]) -> T:
        """What is kept as `key`, or what `make` gives with its size in bytes."""
        with self._lock:
            found = self.get(key)
            if found is None:
                found, size = make()
                self.add(key, found, size)
            return found

    def drop(self, key: Hashable) -> None:
        """Forget what is kept as `key`."""
        with self._lock:
            if key in self._kept:
                self.room += self._kept.pop(key)[1]
            if self._latest is not None and self._latest[0] == key:
                self._latest = None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._latest, self.room = None, self.limit
