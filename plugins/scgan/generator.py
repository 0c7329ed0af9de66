"""The SC-GAN generator: SVG (what the map says) and SRG (the picture rendered from it), paper section 3."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.generator import SkeletonGenerator, Step, spade_channels, spade_steps
from zoo.families.spade.sizes import widths
from zoo_plugins.scgan.blocks import BlockPlan, SCResnetBlock, Site
from zoo_plugins.scgan.config import SCGANConfig
from zoo_plugins.scgan.svg import SVG, pool_channels, semantic_vectors
from zoo_plugins.scgan.tiled_plan import TiledPlan, plan_planes


@dataclass(frozen=True)
class SCGANPlan:
    """Everything that depends on the map alone.

    svg_image: [B, 3, H, W] in [-1, 1], the SVG's own rough picture (Eq. 10); None in the inference form. logits, norm_logits: pooled SVG features per scale,
    coarsest first. blocks: per residual block. start: the first features where there is no latent, else None.
    """

    svg_image: Tensor | None
    logits: tuple[Tensor, ...]
    norm_logits: tuple[Tensor, ...]
    blocks: tuple[BlockPlan, ...]
    start: Tensor | None


class Generator(SkeletonGenerator):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    Without VAE z is None and the result is a function of the map. Train mode: batch statistics and one power iteration per
    call of each spectrally normalised layer. (H, W) = config.size.
    """

    folded = False
    """Whether this is the inference form of a small generator (`zoo_plugins.scgan.inference`)."""
    tiled = False
    """Whether this is the inference form whose blocks go strip by strip (`zoo_plugins.scgan.tiled`)."""

    def __init__(self, config: SCGANConfig, planes: int) -> None:
        super().__init__(config.grid, F.hardtanh)
        self.config, self.planes = config, planes
        self.svg = SVG(config, planes)
        channels = spade_channels(widths(config.ngf, config.max_width), first=16 * config.nff)
        self.add_start(channels[0], planes, config.z_dim if config.use_vae else 0)
        self.add_blocks(spade_steps(config.upsampling, channels), self._block)

    def _block(self, step: Step) -> SCResnetBlock:
        c = self.config
        return SCResnetBlock(
            step.c_in, step.c_out, planes=self.planes, n=c.n_conv, m=c.n_norm, norm=c.norm, hidden=c.spade_hidden
        )

    def plan(self, planes: Tensor) -> SCGANPlan | TiledPlan:
        """All that depends on the map alone."""
        if self.tiled:
            return plan_planes(self, planes.to(self.conv_img.weight.dtype))
        c = self.config
        planes = planes.to(self.conv_img.weight.dtype)
        if self.folded:  # blurs and SPADEs are faster on planes channels last, and the same to the bit
            planes = planes.contiguous(memory_format=torch.channels_last)
        features = self.svg.features(planes)
        svg_image = None if self.folded else self.svg.picture(features[-1])  # only losses look at it
        logits = tuple(pool_channels(f, c.n_conv) for f in features)
        norm_logits = logits if c.n_norm == c.n_conv else tuple(pool_channels(f, c.n_norm) for f in features)
        conv_logits = tuple(x.detach() for x in logits) if c.routing_detach else logits
        v_conv = [semantic_vectors(x, c.temperature, c.weight_type) for x in conv_logits]
        same = norm_logits is logits and not c.routing_detach
        v_norm = v_conv if same else [semantic_vectors(x, c.temperature, c.weight_type) for x in norm_logits]
        plans = tuple(block.plan(self._site(planes, v_conv[s.scale], v_norm[s.scale])) for block, s in self.blocks())
        return SCGANPlan(svg_image, logits, norm_logits, plans, None if c.use_vae else self.start_from_map(planes))

    def _site(self, planes: Tensor, v_conv: Tensor, v_norm: Tensor) -> Site:
        return Site(v_conv, v_norm, resize_planes(planes, (v_conv.shape[-2], v_conv.shape[-1])))

    def render(self, plan: SCGANPlan | TiledPlan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        return self.paint(plan.blocks, z, start=plan.start)

    def forward(self, planes: Tensor, z: Tensor | None = None) -> tuple[Tensor, SCGANPlan | TiledPlan]:
        """(images in [-1, 1], the plan)."""
        plan = self.plan(planes)
        return self.render(plan, z), plan
