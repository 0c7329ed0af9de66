"""The SC-GAN generator: SVG (what the map says) and SRG (the picture rendered from it), paper section 3."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.families.spade.plans import climb, first_features
from zoo_plugins.scgan.blocks import BlockPlan, SCResnetBlock, Site
from zoo_plugins.scgan.config import SCGANConfig
from zoo_plugins.scgan.svg import SVG, pool_channels, semantic_vectors


@dataclass(frozen=True)
class Plan:
    """Everything that depends on the map alone.

    svg_image: [B, 3, H, W] in [-1, 1], the SVG's own rough picture (Eq. 10). logits, norm_logits: pooled SVG features per scale,
    coarsest first. blocks: per residual block. start: the first features where there is no latent, else None.
    """

    svg_image: Tensor
    logits: tuple[Tensor, ...]
    norm_logits: tuple[Tensor, ...]
    blocks: tuple[BlockPlan, ...]
    start: Tensor | None


class Generator(nn.Module):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    Without VAE z is None and the result is a function of the map. Train mode: batch statistics and one power iteration per
    call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: SCGANConfig, planes: int) -> None:
        super().__init__()
        self.config, self.planes = config, planes
        self.grid = config.grid
        first = 16 * config.nff
        self.svg = SVG(config, planes)
        if config.use_vae:
            self.fc: nn.Module = nn.Linear(config.z_dim, first * self.grid[0] * self.grid[1])
        else:
            self.fc = nn.Conv2d(planes, first, 3, padding=1)
        w = [min(m * config.ngf, config.max_width or m * config.ngf) for m in (16, 8, 4, 2, 1)]
        self.head_0 = self._block(first, w[0])
        self.G_middle_0 = self._block(w[0], w[0])
        self.G_middle_1 = self._block(w[0], w[0])
        self.up_0 = self._block(w[0], w[1])
        self.up_1 = self._block(w[1], w[2])
        self.up_2 = self._block(w[2], w[3])
        self.up_3 = self._block(w[3], w[4])
        self.conv_img = nn.Conv2d(w[4], 3, 3, padding=1)

    def _block(self, c_in: int, c_out: int) -> SCResnetBlock:
        c = self.config
        return SCResnetBlock(
            c_in, c_out, planes=self.planes, n=c.n_conv, m=c.n_norm, norm=c.norm, hidden=c.spade_hidden
        )

    def blocks(self) -> list[tuple[SCResnetBlock, int]]:
        """The residual blocks in order, each with the number of its scale (0: the start grid)."""
        more = self.config.upsampling == "more"
        scales = (0, 1, 1 + more, 2 + more, 3 + more, 4 + more, 5 + more)
        blocks = (self.head_0, self.G_middle_0, self.G_middle_1, self.up_0, self.up_1, self.up_2, self.up_3)
        return list(zip(blocks, scales, strict=True))

    def plan(self, planes: Tensor) -> Plan:
        """All that depends on the map alone."""
        c = self.config
        planes = planes.to(self.conv_img.weight.dtype)
        svg_image, features = self.svg(planes)
        logits = tuple(pool_channels(f, c.n_conv) for f in features)
        norm_logits = logits if c.n_norm == c.n_conv else tuple(pool_channels(f, c.n_norm) for f in features)
        conv_logits = tuple(x.detach() for x in logits) if c.routing_detach else logits
        v_conv = [semantic_vectors(x, c.temperature, c.weight_type) for x in conv_logits]
        same = norm_logits is logits and not c.routing_detach
        v_norm = v_conv if same else [semantic_vectors(x, c.temperature, c.weight_type) for x in norm_logits]
        plans = tuple(
            block.plan(Site(v_conv[i], v_norm[i], resize_planes(planes, (v_conv[i].shape[-2], v_conv[i].shape[-1]))))
            for block, i in self.blocks()
        )
        start = None if c.use_vae else self.fc(resize_planes(planes, self.grid))
        return Plan(svg_image, logits, norm_logits, plans, start)

    def render(self, plan: Plan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        x = climb(self.start(z) if plan.start is None else plan.start, self.blocks(), plan.blocks)
        # hardtanh, not tanh; float32 so that images are not rounded to bfloat16
        return F.hardtanh(self.conv_img(F.leaky_relu(x, 0.2)).float())

    def start(self, z: Tensor | None) -> Tensor:
        """First features [B, 16 nff, *grid] from latents."""
        return first_features(self.fc, z, self.grid, self.conv_img.weight)

    def forward(self, planes: Tensor, z: Tensor | None = None) -> tuple[Tensor, Plan]:
        """(images in [-1, 1], the plan)."""
        plan = self.plan(planes)
        return self.render(plan, z), plan
