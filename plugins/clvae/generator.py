"""The generator: SPADE blocks that read class-wise latents through CSE blocks (paper section 3.2.1)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import BlockAffine, SPADEResnetBlock, resize_planes
from zoo.families.spade.plans import climb, first_features
from zoo.nn.labels import one_hot
from zoo_plugins.clvae.config import DOUBLINGS, CLVAEConfig
from zoo_plugins.clvae.regions import Regions, resize_numbers


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
        return table[rows, numbers].permute(0, 3, 1, 2)


class Generator(nn.Module):
    """forward = render(regions, map_plans(regions), codes, z) -> images [B, 3, H, W] in [-1, 1].

    codes: latents [B, C, L, N] of all C channels at the L layers (coarsest first); entries of classes that no map shows are
    not read. z: [B, z_dim]. Train mode: batch statistics and one power iteration per call of each normalised convolution.
    """

    def __init__(self, config: CLVAEConfig, channels: int, n_local: int) -> None:
        super().__init__()
        self.config, self.channels, self.n_local = config, channels, n_local
        self.by_table = (
            False  # inference form: SPADE's first convolution over the K classes present in place of CSE maps
        )
        w = [min(m * config.ngf, config.max_width or m * config.ngf) for m in (16, 8, 4, 2, 1)]
        self.fc = nn.Linear(config.z_dim, w[0] * config.grid[0] * config.grid[1])
        if config.taps:
            self.cse = CSE(channels, n_local)
        planes = n_local if config.taps else channels
        self.head_0 = self._block(w[0], w[0], planes)
        self.G_middle_0 = self._block(w[0], w[0], planes)
        self.G_middle_1 = self._block(w[0], w[0], planes)
        self.up_0 = self._block(w[0], w[1], planes)
        self.up_1 = self._block(w[1], w[2], planes)
        self.up_2 = self._block(w[2], w[3], planes)
        # K > L: the finest blocks read the map itself
        self.up_3 = self._block(w[3], w[4], channels)
        last = w[4]
        if config.upsampling == "most":
            last = max(1, config.ngf // 2)
            self.up_4 = self._block(w[4], last, channels)
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def _block(self, c_in: int, c_out: int, planes: int) -> SPADEResnetBlock:
        return SPADEResnetBlock(c_in, c_out, planes, norm=self.config.norm, hidden=self.config.spade_hidden)

    def blocks(self) -> list[tuple[str, int, int]]:
        """Per residual block in order: its name, doublings of the start grid before it, and the level (1/2^level of the picture) of
        its latents; level 0 means the map itself. G_middle_1 uses the latents of G_middle_0 again (as in the code).
        """
        extra = self.config.upsampling != "normal"
        found = [
            ("head_0", 0, 5),
            ("G_middle_0", 1, 4),
            ("G_middle_1", 1 + extra, 4),
            ("up_0", 2 + extra, 3),
            ("up_1", 3 + extra, 2),
            ("up_2", 4 + extra, 1),
            ("up_3", 5 + extra, 0),
        ]
        if self.config.upsampling == "most":
            found.append(("up_4", DOUBLINGS["most"], 0))
        return found if self.config.taps else [(name, scale, 0) for name, scale, _ in found]

    def layer_of(self, level: int) -> int:
        """Index along the layer axis of the latents for a level; the coarsest there is where the level has none of its own."""
        taps = self.config.taps
        return taps.index(level) if level in taps else 0

    def _size(self, scale: int) -> tuple[int, int]:
        height, width = self.config.grid
        return height << scale, width << scale

    def map_plans(self, regions: Regions) -> dict[str, BlockAffine]:
        """Scales and shifts of the blocks that read the map itself, by name: all that depends on the map alone."""
        plans = {}
        for name, scale, level in self.blocks():
            if level == 0:
                numbers = resize_numbers(regions.pyramid[0], self._size(scale))
                planes = one_hot(numbers, len(regions.classes)).to(self.conv_img.weight.dtype)
                plans[name] = getattr(self, name).plan(planes, regions.classes)
        return plans

    def class_maps(self, regions: Regions, codes: Tensor) -> dict[int, Tensor]:
        """The CSE map [B, N, H / 2^level, W / 2^level] of every level, coarsest first. codes: of the classes present [B, K, L, N]."""
        levels = dict.fromkeys(level for _, _, level in self.blocks() if level)
        numbers = {i: regions.pyramid[i].expand(len(codes), -1, -1) for i in levels}  # one map serves many latents
        return {i: self.cse(numbers[i], regions.classes, codes[:, :, self.layer_of(i)]) for i in levels}

    def block_plans(self, regions: Regions, plans: dict[str, BlockAffine], codes: Tensor) -> Iterator[BlockAffine]:
        """Scales and shifts of all blocks in order: those of `map_plans`, and between them those of the latents, made when asked for."""
        codes = codes.to(self.conv_img.weight.dtype).index_select(1, regions.classes)
        maps = {} if self.by_table else self.class_maps(regions, codes)
        for name, scale, level in self.blocks():
            block, size = getattr(self, name), self._size(scale)
            if not level:
                yield plans[name]
            elif self.by_table:
                planes = one_hot(resize_numbers(regions.pyramid[level], size), len(regions.classes)).to(codes.dtype)
                yield block.plan(planes, table=self.cse.table(regions.classes, codes[:, :, self.layer_of(level)]))
            else:
                yield block.plan(resize_planes(maps[level], size))

    def start(self, z: Tensor) -> Tensor:
        """First features [B, 16 ngf, h, w] from the global latent."""
        return first_features(self.fc, z, self.config.grid, self.conv_img.weight)

    def render(self, regions: Regions, plans: dict[str, BlockAffine], codes: Tensor, z: Tensor) -> Tensor:
        """Images in [-1, 1] from what `map_plans` made of the map (its batch may be 1) and the latents."""
        blocks = [(getattr(self, name), scale) for name, scale, _ in self.blocks()]
        x = climb(self.start(z), blocks, self.block_plans(regions, plans, codes))
        # float32 so that images are not rounded to bfloat16
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)).float())

    def forward(self, regions: Regions, codes: Tensor, z: Tensor) -> Tensor:
        return self.render(regions, self.map_plans(regions), codes, z)
