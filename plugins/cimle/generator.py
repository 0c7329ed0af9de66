"""cIMLE's network: a noise encoder in front of CRN's cascade (docs/papers/cimle.md, "Network"). Names are the authors' variables."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.families.crn.generator import CascadedGenerator, RefineConv
from zoo_plugins.cimle.config import CIMLEConfig

ENCODER_STD = 0.15
"""Of the noise encoder's starting weights, cut at two of them."""


class Generator(CascadedGenerator):
    """forward: one-hot planes [B, planes, H, W] and noise [B, noise, H, W] -> pictures [B, 1, 3, H, W], about [-1, 1].

    The encoder makes a code of planes and noise, at full size; a module sees every 2nd, 4th, … value of it, never a mean. Not random.
    """

    def __init__(self, config: CIMLEConfig, planes: int) -> None:
        super().__init__(planes, config.widths, config.size[0], codes=config.noise)
        width = config.encoder_width
        self.g_noise_conv1 = RefineConv(planes + config.noise, width)
        self.g_noise_conv2 = RefineConv(width, width)
        self.g_noise_conv3 = nn.Conv2d(width, config.noise, 1)
        self.start_encoder()

    def start_encoder(self, generator: torch.Generator | None = None) -> None:
        """Draw the noise encoder's starting weights. Random: from `generator`, None: torch's global one."""
        std = ENCODER_STD
        for conv in (self.g_noise_conv1, self.g_noise_conv2, self.g_noise_conv3):
            nn.init.trunc_normal_(conv.weight, 0.0, std, -2 * std, 2 * std, generator=generator)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
        for conv in (self.g_noise_conv1, self.g_noise_conv2):
            nn.init.ones_(conv.norm.weight)
            nn.init.zeros_(conv.norm.bias)

    def code(self, planes: Tensor, noise: Tensor) -> Tensor:
        """[B, noise, H, W] from planes [B or 1, planes, H, W] and noise of the same size."""
        weight = self.g_noise_conv3.weight
        planes = planes.to(weight.dtype).expand(len(noise), -1, -1, -1)
        x = self.g_noise_conv1(torch.cat([planes, noise.to(planes)], 1))
        return self.g_noise_conv3(self.g_noise_conv2(x))

    def forward(self, planes: Tensor, noise: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """`pictures` of the features; a single map serves any number of noises."""
        code = self.code(planes, noise)
        return self.pictures(self.features(planes.expand(len(noise), -1, -1, -1), code))
