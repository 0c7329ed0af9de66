"""The SPADE generator (paper section 3; docs/papers/spade.md, "Generator")."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from zoo.families.spade.blocks import BlockAffine, SPADEResnetBlock, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo.families.spade.window_plans import WindowPlan, plan_planes
from zoo.families.spade.window_training import TrainingSite, training_sites
from zoo.nn.labels import shown_planes
from zoo.nn.norms import parse_norm
from zoo_plugins.spade.config import SpadeConfig


class SPADEPlan(NamedTuple):
    """Everything that depends on the map alone: per residual block its scales and shifts, and the first features
    [B, 16 ngf, *grid] where there is no latent (else None)."""

    blocks: tuple[BlockAffine, ...]
    start: Tensor | None


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    Without VAE z is None and the result is a function of the map. Train mode: batch statistics and one power iteration per
    call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: SpadeConfig, planes: int) -> None:
        super().__init__(config.grid)
        self.config, self.planes = config, planes
        last = {"most": config.ngf // 2, "finer": config.ngf}.get(config.upsampling, 0)
        channels = spade_channels(widths(config.ngf, config.max_width), last=last)
        self.add_start(channels[0], planes, config.z_dim if config.use_vae else 0)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> SPADEResnetBlock:
        c = self.config
        return SPADEResnetBlock(step.c_in, step.c_out, self.planes, norm=c.norm, hidden=c.spade_hidden)

    def plan(self, planes: Tensor) -> SPADEPlan | WindowPlan:
        """All that depends on the map alone. Only the channels that occur are convolved (equal sums)."""
        if self.windowed:
            return plan_planes(self, planes)
        planes = planes.to(self.conv_img.weight.dtype)
        start = None if self.config.use_vae else self.start_from_map(planes)
        planes, classes = shown_planes(planes)
        at = {step.scale: resize_planes(planes, self.size(step.scale)) for step in self.steps}
        sites = self._training_sites(planes, classes) if self.training else {}
        plans: list[BlockAffine] = []
        for block, step in self.blocks():
            site = sites.get(self.size(step.scale))
            plans.append(block.plan(at[step.scale], classes) if site is None else site.block(block))
        return SPADEPlan(tuple(plans), start)

    def _training_sites(self, planes: Tensor, classes: Tensor | None) -> dict[tuple[int, int], TrainingSite]:
        kernel = parse_norm(self.config.norm, ("spade",)).kernel
        return training_sites(planes, classes, kernel, (self.size(step.scale) for step in self.steps))

    def render(self, plan: SPADEPlan | WindowPlan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        if isinstance(plan, WindowPlan):
            return self.paint(plan.tables(self), z, start=plan.start)
        return self.paint(plan.blocks, z, start=plan.start)

    def forward(self, planes: Tensor, z: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), z)
