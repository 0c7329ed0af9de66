"""The CLADE generator: SPADE's, with a table of scales and shifts per class in every norm (docs/papers/clade.md, "Architecture")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo.families.spade.blocks import ResnetBlock, resize_numbers, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo.nn.labels import one_hot
from zoo.nn.norms import parse_norm
from zoo.nn.positions import class_positions
from zoo_plugins.clade.config import CladeConfig
from zoo_plugins.clade.norms import CLADENorm, ClassSite


class CLADEPlan(NamedTuple):
    """All that depends on the map alone: by doublings of the start grid what the norms read, and the first features
    [B, 16 ngf, *grid] where there is no latent (else None)."""

    sites: dict[int, ClassSite]
    start: Tensor | None


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    The last plane shows edges where the config has them. Without VAE z is None and the result is a function of the map. Train mode:
    batch statistics and one power iteration per call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: CladeConfig, planes: int) -> None:
        super().__init__(config.grid)
        self.config, self.classes = config, planes - config.edges
        last = config.ngf // 2 if config.upsampling == "most" else 0
        channels = spade_channels(widths(config.ngf, config.max_width), last=last)
        self.add_start(channels[0], planes, config.z_dim if config.use_vae else 0)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> ResnetBlock:
        c = self.config
        spec = parse_norm(c.norm, ("spade",))

        def clade(channels: int) -> CLADENorm:
            return CLADENorm(channels, self.classes, norm=spec.kind, edges=c.edges, positions=c.positions)

        return ResnetBlock(step.c_in, step.c_out, clade, spectral=spec.spectral, appended=int(c.edges))

    def plan(self, planes: Tensor, positions: Tensor | None = None) -> CLADEPlan:
        """The plan of planes [B, planes, H, W]; where they are soft, a pixel's class is the largest of them, of equal ones the first.

        positions: [B, 2, H, W] for a config with `positions`, where they are known already; else they are computed of the classes.
        """
        planes = planes.to(self.conv_img.weight.dtype)
        edges = planes[:, self.classes :] if self.config.edges else None
        start = None if self.config.use_vae else self.start_from_map(planes)
        return self._plan(planes[:, : self.classes].argmax(1), edges, positions, start)

    def plan_values(self, values: Tensor) -> CLADEPlan:
        """The same plan from what each pixel holds as one number, int64 [B, H, W] (`LabelInput.values`): one-hot planes are
        made at the start grid's size alone."""
        channels, edges = values, None
        if self.config.edges:
            channels, edges = values // 2, (values % 2)[:, None].to(self.conv_img.weight.dtype)
        start = None
        if not self.config.use_vae:
            small = one_hot(resize_numbers(channels, self.grid), self.classes).to(self.conv_img.weight.dtype)
            start = self.fc(small if edges is None else torch.cat([small, resize_planes(edges, self.grid)], 1))
        return self._plan(channels, edges, None, start)

    def _plan(self, classes: Tensor, edges: Tensor | None, positions: Tensor | None, start: Tensor | None) -> CLADEPlan:
        if self.config.positions:
            positions = class_positions(classes) if positions is None else positions
            positions = positions.to(self.conv_img.weight.dtype)
        sites: dict[int, ClassSite] = {}
        for scale in dict.fromkeys(step.scale for step in self.steps):
            size = self.size(scale)
            planes = (None if p is None else resize_planes(p, size) for p in (edges, positions))
            sites[scale] = ClassSite(resize_numbers(classes, size), *planes)
        return CLADEPlan(sites, start)

    def render(self, plan: CLADEPlan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        return self.paint(self._block_plans(plan), z, start=plan.start)

    def _block_plans(self, plan: CLADEPlan) -> Iterator[tuple[Any, Any, Any]]:
        for block, step in self.blocks():
            site = plan.sites[step.scale]
            yield site, site, site if block.learned else None

    def forward(self, planes: Tensor, z: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), z)
