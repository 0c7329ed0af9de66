"""The SPADE generator (paper section 3; docs/papers/spade.md, "Generator")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import BlockAffine, SPADEResnetBlock, resize_planes
from zoo.families.spade.plans import climb, first_features
from zoo_plugins.spade.config import DOUBLINGS, SpadeConfig


class Plan(NamedTuple):
    """Everything that depends on the map alone: per residual block its scales and shifts, and the first features
    [B, 16 ngf, *grid] where there is no latent (else None)."""

    blocks: tuple[BlockAffine, ...]
    start: Tensor | None


class Generator(nn.Module):
    """forward = render(plan(planes), z): one-hot planes [B, planes, H, W] and latents [B, z_dim] -> images in [-1, 1].

    Without VAE z is None and the result is a function of the map. Train mode: batch statistics and one power iteration per
    call of each spectrally normalised layer. (H, W) = config.size.
    """

    def __init__(self, config: SpadeConfig, planes: int) -> None:
        super().__init__()
        self.config, self.planes = config, planes
        w = [min(m * config.ngf, config.max_width or m * config.ngf) for m in (16, 8, 4, 2, 1)]
        height, width = config.grid
        if config.use_vae:
            self.fc: nn.Module = nn.Linear(config.z_dim, w[0] * height * width)
        else:
            self.fc = nn.Conv2d(planes, w[0], 3, padding=1)
        self.head_0 = self._block(w[0], w[0])
        self.G_middle_0 = self._block(w[0], w[0])
        self.G_middle_1 = self._block(w[0], w[0])
        self.up_0 = self._block(w[0], w[1])
        self.up_1 = self._block(w[1], w[2])
        self.up_2 = self._block(w[2], w[3])
        self.up_3 = self._block(w[3], w[4])
        last = w[4]
        if config.upsampling == "most":
            last = config.ngf // 2
            self.up_4 = self._block(w[4], last)
        self.conv_img = nn.Conv2d(last, 3, 3, padding=1)

    def _block(self, c_in: int, c_out: int) -> SPADEResnetBlock:
        return SPADEResnetBlock(c_in, c_out, self.planes, norm=self.config.norm, hidden=self.config.spade_hidden)

    def blocks(self) -> list[tuple[SPADEResnetBlock, int]]:
        """The residual blocks in order, each with the doublings before it."""
        more = self.config.upsampling != "normal"
        blocks = [self.head_0, self.G_middle_0, self.G_middle_1, self.up_0, self.up_1, self.up_2, self.up_3]
        scales = [0, 1, *range(1 + more, 6 + more)]
        if self.config.upsampling == "most":
            blocks, scales = [*blocks, self.up_4], [*scales, DOUBLINGS["most"]]
        return list(zip(blocks, scales, strict=True))

    def plan(self, planes: Tensor) -> Plan:
        """All that depends on the map alone. Without gradients only the channels that occur are convolved (equal sums)."""
        height, width = self.config.grid
        planes = planes.to(self.conv_img.weight.dtype)
        start = None if self.config.use_vae else self.fc(resize_planes(planes, (height, width)))
        classes = None
        if not torch.is_grad_enabled():
            classes = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
            planes = planes.index_select(1, classes)
        sizes = {at: resize_planes(planes, (height << at, width << at)) for _, at in self.blocks()}
        return Plan(tuple(block.plan(sizes[at], classes) for block, at in self.blocks()), start)

    def render(self, plan: Plan, z: Tensor | None) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1]. A plan of one map serves any number of latents."""
        x = climb(self.start(z) if plan.start is None else plan.start, self.blocks(), plan.blocks)
        # float32 so that images are not rounded to bfloat16
        return torch.tanh(self.conv_img(F.leaky_relu(x, 0.2)).float())

    def start(self, z: Tensor | None) -> Tensor:
        """First features [B, 16 ngf, *grid] from latents."""
        return first_features(self.fc, z, self.config.grid, self.conv_img.weight)

    def forward(self, planes: Tensor, z: Tensor | None = None) -> Tensor:
        """Images in [-1, 1]."""
        return self.render(self.plan(planes), z)
