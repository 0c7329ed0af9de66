"""Layouts of generators with a plan: what the map alone gives is kept from one call to the next where the maps are equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import Tensor

from zoo.errors import UsageError
from zoo.families.spade.plans import splice
from zoo.interfaces.models import Layout
from zoo.maps import SemanticMap

P = TypeVar("P")


@dataclass(eq=False)
class PlanLayout(Layout):
    """The map (at the model's resolution) and what the generator derives from it alone; `notes`: what was made up for it.

    plan: tensors [B, ...] in nested tuples, dicts and dataclasses.
    """

    semantic_map: SemanticMap
    plan: Any
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.semantic_map)


def plan_with(
    reuse: PlanLayout | None, small: SemanticMap, make: Callable[[list[int]], P], *, edges: bool = False
) -> P:
    """The plan of the maps `small`; rows whose maps equal those of `reuse` are taken from it, so it equals a fresh plan.

    make: the plan of these rows of `small`. reuse: a layout of the same model (None: nothing to keep); where all rows are equal its own plan
    is returned, the same object. edges: the network also sees borders of instances, so their numbers have to be equal too.
    """
    rows = list(range(len(small)))
    if reuse is None or not _comparable(reuse.semantic_map, small, edges):
        return make(rows)
    same = (reuse.semantic_map.labels.to(small.labels.device) == small.labels).flatten(1).all(1)
    rows = [i for i, s in enumerate(same.tolist()) if not s]
    if not rows:
        return reuse.plan
    part = make(rows)
    return part if len(rows) == len(small) else splice(reuse.plan, part, rows)


def _comparable(old: SemanticMap, new: SemanticMap, edges: bool) -> bool:
    """Whether equal labels in two batches mean equal inputs."""
    if len(old) != len(new) or old.space.names != new.space.names:
        return False
    return not edges or (old.instances is None and new.instances is None)


def check_photos(image: Tensor, semantic_map: SemanticMap) -> None:
    """Raise UsageError unless photos [B, 3, H, W] and the maps that a style is read with are as many and as large."""
    if len(image) != len(semantic_map) or tuple(image.shape[-2:]) != semantic_map.size:
        raise UsageError(
            f"A style is read from photos and their maps: got {len(image)} photos of {image.shape[-1]} x {image.shape[-2]}"
            f" pixels and {len(semantic_map)} maps of {semantic_map.size[1]} x {semantic_map.size[0]}."
        )
