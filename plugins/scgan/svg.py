"""The semantic vector generator (SVG): label pyramid, feature pyramid, channel pooling into semantic vectors."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.nn.spectral import conv2d
from zoo_plugins.scgan.config import SCGANConfig

MULTIPLIERS = (16, 8, 4, 2, 1, 1, 1)


def gaussian_window(size: int, sigma: float) -> Tensor:
    """One axis of the blur window [size], not normalised (quirk: the two axes of size 7, sigma 1.5 sum to 13.6484)."""
    return torch.exp(-((torch.arange(size) - size // 2) ** 2).float() / (2 * sigma**2))


def iterative_gaussian(planes: Tensor, window: Tensor, iterations: int = 1, relative: bool = False) -> Tensor:
    """Blur within the class: repeat x = blur(x) * planes; `relative`: the last x over (the one before it + 1e-8).

    planes: [B, C, H, W], a (possibly already blurred) one-hot map. Values grow: the window is not normalised.
    """
    size, channels = len(window), planes.shape[1]
    window = window.to(planes)
    across = window.view(1, 1, 1, size).expand(channels, 1, 1, size).contiguous()
    down = window.view(1, 1, size, 1).expand(channels, 1, size, 1).contiguous()
    x = before = planes
    for _ in range(iterations):
        before = x
        x = F.conv2d(x, across, padding=(0, size // 2), groups=channels)  # the 2-d window is their outer product
        x = F.conv2d(x, down, padding=(size // 2, 0), groups=channels) * planes
    return x / (before + 1e-8) if relative else x


def pool_channels(x: Tensor, groups: int) -> Tensor:
    """Average pooling along the channels into `groups` adaptive bins: [B, C, H, W] -> [B, groups, H, W].

    Bin g covers channels floor(g C / groups) .. ceil((g + 1) C / groups) - 1, so bins overlap where groups does not divide C
    (and repeat channels where C < groups).
    """
    count = x.shape[1]
    bins = [(g * count // groups, -(-(g + 1) * count // groups)) for g in range(groups)]
    return torch.stack([x[:, lo:hi].mean(1) for lo, hi in bins], 1)


def semantic_vectors(logits: Tensor, temperature: float, kind: str) -> Tensor:
    """V from pooled logits: softmax over the groups of temperature * logits; or sigmoid, tanh, hardtanh, relu, identity."""
    scaled = temperature * logits.float()
    if kind == "softmax":
        return scaled.softmax(1)
    pointwise = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "hardtanh": F.hardtanh, "relu": F.relu}
    return pointwise[kind](scaled) if kind in pointwise else scaled


class SVGBlock(nn.Module):
    """conv3, leaky ReLU, conv3: one scale of the SVG."""

    def __init__(self, c_in: int, c_out: int, spectral: bool) -> None:
        super().__init__()
        self.conv_0 = conv2d(spectral, c_in, c_out, 3, padding=1)
        self.conv_1 = conv2d(spectral, c_out, c_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv_1(F.leaky_relu(self.conv_0(x), 0.2))


class SVG(nn.Module):
    """Semantic vector generator (paper section 3.1). Reads the one-hot map at `scales` sizes, coarse to fine.

    forward: one-hot planes [B, planes, H, W] -> (svg image [B, 3, H, W] in [-1, 1], features per scale, coarsest first).
    """

    def __init__(self, config: SCGANConfig, planes: int) -> None:
        super().__init__()
        self.config = config
        self.scales = config.doublings + 1
        widths = [config.nrf * m for m in MULTIPLIERS[: self.scales]]
        inputs = [0, *widths[:-1]]
        self.blocks = nn.ModuleList(
            SVGBlock(before + planes, width, config.svg_spectral) for before, width in zip(inputs, widths, strict=True)
        )
        self.to_rgb_0 = nn.Conv2d(config.nrf, config.nrf // 2, 3, padding=1)
        self.to_rgb_1 = nn.Conv2d(config.nrf // 2, 3, 3, padding=1)

    def pyramid(self, planes: Tensor) -> list[Tensor]:
        """The label map at all scales, coarsest first (float32; docs/papers/scgan.md, "Label pyramid"). A photo in a map's place may take a
        gradient."""
        c = self.config
        planes = planes.float()
        with torch.autocast(planes.device.type, enabled=False):
            if c.position and not c.pyr_pos:
                planes = self._blur(planes)
            if not c.pyr_pos:
                levels = [planes]
                for _ in range(self.scales - 1):
                    levels.insert(0, F.avg_pool2d(levels[0], 2))  # bilinear x0.5 without antialias
                return levels
            levels, current = [planes], planes
            for i in range(self.scales - 2, -1, -1):
                current = resize_planes(current, (current.shape[-2] // 2, current.shape[-1] // 2))
                if self.scales - i < c.pyr_rng:
                    current = self._blur(current)
                levels.insert(0, current)
            # the finest level is blurred last: the next coarser one comes from the sharp map
            levels[-1] = self._blur(planes)
            return levels

    def _blur(self, planes: Tensor) -> Tensor:
        c = self.config
        window = gaussian_window(c.blur_size, c.blur_sigma)
        if not c.edges:
            return iterative_gaussian(planes, window, c.blur_iterations, c.blur_relative)
        blurred = iterative_gaussian(planes[:, :-1], window, c.blur_iterations, c.blur_relative)
        return torch.cat([blurred, planes[:, -1:]], 1)  # the edge channel stays sharp

    def features(self, planes: Tensor) -> list[Tensor]:
        """The features per scale, coarsest first."""
        features: list[Tensor] = []
        x: Tensor | None = None
        for block, labels in zip(self.blocks, self.pyramid(planes), strict=True):
            labels = labels.to(self.to_rgb_0.weight.dtype if x is None else x.dtype)
            if x is not None:
                x = F.interpolate(F.leaky_relu(x, 0.2), scale_factor=2.0, mode="nearest")
                labels = torch.cat([x, labels], 1)
            x = block(labels.contiguous())
            features.append(x)  # type: ignore[arg-type]
        return features

    def picture(self, finest: Tensor) -> Tensor:
        """The SVG's image [B, 3, H, W] in [-1, 1] from the features of the finest scale."""
        return F.hardtanh(self.to_rgb_1(F.leaky_relu(self.to_rgb_0(finest), 0.2)).float())

    def forward(self, planes: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = self.features(planes)
        return self.picture(features[-1]), features
