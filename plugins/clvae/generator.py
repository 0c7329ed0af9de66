"""The generator: SPADE blocks that read class-wise latents through CSE blocks (paper section 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from einops import rearrange
from torch import Tensor, nn

from zoo.families.spade.blocks import BlockAffine, SPADEResnetBlock, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo.families.spade.window_blocks import BlockTables
from zoo.nn.labels import one_hot
from zoo_plugins.clvae.config import CLVAEConfig
from zoo_plugins.clvae.regions import Regions, resize_numbers
from zoo_plugins.clvae.windows import WindowPlans, plan_by_window


class CSE(nn.Module):
    """Class-wise semantics embedding, eq. 12: each pixel gets the latent of its class plus a learned embedding of the class.

    The embedding W is one for all scales (as in the code). forward: numbers int64 [B, h, w] into `classes` [K] (channels) and
    latents [B, K, N] -> [B, N, h, w].
    """

    def __init__(self, channels: int, n_local: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(channels, n_local)

    def table(self, classes: Tensor, codes: Tensor) -> Tensor:
        """What a pixel of each class gets: [B, K, N]."""
        return self.embedding(classes) + codes

    def forward(self, numbers: Tensor, classes: Tensor, codes: Tensor) -> Tensor:
        table = self.table(classes, codes)
        rows = torch.arange(len(table), device=numbers.device)[:, None, None]
        return rearrange(table[rows, numbers], "b h w n -> b n h w")


LEVEL = {"head_0": 5, "G_middle_0": 4, "G_middle_1": 4, "up_0": 3, "up_1": 2, "up_2": 1}
"""Level (1/2^level of the picture) of each block's latents; G_middle_1 uses those of G_middle_0 again (as in the code)."""


class Generator(SkeletonGenerator):
    """forward = render(regions, map_plans(regions), codes, z) -> images [B, 3, H, W] in [-1, 1].

    codes: latents [B, C, L, N] of all C channels at the L layers (coarsest first); entries of classes that no map shows are
    not read. z: [B, z_dim]. Train mode: batch statistics and one power iteration per call of each normalised convolution.
    """

    def __init__(self, config: CLVAEConfig, channels: int, n_local: int) -> None:
        super().__init__(config.grid)
        self.config, self.channels, self.n_local = config, channels, n_local
        # inference form: SPADE's first convolution over the K classes present in place of CSE maps
        self.by_table = False
        last = max(1, config.ngf // 2) if config.upsampling == "most" else 0
        numbers = spade_channels(widths(config.ngf, config.max_width), last=last)
        self.add_start(numbers[0], channels, config.z_dim)
        if config.taps:
            self.cse = CSE(channels, n_local)
        self.add_blocks(spade_steps(config.upsampling, numbers), self._block)

    def _block(self, step: Step) -> SPADEResnetBlock:
        planes = self.n_local if self.level(step) else self.channels
        return SPADEResnetBlock(step.c_in, step.c_out, planes, norm=self.config.norm, hidden=self.config.spade_hidden)

    def level(self, step: Step) -> int:
        """The level of a block's latents; 0: the block reads the map itself, as the finest do, of which there are more than
        layers (K > L), and all where no layer gives any."""
        return LEVEL.get(step.name, 0) if self.config.taps else 0

    def layer_of(self, level: int) -> int:
        """Index along the layer axis of the latents for a level; the coarsest there is where the level has none of its own."""
        taps = self.config.taps
        return taps.index(level) if level in taps else 0

    def map_plans(self, regions: Regions) -> dict[str, BlockAffine] | WindowPlans:
        """Scales and shifts of the blocks that read the map itself, by name: all that depends on the map alone."""
        if self.windowed:
            return plan_by_window(self, regions.channels())
        plans = {}
        for block, step in self.blocks():
            if not self.level(step):
                numbers = resize_numbers(regions.pyramid[0], self.size(step.scale))
                planes = one_hot(numbers, len(regions.classes)).to(self.conv_img.weight.dtype)
                plans[step.name] = block.plan(planes, regions.classes)
        return plans

    def class_maps(self, regions: Regions, codes: Tensor) -> dict[int, Tensor]:
        """The CSE map [B, N, H / 2^level, W / 2^level] of every level, coarsest first. codes: of the classes present [B, K, L, N]."""
        levels = dict.fromkeys(level for step in self.steps if (level := self.level(step)))
        numbers = {i: regions.pyramid[i].expand(len(codes), -1, -1) for i in levels}  # one map serves many latents
        return {i: self.cse(numbers[i], regions.classes, codes[:, :, self.layer_of(i)]) for i in levels}

    def block_plans(
        self, regions: Regions | None, plans: dict[str, BlockAffine] | WindowPlans, codes: Tensor
    ) -> Iterator[BlockAffine | BlockTables]:
        """Scales and shifts of all blocks in order: those of `map_plans`, and between them those of the latents, made when asked for."""
        if isinstance(plans, WindowPlans):
            yield from plans.tables(self, codes)
            return
        assert regions is not None
        codes = codes.to(self.conv_img.weight.dtype).index_select(1, regions.classes)
        maps = {} if self.by_table else self.class_maps(regions, codes)
        for block, step in self.blocks():
            level, size = self.level(step), self.size(step.scale)
            if not level:
                yield plans[step.name]
            elif self.by_table:
                planes = one_hot(resize_numbers(regions.pyramid[level], size), len(regions.classes)).to(codes.dtype)
                yield block.plan(planes, table=self.cse.table(regions.classes, codes[:, :, self.layer_of(level)]))
            else:
                yield block.plan(resize_planes(maps[level], size))

    def render(
        self, regions: Regions | None, plans: dict[str, BlockAffine] | WindowPlans, codes: Tensor, z: Tensor
    ) -> Tensor:
        """Images in [-1, 1] from what `map_plans` made of the map (its batch may be 1) and the latents. regions: None serves windows."""
        return self.paint(self.block_plans(regions, plans, codes), z)

    def forward(self, regions: Regions, codes: Tensor, z: Tensor) -> Tensor:
        return self.render(regions, self.map_plans(regions), codes, z)
