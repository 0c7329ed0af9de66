"""The inference form of CLVAE (docs/papers/clvae.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.families.spade.folded import fold_family
from zoo.inference.packed import pack

if TYPE_CHECKING:
    from zoo_plugins.clvae.model import CLVAE


def fold_model(model: CLVAE) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    fold_family(model, model.generator)
    if not model.generator.windowed:
        model.generator.fc = pack(model.generator.fc)
        model.generator.by_table = True
