"""The inference form of a model: folded norms, reduced precision, compiled blocks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from zoo.errors import UsageError, ZooError, shown
from zoo.interfaces.models import Model
from zoo.style import Style

RECOMPILATIONS = 1024

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
    "encode_content",
    "render",
    "translate",
)


def optimize(model: Model, *, dtype: torch.dtype | None = None, compile: bool = False, in_place: bool = False) -> Model:
    """The inference form: outputs equal the plain model's within 1e-5. Never train, save or convert it.

    dtype: torch.bfloat16 runs the model's calls under autocast (images differ by about 1e-2); images stay float32.
    compile: torch.compile its blocks; takes a minute at the first call, worth it for bulk generation only. What cannot be compiled
    raises UsageError at the call.
    in_place: the model itself may become the form, because nobody else has it: no copy is made, in half the time and memory.
    """
    copied = not in_place or type(model).optimized is not Model.optimized
    fast = model.optimized() if copied else model.optimized_in_place()
    if compile:
        _allow_recompiling()
        _leave_uncompiled(fast)
        for block in _blocks(fast):
            block.compile(dynamic=True)
        _wrap(fast, _telling)
    if dtype is not None and dtype != torch.float32:
        _wrap(fast, lambda call: _under_autocast(call, fast, dtype))
    return fast


def _allow_recompiling() -> None:
    """Blocks of one class share a compiled function with a variant for each size of their weights. Past eight of them torch would go on
    with the plain form; here it may make one for each block of the largest model, and fails past that."""
    import torch._dynamo

    settings: Any = torch._dynamo.config
    settings.recompile_limit = max(settings.recompile_limit, RECOMPILATIONS)
    settings.accumulated_recompile_limit = max(settings.accumulated_recompile_limit, RECOMPILATIONS)
    settings.fail_on_recompile_limit_hit = True


def _leave_uncompiled(model: nn.Module) -> None:
    """Let the compiler pass by the modules whose class says `uncompiled = True`. Here and not by a decorator in the class, which would
    import the compiler (over a second) wherever such a class is imported."""
    for module in model.modules():
        if getattr(module, "uncompiled", False):
            module.forward = torch.compiler.disable(module.forward)


def _wrap(model: Model, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    for name in CALLS:
        if hasattr(model, name):
            setattr(model, name, wrapper(getattr(model, name)))


def _telling(call: Callable[..., Any]) -> Callable[..., Any]:
    """What the compiler says becomes one line; nothing falls back to the plain form."""

    @functools.wraps(call)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(*args, **kwargs)
        except ZooError:
            raise
        except Exception as error:
            if not any(part in type(error).__module__ for part in ("torch._dynamo", "torch._inductor")):
                raise
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise UsageError(
                f"<<compile>> failed ({type(error).__name__}: {shown(lines[0] if lines else 'no reason', 200)}): leave <<compile>> out."
            ) from error

    return wrapped


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
        return _float32(result)

    return wrapped


def _float32(value: Any) -> Any:
    """Pictures, codes and styles leave a model in float32 whatever it computes in."""
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, Style):
        return dataclasses.replace(value, tensors=_float32(value.tensors))
    return {key: _float32(inner) for key, inner in value.items()} if isinstance(value, Mapping) else value
