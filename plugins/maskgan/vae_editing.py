"""Edits of a whole map's code: what each kind of edit does to z, and which classes get no pixel any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import Edit, Interpolate, Perturb, Remove, RngLike, SemanticMap, UsageError

if TYPE_CHECKING:
    from zoo_plugins.maskgan.vae_model import MaskVAE

FARTHEST = 1.0
"""How far an interpolation may go beyond one of both maps, in their distances."""


def apply_edits(
    model: MaskVAE, z: Tensor, semantic_map: SemanticMap, edits: Sequence[Edit], rng: RngLike
) -> tuple[Tensor, Tensor]:
    """(codes z [B, L] after all edits in their order; classes that were removed, bool [C] over the model's channels).

    The n-th perturbation of the same parts has random numbers of its own, whatever other edits stand around it.
    """
    shown = model.shown(semantic_map)
    removed = torch.zeros(len(model.channels), dtype=torch.bool)
    seen: Counter[tuple[str, ...]] = Counter()
    for edit in edits:
        indices = [_channel(model, name) for name in edit.classes]
        names = tuple(model.channels[i] for i in indices)
        match edit:
            case Remove():
                removed[indices] = True
            case Perturb():
                if not bool(shown[:, indices].any()):
                    raise UsageError(f"Nothing to perturb: no map shows {' or '.join(names)}.")
                noise = rng.within("perturb", *names, seen[names]).normal("z", shape=(z.shape[1],))
                seen[names] += 1
                acts = shown[:, indices].any(1, keepdim=True)
                z = torch.where(acts, z + edit.strength * noise, z)
            case Interpolate():
                z = mixed(z, other_code(model, edit, len(z)), edit.t)
                removed[indices] = False
            case _:
                kind = type(edit).__name__.lower()
                raise UsageError(
                    f"MaskVAE has no edit {kind!r}: its code is of the whole map (it has: {', '.join(sorted(model.edits))})."
                )
    return z, removed


def mixed(z: Tensor, other: Tensor, t: float) -> Tensor:
    """z + t (other - z): 0 keeps the map, 1 is the other one; the paper's two edited maps are t = 1 / 2.5 and t = -1 / 4."""
    return z + (other - z) * t


def other_code(model: MaskVAE, edit: Interpolate, count: int) -> Tensor:
    """The mean code of an interpolation's other map. Raises UsageError for a t out of range and another count of maps."""
    if not -FARTHEST <= edit.t <= 1 + FARTHEST:
        raise UsageError(f"interpolate needs t between 0 (keep) and 1 (swap), or up to 1 beyond, got {edit.t}.")
    other = edit.other if edit.other.space.names == model.label_space.names else edit.other.to_space(model.label_space)
    if len(other) not in (1, count):
        raise UsageError(f"interpolate needs 1 other map or {count}, got {len(other)}.")
    return model.encode(other)["z"]


def _channel(model: MaskVAE, name: str) -> int:
    value = model.label_space.index(name)
    if value == model.label_space.background_index:
        raise UsageError(f"{name!r} is no part: MaskVAE edits {', '.join(n for n in model.channels if n != name)}.")
    return model.values.tolist().index(value)
