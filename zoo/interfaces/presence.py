"""The classes that a generator draws, as rows over its channels: from label sets, and back to them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.errors import LabelError
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import LayeredMap, SemanticMap

if TYPE_CHECKING:
    from zoo.interfaces.capabilities import Conditions


def drawn_values(space: LabelSpace, channels: Sequence[str], model: str) -> list[int]:
    """The label values of a generator's channels. Raises LabelError if the space has no background, which the model derives, lacks a
    channel, or has it among them; `model` is the name in the message."""
    if space.background_index is None:
        raise LabelError(f"{model} needs a label space with a background, and {space.name!r} has none.")
    values = [space.index(name) for name in channels]
    if space.background_index in values:
        raise LabelError(f"{model} derives the background; take {space.background!r} out of the config's channels.")
    return values


def presence(conditions: Conditions, space: LabelSpace, channels: Sequence[str], model: str) -> Tensor:
    """Label sets -> bool [B, C] over `channels`; the background may be named and changes nothing.

    Raises LabelError for classes that are neither channels nor the background; `model` is the name in the message.
    """
    values = [space.index(n) for n in channels]
    sets = [{space.index(name): name for name in s} for s in conditions]
    allowed = {*values, space.background_index}
    unknown = sorted({name for s in sets for value, name in s.items() if value not in allowed})
    if unknown:
        raise LabelError(f"{model} does not draw {', '.join(unknown)}; its parts are {', '.join(channels)}.")
    return torch.tensor([[v in s for v in values] for s in sets], dtype=torch.bool).view(len(sets), len(values))


def label_sets(present: Tensor, space: LabelSpace, channels: Sequence[str]) -> list[LabelSet]:
    """bool [B, C] over `channels` -> label sets in the order of the space (possibly of no class at all: an empty map)."""
    values = [space.index(n) for n in channels]
    rows = [sorted(v for v, p in zip(values, row, strict=True) if p) for row in present.tolist()]
    return [LabelSet(space, tuple(space.names[v] for v in row)) for row in rows]


def check_space(given: SemanticMap | LayeredMap, space: LabelSpace) -> None:
    """Raises LabelError if a map speaks another label space than the model."""
    if given.space.names != space.names:
        raise LabelError(
            f"The map is in label space {given.space.name!r}, the model in {space.name!r}: use map.to_space()."
        )
