"""The OASIS generator: SPADE's blocks, six of them, over noise planes in front of the map's (docs/papers/oasis.md, "Generator")."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from zoo.families.spade.blocks import SPADEResnetBlock, resize_numbers, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step
from zoo.families.spade.sizes import widths
from zoo.nn.labels import one_hot
from zoo_plugins.oasis.config import OasisConfig
from zoo_plugins.oasis.noise import NoisyMap
from zoo_plugins.oasis.windows import Sites, noise_sites


class Generator(SkeletonGenerator):
    """forward: planes [B, z_dim + classes, H, W], noise first (see `NoisyMap.planes`) -> images [B, 3, *config.size] in [-1, 1].

    Train mode: batch statistics and one power iteration per call of each spectrally normalised layer.
    """

    by_table = False
    """Whether scales and shifts go by class and not by pixel: the inference form of narrow generators."""

    def __init__(self, config: OasisConfig, classes: int) -> None:
        super().__init__(config.grid)
        self.config, self.classes = config, classes
        self.planes = config.noise_planes + classes
        w = widths(config.ngf, config.max_width)
        self.add_start(w[0], self.planes)
        self.steps = [Step(f"body.{i}", i, *pair) for i, pair in enumerate(pairwise((w[0], *w[:1], *w)))]
        self.body = nn.ModuleList(self._block(step) for step in self.steps)
        self.conv_img = nn.Conv2d(w[-1], 3, 3, padding=1)

    def _block(self, step: Step) -> SPADEResnetBlock:
        c = self.config
        return SPADEResnetBlock(step.c_in, step.c_out, self.planes, norm=c.norm, hidden=c.spade_hidden)

    def forward(self, planes: Tensor) -> Tensor:
        """Images in [-1, 1]."""
        planes = planes.to(self.conv_img.weight.dtype)
        plans = (block.plan(resize_planes(planes, self.size(step.scale))) for block, step in self.blocks())
        return self.paint(plans, start=self.start_from_map(planes))

    def render(self, noisy: NoisyMap, sites: Sites | None = None) -> Tensor:
        """Images in [-1, 1] of maps whose pixels hold noise and a class. sites: of the same maps, where the layout kept them."""
        if self.windowed:
            sites = noise_sites(self, noisy.numbers, noisy.count) if sites is None else sites
            return self.paint(sites.tables(self, noisy), start=sites.start(self, noisy))
        if not self.by_table:
            return self.forward(noisy.planes())
        small = noisy._replace(numbers=resize_numbers(noisy.numbers, self.grid))
        return self.paint(self._by_class(noisy), start=self.fc(small.planes().to(self.conv_img.weight.dtype)))

    def _by_class(self, noisy: NoisyMap) -> Iterator[Any]:
        """Scales and shifts of all blocks in order, made when asked for."""
        content = noisy.content.to(self.conv_img.weight.dtype)
        for block, step in self.blocks():
            planes = one_hot(resize_numbers(noisy.numbers, self.size(step.scale)), noisy.count).to(content.dtype)
            yield block.plan(planes, table=content)
