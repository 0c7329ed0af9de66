"""The INADE generator: SPADE's, with norms that read a code per instance (docs/papers/inade.md, "Generator")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import Tensor

from zoo.families.spade.blocks import ResnetBlock, resize_numbers, resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo.nn.norms import parse_norm
from zoo_plugins.inade.config import InadeConfig
from zoo_plugins.inade.instances import Shown
from zoo_plugins.inade.norms import INADENorm, Site


class INADEPlan(NamedTuple):
    """All that depends on the map alone. values: int64 [B, H, W], class * codes + code of each pixel. sketch: [B, 1, H, W], or None."""

    values: Tensor
    sketch: Tensor | None = None


class Generator(SkeletonGenerator):
    """render(plan, z, noise): latents [S, z_dim] and codes [S, codes, 2, noise_dim] -> images [S, 3, H, W] in [-1, 1].

    Every norm reads the same codes, through a projection of its own. Train mode: batch statistics and one power iteration per call of
    each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: InadeConfig, classes: int) -> None:
        super().__init__(config.grid)
        self.config, self.classes = config, classes
        last = config.ngf // 2 if config.upsampling == "most" else 0
        channels = spade_channels(widths(config.ngf, config.max_width), last=last)
        self.add_start(channels[0], classes, config.z_dim)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> ResnetBlock:
        c = self.config
        spec = parse_norm(c.norm, ("spade",))

        def inade(channels: int) -> INADENorm:
            return INADENorm(channels, self.classes, c.noise_dim, norm=spec.kind, sketch=c.sketch)

        return ResnetBlock(step.c_in, step.c_out, inade, spectral=spec.spectral)

    def plan(self, classes: Tensor, codes: Tensor, count: int, sketch: Tensor | None = None) -> INADEPlan:
        """From each pixel's class and code, int64 [B, H, W] each; count: how many codes there are. sketch: [B, 1, H, W] in [0, 1],
        white lines on black, for a config that reads one (None: no lines)."""
        values = classes * count + codes
        if not self.config.sketch:
            return INADEPlan(values)
        lines = values.new_zeros(len(values), 1, *values.shape[1:]) if sketch is None else sketch
        return INADEPlan(values, lines.to(self.conv_img.weight.dtype))

    def render(self, plan: INADEPlan, z: Tensor | None, noise: Tensor) -> Tensor:
        """Images [S, 3, H, W] in [-1, 1]. A plan of one map serves any number of samples; z [S, z_dim], noise [S, codes, 2, noise_dim]."""
        return self.paint(self._block_plans(plan, noise), z)

    def _block_plans(self, plan: INADEPlan, noise: Tensor) -> Iterator[tuple[Any, Any, Any]]:
        shown, count = Shown.of(plan.values), noise.shape[1]
        classes, codes = shown.values // count, noise[:, shown.values % count]
        sites: dict[int, Site] = {}
        for block, step in self.blocks():
            if step.scale not in sites:
                size = self.size(step.scale)
                index = shown.at(resize_numbers(plan.values, size))
                sketch = None if plan.sketch is None else resize_planes(plan.sketch, size)
                sites = {step.scale: Site(index, classes, codes, sketch)}
            site = sites[step.scale]
            yield site, site, site if block.learned else None

    def forward(self, plan: INADEPlan, z: Tensor, noise: Tensor) -> Tensor:
        """As of `render`."""
        return self.render(plan, z, noise)
