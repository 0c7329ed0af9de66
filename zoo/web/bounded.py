"""What is kept to be used again, the oldest out: bounded in bytes and in number. For several threads."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any


class Recent:
    """The latest things that fit into `limit` bytes (and are at most `count`); the one put in last always stays."""

    def __init__(self, limit: int, count: int = 1_000_000) -> None:
        self.limit, self.count = limit, count
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def size(self) -> int:
        """Bytes of all that is kept."""
        return self._size

    def get(self, key: Hashable) -> Any:
        """What is kept as `key` (now the latest), or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None:
                return None
            self._kept.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: Any, size: int) -> None:
        """Keep a value of `size` bytes; what is older falls out until it fits."""
        with self._lock:
            self._drop(key)
            self._kept[key] = value, size
            self._size += size
            while len(self._kept) > 1 and (self._size > self.limit or len(self._kept) > self.count):
                self._drop(next(iter(self._kept)))

    def drop(self, wanted: Callable[[Any], bool]) -> None:
        """Forget the keys for which this is true."""
        with self._lock:
            for key in [k for k in self._kept if wanted(k)]:
                self._drop(key)

    def _drop(self, key: Hashable) -> None:
        if key in self._kept:
            self._size -= self._kept.pop(key)[1]


def nbytes(value: Any) -> int:
    """Bytes of the tensors and arrays in a value: in dataclasses, mappings, lists and objects, each piece of memory once."""
    seen: set[int] = set()
    return _bytes(value, seen, 12)


def _bytes(value: Any, seen: set[int], depth: int) -> int:
    if depth == 0 or value is None or isinstance(value, str | bytes | int | float | bool) or id(value) in seen:
        return 0
    seen.add(id(value))
    storage = getattr(value, "untyped_storage", None)
    if storage is not None:
        memory = storage()
        if memory.data_ptr() in seen:
            return 0
        seen.add(memory.data_ptr())
        return int(memory.nbytes())
    own = getattr(value, "nbytes", None)
    if isinstance(own, int):
        return own
    if isinstance(value, Mapping):
        parts: Any = value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        parts = value
    elif dataclasses.is_dataclass(value):
        parts = [getattr(value, f.name, None) for f in dataclasses.fields(value)]
    else:
        parts = vars(value).values() if hasattr(value, "__dict__") and not callable(value) else ()
    return sum(_bytes(part, seen, depth - 1) for part in parts)
