"""Plans: what a generator derives from the map alone, as nested tuples, dicts and dataclasses of tensors [B, ...]."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

T = TypeVar("T")


def map_plan(function: Callable[..., Tensor], first: T, *others: T) -> T:
    """A plan like `first` with function(tensor, *the same of the others) at every tensor; anything else stays as it is."""
    if isinstance(first, Tensor):
        return cast(T, function(first, *others))
    if isinstance(first, tuple):
        parts = [map_plan(function, *p) for p in zip(first, *cast("tuple[tuple, ...]", others), strict=True)]
        return cast(T, type(first)(*parts) if hasattr(first, "_fields") else tuple(parts))
    if isinstance(first, dict):
        return cast(T, {k: map_plan(function, v, *(cast(dict, o)[k] for o in others)) for k, v in first.items()})
    if dataclasses.is_dataclass(first) and not isinstance(first, type):
        values: dict[str, Any] = {
            f.name: map_plan(function, getattr(first, f.name), *(getattr(o, f.name) for o in others))
            for f in dataclasses.fields(first)
        }
        return cast(T, dataclasses.replace(first, **values))
    return first


def splice(old: T, new: T, rows: list[int]) -> T:
    """`old` with these rows replaced by those of `new`, in order."""

    def replaced(before: Tensor, after: Tensor) -> Tensor:
        out = before.clone()
        out[rows] = after.to(out.dtype)
        return out

    return map_plan(replaced, old, new)


def climb(x: Tensor, blocks: Iterable[tuple[nn.Module, int]], plans: Iterable[Any]) -> Tensor:
    """Features x [B, C, h, w] through residual blocks, each with its plan; a block's number says how often x was doubled before it.

    Plans from a generator are made one by one, each when its block is next. A block with `doubles` doubles x itself.
    """
    scale = 0
    for (block, at), plan in zip(blocks, plans, strict=True):
        if at > scale:
            x = x if getattr(block, "doubles", False) else F.interpolate(x, scale_factor=2.0, mode="nearest")
            scale = at
        x = block(x, plan)
    return x


def first_features(fc: nn.Module, z: Tensor | None, grid: tuple[int, int], like: Tensor) -> Tensor:
    """Latents [B, z] through the linear layer `fc` as features [B, C, *grid], in dtype and memory format of the weight `like`."""
    if z is None:
        raise ValueError("This generator needs a latent z [B, z_dim].")
    x = rearrange(fc(z.to(like.dtype)), "b (c h w) -> b c h w", h=grid[0], w=grid[1])
    return (
        x.contiguous(memory_format=torch.channels_last) if like.is_contiguous(memory_format=torch.channels_last) else x
    )
