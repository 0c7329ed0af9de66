"""CLVAE by distinct window: the windows depend on the map alone, what their classes hold at a layer on the style."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from zoo.families.spade.blocks import resize_numbers
from zoo.families.spade.window_blocks import BlockTables
from zoo.families.spade.window_latents import LatentSite, latent_site
from zoo.families.spade.window_plans import Site, make_site, norms_by_scale

if TYPE_CHECKING:
    from zoo_plugins.clvae.generator import Generator


def contents(site: LatentSite, embedding: Tensor, codes: Tensor) -> list[Tensor]:
    """What the pixels of a site hold: a class's embedding [C, N] and its latent [B, C, N], of any number of samples where the map is one."""
    samples, channels = site.shown // len(embedding), site.shown % len(embedding)
    known = embedding[channels]
    if len(site.values) > 1:
        return [known + codes[samples, channels]]
    return [known + style[channels] for style in codes]


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
                site, chosen = self.latent[step.scale], codes[:, :, layer].to(embedding.dtype)
                yield site.tables(block, contents(site, embedding, chosen))


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
        latent[scale] = latent_site(resize_numbers(small, generator.size(scale)), generator.channels, kernel, before)
    parts = [*sites.values(), *latent.values()]
    if old is not None and all(p is q for p, q in zip(parts, [*old.sites.values(), *old.latent.values()], strict=True)):
        return old
    return WindowPlans(sites, latent)


def _channels(values: Tensor) -> Tensor:
    return values
