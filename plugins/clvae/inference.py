"""The inference form of CLVAE (docs/papers/clvae.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.families.spade.folded import fold_spade, pack_blocks
from zoo.inference.packed import pack
from zoo.nn.spectral import fold_spectral

if TYPE_CHECKING:
    from zoo_plugins.clvae.model import CLVAE


def fold_model(model: CLVAE) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    fold_spectral(model)
    fold_spade(model.generator)
    pack_blocks(model.generator)
    model.generator.fc = pack(model.generator.fc)  # type: ignore[assignment]
    model.generator.by_table = True
