"""The inference form of SEAN (docs/papers/sean.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from zoo.families.spade.folded import WORTH, pack_blocks
from zoo.inference.columns import LabelConv
from zoo.inference.packed import pack
from zoo.nn.spectral import fold_spectral
from zoo_plugins.sean.folded import FoldedNorm
from zoo_plugins.sean.generator import Generator
from zoo_plugins.sean.window_blocks import SEANWindowBlock

if TYPE_CHECKING:
    from zoo_plugins.sean.model import SEAN


def worth_windows(generator: Generator) -> bool:
    """Whether the map's part goes by distinct window: as in SPADE, not in narrow generators."""
    products = 0
    for block, step in generator.blocks():
        height, width = generator.size(step.scale)
        spades = [norm.spade for norm in block.noisy_norms().values()]
        products += height * width * sum(s.mlp_gamma.weight.numel() + s.mlp_beta.weight.numel() for s in spades)
    return products >= WORTH


@torch.no_grad()
def fold_model(model: SEAN) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    windowed = worth_windows(model.generator)
    fold_spectral(model)
    if windowed:
        fold_windows(model.generator)
        return
    for block, _ in model.generator.blocks():
        for name, norm in block.noisy_norms().items():
            setattr(block, name, FoldedNorm(norm, windowed=False))
    pack_blocks(model.generator)
    model.generator.conv_img = pack(model.generator.conv_img)  # type: ignore[assignment]


@torch.no_grad()
def fold_windows(generator: Generator) -> None:
    """Put the blocks by distinct window in place of a generator's own (spectral norms folded before)."""
    scale = 0
    for block, step in generator.blocks():
        setattr(generator, step.name, SEANWindowBlock(block, doubles=step.scale > scale))
        scale = step.scale
    generator.fc = LabelConv(cast(nn.Conv2d, generator.fc))
    generator.conv_img = pack(generator.conv_img)  # type: ignore[assignment]
    generator.windowed = True
