"""Edits of part codes: what each kind of edit does to z and to which parts are present."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import Add, Edit, Interpolate, Perturb, Redraw, Remove, RngLike, UsageError

if TYPE_CHECKING:
    from zoo_plugins.mask_vae.model import SemanticVAE


def apply_edits(
    model: SemanticVAE, z: Tensor, present: Tensor, edits: Sequence[Edit], rng: RngLike
) -> tuple[Tensor, Tensor]:
    """Codes z [B, P, E] and present parts bool [B, P] after all edits, in their order.

    The n-th edit of a kind on the same parts has random numbers of its own, whatever other edits stand around it.
    """
    seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for edit in edits:
        indices = [_part(model, name) for name in edit.classes]
        names = tuple(model.channels[i] for i in indices)
        kind = type(edit).__name__.lower()
        source = rng.within(kind, *names, seen[kind, names])
        seen[kind, names] += 1
        named = torch.zeros(len(model.channels), dtype=torch.bool)
        named[indices] = True
        if isinstance(edit, Redraw | Perturb) and not bool((present & named).any()):
            raise UsageError(
                f"Nothing to {kind}: no map shows {' or '.join(names)}. To put a part there use add:{','.join(names)}."
            )
        z, present = _apply(model, edit, z, present, named, source)
    return z, present


def _part(model: SemanticVAE, name: str) -> int:
    value = model.label_space.index(name)
    values = model.values[1:].tolist()
    if value not in values:
        raise UsageError(f"{name!r} is no part that mask-vae edits; its parts are {', '.join(model.channels)}.")
    return values.index(value)


def _apply(
    model: SemanticVAE, edit: Edit, z: Tensor, present: Tensor, named: Tensor, rng: RngLike
) -> tuple[Tensor, Tensor]:
    """One edit; `named` is bool [P]. Samples without a named part are left alone, those that have an added one too."""
    match edit:
        case Add():
            wanted = named & ~present
            return model.draw_codes(rng, z, wanted, present), present | named
        case Redraw():
            wanted = named & present
            return model.draw_codes(rng, z, wanted, present & ~named), present
        case Perturb():
            noise = torch.stack([rng.normal("z", name, shape=(z.shape[2],)) for name in model.channels], dim=1)
            return torch.where((named & present)[..., None], z + edit.strength * noise, z), present
        case Remove():
            return torch.where(named[:, None], model.empty_code(), z), present & ~named
        case Interpolate():
            return _interpolate(model, edit, z, present, named)
    raise UsageError(f"mask-vae has no edit {type(edit).__name__}; it knows {', '.join(sorted(model.edits))}.")


def _interpolate(
    model: SemanticVAE, edit: Interpolate, z: Tensor, present: Tensor, named: Tensor
) -> tuple[Tensor, Tensor]:
    """Paper eq. 4: m = t * other + (1 - t) * own. A part stays possible while either side has weight on it."""
    if not 0 <= edit.t <= 1:
        raise UsageError(f"interpolate needs t between 0 (keep) and 1 (swap), got {edit.t}.")
    other = edit.other if edit.other.space.names == model.label_space.names else edit.other.to_space(model.label_space)
    if len(other) not in (1, len(z)):
        raise UsageError(f"interpolate needs 1 other map or {len(z)}, got {len(other)}.")
    theirs = model.encode(other)["z"].expand_as(z)
    shown = other.present().cpu()[:, model.values[1:].cpu()].expand_as(present)
    mixed = torch.where(named[:, None], edit.t * theirs + (1 - edit.t) * z, z)
    either = (present & (edit.t < 1)) | (shown & (edit.t > 0))
    return mixed, torch.where(named, either, present)
