"""Networks that are built only to be loaded: first weights, which the file replaces at once, are neither drawn nor iterated on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from torch import Tensor, nn

DRAWS: frozenset[Any] = frozenset(
    {
        *(Tensor.normal_, Tensor.uniform_, Tensor.exponential_, Tensor.cauchy_, Tensor.log_normal_),
        *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.trunc_normal_),
    }
)
"""What fills a tensor with random numbers in place, as a `TorchFunctionMode` meets it."""

_UNDRAWN: ContextVar[bool] = ContextVar("undrawn", default=False)


@contextmanager
def undrawn() -> Iterator[None]:
    """Inside the block parameters that would be drawn are zeros; every parameter and buffer must be loaded afterwards.

    The mode of `zoo.store.budget` asks `undrawn_by` for each call; layers that compute something costly of a drawn weight ask
    `will_be_loaded`.
    """
    token = _UNDRAWN.set(True)
    try:
        yield
    finally:
        _UNDRAWN.reset(token)


def will_be_loaded() -> bool:
    """Whether the network that is being built is loaded from a file as soon as it is there."""
    return _UNDRAWN.get()


def undrawn_by(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The parameter (or the part of one) that a call would draw although all of it will be loaded; None for all other calls:
    buffers and plain tensors are drawn as ever."""
    if func not in DRAWS or not _UNDRAWN.get():
        return None
    tensor = args[0] if args else kwargs.get("tensor")  # the functions of nn.init pass it by name
    if isinstance(tensor, nn.Parameter) or isinstance(getattr(tensor, "_base", None), nn.Parameter):
        return tensor
    return None
