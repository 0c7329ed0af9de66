"""Blocks by distinct window whose pixels hold latents: the windows depend on the map alone, what the pixels hold on the style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.families.spade.window_blocks import BlockTables, WindowBlock
from zoo.inference.windows import Windows, shown_values, windows_of


@dataclass(frozen=True, eq=False)
class LatentSite:
    """One scale at which blocks read latents. values: int64 [B, h, w], equal where pixels hold the same whatever the style; where B is
    more than 1 they differ from sample to sample, for so do the latents. shown: those that occur, the symbols of `windows`."""

    values: Tensor
    shown: Tensor
    windows: Windows

    def tables(self, block: WindowBlock, contents: Sequence[Tensor]) -> BlockTables:
        """What a block reads. contents: what pixels of each of `shown` hold [symbols, channels]; several of one map's: one a style."""
        rows = {
            norm: torch.cat([layer.rows(self.windows, content) for content in contents])
            if len(contents) > 1
            else layer.rows(self.windows, contents[0])
            for norm, layer in block.norms().items()
        }
        index = self.windows.index
        if len(contents) > 1:
            steps = torch.arange(len(contents), device=index.device, dtype=index.dtype) * len(self.windows.outer)
            index = index + steps[:, None, None]
        return BlockTables(index, rows["norm_0"], rows["norm_1"], rows.get("norm_s"))


def latent_site(numbers: Tensor, count: int, kernel: int, old: LatentSite | None = None) -> LatentSite:
    """The windows of maps int64 [B, h, w] of numbers in 0..count-1: a value is sample * count + number. old: of the same model and size;
    itself where nothing differs."""
    values = numbers + count * torch.arange(len(numbers), device=numbers.device)[:, None, None]
    if old is not None and torch.equal(old.values, values):
        return old
    shown, symbols = shown_values(values)
    return LatentSite(values, shown, windows_of(symbols, len(shown), kernel))
