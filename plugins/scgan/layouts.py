"""Replacing rows of a plan: what an edited batch of maps shares with the batch before it."""

from __future__ import annotations

from typing import TypeVar, cast

from torch import Tensor

from zoo_plugins.scgan.blocks import BlockPlan
from zoo_plugins.scgan.generator import Plan

T = TypeVar("T")


def splice(old: T, new: T, rows: list[int]) -> T:
    """`old` with these rows replaced by `new`, through tuples of tensors (float [B, ...]); None stays None."""
    if isinstance(old, Tensor):
        out = old.clone()
        out[rows] = cast(Tensor, new).to(out.dtype)
        return cast(T, out)
    if isinstance(old, tuple):
        parts = [splice(a, b, rows) for a, b in zip(old, cast(tuple, new), strict=True)]
        return cast(T, BlockPlan(*parts) if isinstance(old, BlockPlan) else tuple(parts))
    return old


def splice_plans(old: Plan, new: Plan, rows: list[int]) -> Plan:
    """A plan whose `rows` are those of `new`, in order, and whose other rows are those of `old`."""
    return Plan(
        splice(old.svg_image, new.svg_image, rows),
        splice(old.logits, new.logits, rows),
        splice(old.norm_logits, new.norm_logits, rows),
        splice(old.blocks, new.blocks, rows),
        splice(old.start, new.start, rows),
    )
