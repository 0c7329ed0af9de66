"""Blocks by distinct window whose pixels hold latents: the windows depend on the map alone, what the pixels hold on the style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zoo.families.spade.window_blocks import BlockTables, WindowBlock
from zoo.families.spade.window_plans import AFRESH
from zoo.inference.windows import Touched, Windows, merged, shown_values, touched, windows_at, windows_of

SMALL = 4096
"""Pixels up to which numbering all windows anew is as cheap as finding those that a change touches."""


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
    if old is not None and old.values.shape == values.shape and values.numel() > SMALL:
        changed = old.values != values
        seen = touched(changed, kernel)
        if len(seen.places) <= AFRESH * values.numel():
            return _amended(old, values, seen, kernel)
    shown, symbols = shown_values(values)
    return LatentSite(values, shown, windows_of(symbols, len(shown), kernel))


def _amended(old: LatentSite, values: Tensor, seen: Touched, kernel: int) -> LatentSite:
    """`old` with new windows for the pixels that see a change. What no pixel shows any more stays among `shown`."""
    part = seen.of(values).contiguous()
    added = torch.tensor(
        sorted(set(part.unique().tolist()) - set(old.shown.tolist())), dtype=values.dtype, device=values.device
    )
    shown = torch.cat([old.shown, added])
    ordered, places = shown.sort()
    numbers = places[torch.searchsorted(ordered, part)]
    before = old.windows
    # the number that stands for the outside is one more than the last symbol
    inner = torch.where(before.inner == before.symbols, len(shown), before.inner).int()
    before = Windows(inner, before.outer, before.index, len(shown))
    windows = merged(before, windows_at(numbers, len(shown), kernel, seen.places), seen)
    return LatentSite(values, shown, windows)
