"""The cascade that paints the layout (docs/papers/sg2im.md, "Cascade"): unlike CRN's own it has biases in front of its norms, sees the layout
first and the features after it, and is enlarged by the nearest. Keys are the authors'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.sg2im.graph_net import init_kaiming

Norm = Literal["batch", "instance", "none"]


def norm_layer(norm: Norm, channels: int) -> nn.Module | None:
    """A batch norm with scale and shift, an instance norm without, or nothing."""
    if norm == "none":
        return None
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.InstanceNorm2d(channels)


class RefinementModule(nn.Module):
    """Two times 3x3 convolution, norm, leaky ReLU on cat(layout, features): [N, layout + before, h, w] -> [N, width, h, w]."""

    def __init__(self, layout: int, before: int, width: int, norm: Norm, slope: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (layout + before, width):
            layers += [nn.Conv2d(inputs, width, 3, padding=1), *filter(None, [norm_layer(norm, width)])]
            layers.append(nn.LeakyReLU(slope))
        self.net = nn.Sequential(*layers)
        self.net.apply(init_kaiming)

    def forward(self, layout: Tensor, features: Tensor) -> Tensor:
        """layout: [N, layout, H, W], averaged to the size of `features` [N, before, h, w] where it is larger."""
        if layout.shape[-2:] != features.shape[-2:]:
            layout = F.avg_pool2d(layout, layout.shape[-2] // features.shape[-2])
        return self.net(torch.cat([layout, features], 1))


class RefinementNetwork(nn.Module):
    """Modules at doubling sizes, the first twice as large as the zeros that it begins with, the last as large as the layout.

    inputs: channels of the layout. forward: layout [N, inputs, H, W], H and W multiples of 2 ** modules -> pictures
    [N, 3, H, W], ImageNet-normalised and unbounded. Nothing is random.
    """

    def __init__(self, inputs: int, widths: Sequence[int], *, norm: Norm = "batch", slope: float = 0.2) -> None:
        super().__init__()
        before = [1, *widths[:-1]]
        self.refinement_modules = nn.ModuleList(
            RefinementModule(inputs, b, width, norm, slope) for b, width in zip(before, widths, strict=True)
        )
        self.output_conv = nn.Sequential(
            nn.Conv2d(widths[-1], widths[-1], 3, padding=1), nn.LeakyReLU(slope), nn.Conv2d(widths[-1], 3, 1)
        )
        self.output_conv.apply(init_kaiming)

    def forward(self, layout: Tensor) -> Tensor:
        """See the class."""
        steps = len(self.refinement_modules)
        x = layout.new_zeros(len(layout), 1, layout.shape[2] >> steps, layout.shape[3] >> steps)
        for module in self.refinement_modules:
            x = module(layout, F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.output_conv(x)
