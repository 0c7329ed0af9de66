"""The CC-FPSE generator: SPADE's course, with blocks of predicted convolutions (docs/papers/cc_fpse.md, "Generator")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo_plugins.cc_fpse.blocks import TAPS, BlockPlan, ConditionalBlock, Site
from zoo_plugins.cc_fpse.config import CCFPSEConfig
from zoo_plugins.cc_fpse.pyramid import LabelPyramid


class CCFPSEPlan(NamedTuple):
    """All that depends on the map alone. blocks: per residual block what it reads, or all that it predicts from that. start: the first
    features [B, 16 ngf, *grid] where there is no latent (else None)."""

    blocks: tuple[Site | BlockPlan, ...]
    start: Tensor | None


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    Without VAE z is None and the result is a function of the map. Train mode: batch statistics and one power iteration per
    call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: CCFPSEConfig, planes: int) -> None:
        super().__init__(config.grid)
        self.config, self.planes = config, planes
        channels = spade_channels(widths(config.ngf, config.max_width))
        self.add_start(channels[0], planes, config.z_dim if config.use_vae else 0)
        self.pyramid = LabelPyramid(planes, config.ngf, config.doublings + 1, config.norm)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> ConditionalBlock:
        return ConditionalBlock(step.c_in, step.c_out, self.planes + self.config.ngf, self.config.hidden)

    @property
    def predicted(self) -> int:
        """How many numbers the blocks predict for one map."""
        total = 0
        for step in self.steps:
            height, width = self.size(step.scale)
            shortcut = 2 * step.c_in if step.c_in != step.c_out else 0
            total += height * width * (TAPS * (step.c_in + step.c_out) + 2 * step.c_out + shortcut)
        return total

    def plan(self, planes: Tensor, *, keep: bool = False) -> CCFPSEPlan:
        """All that depends on the map alone. keep: predict everything now, which takes much memory (`predicted`) and makes further pictures
        of the same maps cheap; else each block predicts when it is called. Without gradients only the planes that occur are
        convolved (equal sums)."""
        planes = planes.to(self.conv_img.weight.dtype)
        start = None if self.config.use_vae else self.start_from_map(planes)
        sites = self._sites(planes)
        read = [(block, sites[step.scale]) for block, step in self.blocks()]
        return CCFPSEPlan(tuple(block.plan(site) if keep else site for block, site in read), start)

    def _sites(self, planes: Tensor) -> list[Site]:
        """By scale what blocks read."""
        levels, channels = self.pyramid(planes), None
        if not torch.is_grad_enabled():
            shown = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
            planes = planes.index_select(1, shown)
            channels = torch.cat([shown, self.planes + torch.arange(self.config.ngf, device=shown.device)])
        return [
            Site(torch.cat([resize_planes(planes, self.size(scale)), level], 1), channels)
            for scale, level in enumerate(levels)
        ]

    def render(self, plan: CCFPSEPlan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        return self.paint(plan.blocks, z, start=plan.start)

    def forward(self, planes: Tensor, z: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), z)
