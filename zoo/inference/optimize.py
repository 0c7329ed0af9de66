"""The inference form of a model: folded norms, reduced precision, compiled blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from zoo.interfaces.models import Model

# what users call; a model has some of these
CALLS = (
    "generate",
    "generate_layers",
    "encode",
    "decode",
    "edit",
    "layout",
    "synthesize",
    "encode_style",
    "parse",
    "features",
)


def optimize(model: Model, *, dtype: torch.dtype | None = None, compile: bool = False) -> Model:
    """The inference form: outputs equal the plain model's within 1e-5. Never train, save or convert it.

    dtype: torch.bfloat16 runs the model's calls under autocast (images differ by about 1e-2); images stay float32.
    compile: torch.compile its blocks; takes a minute at the first call, worth it for bulk generation only.
    """
    fast = model.optimized()
    if compile:
        for block in _blocks(fast):
            block.compile(dynamic=True)
    if dtype is not None and dtype != torch.float32:
        for name in CALLS:
            if hasattr(fast, name):
                setattr(fast, name, _under_autocast(getattr(fast, name), fast, dtype))
    return fast


def _blocks(model: nn.Module) -> Iterator[nn.Module]:
    """The parts of each network that are called as modules."""
    for network in model.children():
        for part in network.children():
            if isinstance(part, nn.ModuleList | nn.ModuleDict | nn.Sequential):
                yield from part.children()
            else:
                yield part


def _under_autocast(call: Callable[..., Any], model: Model, dtype: torch.dtype) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(model.device.type, dtype=dtype):
            result = call(*args, **kwargs)
        return result.float() if isinstance(result, Tensor) else result

    return wrapped
