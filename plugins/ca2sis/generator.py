"""CA2SIS's generator: from the layout's planes to features that depend on the map alone, then with style tokens to the picture."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from zoo.families.spade.blocks import resize_planes
from zoo.nn.residual import UpBlock
from zoo_plugins.ca2sis.attention import StyleAttention
from zoo_plugins.ca2sis.config import CA2SISConfig


class CA2SISPlan(NamedTuple):
    """What the map alone gives. codes [B, parts, latent]; features [B, widths[0], grid, grid], after the first block."""

    codes: Tensor
    features: Tensor


class Generator(nn.Module):
    """Layout encoder and decoder. parts: the channels of the planes that take part in the layout (all but the background)."""

    def __init__(self, config: CA2SISConfig, parts: tuple[int, ...]) -> None:
        super().__init__()
        self.side, self.grid, self.tanh = config.layout_side, config.grid, config.tanh
        self.parts = list(parts)
        self.layout = nn.Linear(self.side**2, config.latent)
        self.in_conv = nn.Conv2d(len(parts), config.width, 1)
        widths, context = (config.width, *config.widths), config.scales * config.style_dim
        self.blocks = nn.ModuleList(
            UpBlock(c, d, config.groups, upsample=i > 0, identity=True) for i, (c, d) in enumerate(pairwise(widths))
        )
        self.attention = nn.ModuleList(
            StyleAttention(
                c, context, config.groups, config.heads[i], config.head_sizes[i],
                self_attention=i < config.self_attention,
            )
            for i, c in enumerate(config.widths)
        )  # fmt: skip
        self.out_conv = nn.Conv2d(widths[-1], 3, 1)

    def codes(self, planes: Tensor) -> Tensor:
        """One-hot planes [B, classes, H, W] -> layout codes [B, parts, latent]; one linear layer for all parts."""
        small = resize_planes(planes, (self.side, self.side))
        return self.layout(rearrange(small[:, self.parts], "b k h w -> b k (h w)"))

    def plan(self, planes: Tensor) -> CA2SISPlan:
        """All that depends on the map alone."""
        codes = self.codes(planes)
        return CA2SISPlan(codes, self.blocks[0](self.in_conv(rearrange(codes, "b k (h w) -> b k h w", h=self.grid))))

    def render(self, plan: CA2SISPlan, tokens: Tensor) -> Tensor:
        """tokens [B, classes, scales * style_dim] -> images [B, 3, H, W], about [-1, 1] (unbounded without `tanh`).

        A plan of one map serves any number of styles.
        """
        x = plan.features
        if len(x) == 1 and len(tokens) > 1:
            x = x.expand(len(tokens), *x.shape[1:])
        for i, (block, attention) in enumerate(zip(self.blocks, self.attention, strict=True)):
            x = attention(x if i == 0 else block(x), tokens)
        image = self.out_conv(x)
        return torch.tanh(image) if self.tanh else image

    def forward(self, planes: Tensor, tokens: Tensor) -> Tensor:
        """`render` of `plan`."""
        return self.render(self.plan(planes), tokens)
