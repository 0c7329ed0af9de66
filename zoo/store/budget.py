"""A limit to what a network may allocate while it is built: a stranger's config must not fill the memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from zoo.errors import ConfigError

FACTORIES: frozenset[Callable[..., Any]] = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.randn, torch.rand}
)
SLACK = 1 << 25
"""Elements allowed beyond those of the file: tables and constants that a network computes instead of storing."""


class Budget(TorchFunctionMode):
    """Inside the `with` block, new tensors may hold `stored` * 2 + `SLACK` elements in all.

    stored: elements in the weights file. where: the config, for the error. Raises ConfigError instead of allocating more.
    """

    def __init__(self, stored: int, where: str) -> None:
        super().__init__()
        self._left, self._stored, self._where = 2 * stored + SLACK, stored, where

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Count what a factory is asked for before it allocates."""
        if func in FACTORIES:
            self._left -= _elements(args, kwargs or {})
            if self._left < 0:
                raise ConfigError(
                    f"{self._where} describes a network far larger than its weights file, which holds {self._stored:,} numbers:"
                    " config and weights do not belong together."
                )
        return func(*args, **(kwargs or {}))


def _elements(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    size = kwargs.get("size", args[0] if args else ())
    if isinstance(size, int):
        size = [n for n in args if isinstance(n, int)]
    return math.prod(max(int(n), 0) for n in size)
