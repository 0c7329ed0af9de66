"""CLVAE by distinct window: the windows depend on the map alone, what their classes hold at a layer on the style."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.window_blocks import BlockTables, WindowBlock
from zoo.families.spade.window_plans import AFRESH, Site, make_site, norms_by_scale
from zoo.inference.windows import Touched, Windows, merged, shown_values, touched, windows_at, windows_of

if TYPE_CHECKING:
    from zoo_plugins.clvae.generator import Generator


SMALL = 4096
"""Pixels up to which numbering all windows anew is as cheap as finding those that a change touches."""


@dataclass(frozen=True, eq=False)
class LatentSite:
    """One scale at which the blocks read latents. values: int64 [B, h, w], sample * channels + channel, for a class's latents differ from
    sample to sample. shown: those that occur, the symbols of `windows`."""

    values: Tensor
    shown: Tensor
    windows: Windows

    def tables(self, name: str, block: WindowBlock, embedding: Tensor, codes: Tensor) -> BlockTables:
        """What a block reads. embedding: [C, N]; codes: [B, C, N], of any number of samples where the map is one."""
        samples, channels = self.shown // len(embedding), self.shown % len(embedding)
        known = embedding[channels]
        if len(self.values) > 1:
            contents = [known + codes[samples, channels]]
        else:
            contents = [known + style[channels] for style in codes]
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


@dataclass(frozen=True, eq=False)
class WindowPlans:
    """All that depends on the map alone: rows and windows of the blocks that read it themselves, windows of the others, by scale."""

    sites: dict[int, Site]
    latent: dict[int, LatentSite]

    def tables(self, generator: Generator, codes: Tensor) -> Iterator[BlockTables]:
        """What each block reads, in order; codes [B, C, L, N]. What depends on the style is made when asked for."""
        embedding = generator.cse.embedding.weight if self.latent else None
        for block, step in generator.blocks():
            if embedding is None or step.scale not in self.latent:
                yield self.sites[step.scale].block(step.name)
            else:
                layer = generator.layer_of(generator.level(step))
                chosen = codes[:, :, layer].to(embedding.dtype)
                yield self.latent[step.scale].tables(step.name, block, embedding, chosen)


def plan_by_window(generator: Generator, channels: Tensor, old: WindowPlans | None = None) -> WindowPlans:
    """The plan of maps int64 [B, H, W]. old: that of other maps of the same size, whose parts serve where nothing differs."""
    sites: dict[int, Site] = {}
    latent: dict[int, LatentSite] = {}
    levels = {step.scale: generator.level(step) for step in generator.steps}
    height, width = channels.shape[1:]
    for scale, norms in norms_by_scale(generator).items():
        if not (level := levels[scale]):
            values = resize_numbers(channels, generator.size(scale))
            sites[scale] = make_site(values, norms, _channels, None if old is None else old.sites.get(scale))
            continue
        # in two steps, as the authors' code: to the level's size, then to the block's
        small = resize_numbers(channels, (max(1, height >> level), max(1, width >> level)))
        kernel = next(iter(norms.values())).kernel
        before = None if old is None else old.latent.get(scale)
        latent[scale] = _latent_site(resize_numbers(small, generator.size(scale)), generator.channels, kernel, before)
    parts = [*sites.values(), *latent.values()]
    if old is not None and all(p is q for p, q in zip(parts, [*old.sites.values(), *old.latent.values()], strict=True)):
        return old
    return WindowPlans(sites, latent)


def _channels(values: Tensor) -> Tensor:
    return values


def _latent_site(channels: Tensor, count: int, kernel: int, old: LatentSite | None) -> LatentSite:
    values = channels + count * torch.arange(len(channels), device=channels.device)[:, None, None]
    if old is not None and torch.equal(old.values, values):
        return old
    if old is not None and old.values.shape == values.shape and values.numel() > SMALL:
        changed = old.values != values
        seen = touched(changed, kernel)
        if len(seen.places) <= AFRESH * values.numel():
            return _amended(old, values, seen, kernel)
    shown, numbers = shown_values(values)
    return LatentSite(values, shown, windows_of(numbers, len(shown), kernel))


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
