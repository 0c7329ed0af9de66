"""A limit to what a network may allocate while it is built: a stranger's config must not fill the memory, nor take minutes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from zoo.errors import ConfigError
from zoo.files.headers import read_header
from zoo.nn.drawn import undrawn_by

FACTORIES: frozenset[Callable[..., Any]] = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.randn, torch.rand}
)
SLACK = 1 << 25
"""Elements allowed beyond those of the file: tables and constants that a network computes instead of storing."""
CALLS, MORE_CALLS = 100, 20_000
"""Calls of torch while a network is built: for each tensor of the file, and beyond (tens of microseconds each)."""


class Budget(TorchFunctionMode):
    """Inside the `with` block, new tensors may hold twice the elements of the weights files and `SLACK`, in a bounded number of calls.

    files: all weights from which the network will be loaded; their headers are read. where: the config, for the error. Raises
    WeightsError for a file without a readable header, so that no network is built for it; in the block, ConfigError instead of
    allocating more.
    """

    def __init__(self, files: Iterable[Path], where: str) -> None:
        super().__init__()
        tensors = [stored for path in files for stored in read_header(path).values()]
        self._stored, self._where = sum(t.numel for t in tensors), where
        self._left = 2 * self._stored + SLACK
        self._calls = CALLS * len(tensors) + MORE_CALLS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what is asked for before it is done."""
        self._calls -= 1
        if func in FACTORIES:
            self._left -= _elements(args, kwargs or {})
        if self._left < 0 or self._calls < 0:
            raise ConfigError(
                f"{self._where} describes a network far larger than its weights file, which holds {self._stored:,} numbers:"
                " config and weights do not belong together."
            )
        parameter = undrawn_by(func, args, kwargs or {})
        if parameter is not None:
            with torch.no_grad():
                return parameter.zero_()
        return func(*args, **(kwargs or {}))


def _elements(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    size = kwargs.get("size", args[0] if args else ())
    if isinstance(size, int):
        size = [n for n in args if isinstance(n, int)]
    return math.prod(max(int(n), 0) for n in size)
