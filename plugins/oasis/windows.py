"""OASIS by distinct window: the windows depend on the map alone, what their pixels hold on the noise too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.window_blocks import BlockTables
from zoo.families.spade.window_latents import LatentSite, latent_site
from zoo.families.spade.window_plans import norms_by_scale
from zoo_plugins.oasis.noise import NoisyMap

if TYPE_CHECKING:
    from zoo_plugins.oasis.generator import Generator


@dataclass(frozen=True, eq=False)
class Sites:
    """The windows of maps at each scale, by doublings of the start grid; grid: the numbers of the start grid's pixels, int64 [M, h, w].
    count: how many numbers there are."""

    by_scale: dict[int, LatentSite]
    grid: Tensor
    count: int

    def tables(self, generator: Generator, noisy: NoisyMap) -> Iterator[BlockTables]:
        """What each block reads, in order; made when asked for."""
        content = noisy.content.to(generator.conv_img.weight.dtype)
        for block, step in generator.blocks():
            site = self.by_scale[step.scale]
            yield site.tables(block, _contents(site.shown, len(self.grid), content))

    def start(self, generator: Generator, noisy: NoisyMap) -> Tensor:
        """The first features [B, channels, *grid]."""
        content = noisy.content.to(generator.conv_img.weight.dtype)
        values = self.grid + self.count * torch.arange(len(self.grid), device=self.grid.device)[:, None, None]
        rows = content.flatten(0, 1)[None] if len(values) > 1 else content
        return torch.cat([generator.fc(values, lambda chosen, row=row: row[chosen]) for row in rows])


def _contents(shown: Tensor, maps: int, content: Tensor) -> list[Tensor]:
    """What pixels of these values (sample * K + number) hold; of one map one for each style [B, K, channels]."""
    if maps > 1:
        return [content.flatten(0, 1)[shown]]
    return [row[shown] for row in content]


def noise_sites(generator: Generator, numbers: Tensor, count: int, old: Sites | None = None) -> Sites:
    """The windows of maps int64 [M, H, W] of numbers in 0..count-1. old: of the same model, whose scales serve where nothing differs;
    itself where nothing does at all."""
    usable = old if old is not None and old.count == count else None
    made = {
        scale: latent_site(
            resize_numbers(numbers, generator.size(scale)),
            count,
            next(iter(norms.values())).kernel,
            None if usable is None else usable.by_scale[scale],
        )
        for scale, norms in norms_by_scale(generator).items()
    }
    grid = resize_numbers(numbers, generator.grid)
    same = usable is not None and all(site is usable.by_scale[scale] for scale, site in made.items())
    return usable if same and usable is not None and torch.equal(usable.grid, grid) else Sites(made, grid, count)
