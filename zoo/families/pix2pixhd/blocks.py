"""Layers of pix2pixHD's generators (paper section 3.1), as lists for one Sequential: their places are the official ones."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Instance norm without scale, shift and running statistics, or batch norm with all of them."""
    return nn.BatchNorm2d(channels) if kind == "batch" else nn.InstanceNorm2d(channels, affine=False)


def stem(inputs: int, width: int, norm: str = "instance") -> list[nn.Module]:
    """7x7 over reflected borders."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(inputs, width, 7), norm_layer(norm, width), nn.ReLU()]


def halving(width: int, norm: str = "instance") -> list[nn.Module]:
    """Half the side (rounded up), twice the channels."""
    return [nn.Conv2d(width, 2 * width, 3, 2, 1), norm_layer(norm, 2 * width), nn.ReLU()]


def doubling(width: int, norm: str = "instance") -> list[nn.Module]:
    """Twice the side, half of `width` channels."""
    half = width // 2
    return [nn.ConvTranspose2d(width, half, 3, 2, 1, output_padding=1), norm_layer(norm, half), nn.ReLU()]


def head(width: int, outputs: int = 3, activation: type[nn.Module] = nn.Tanh) -> list[nn.Module]:
    """7x7 over reflected borders to the output, in [-1, 1] where the activation is a tanh."""
    return [nn.ReflectionPad2d(3), nn.Conv2d(width, outputs, 7), activation()]


def smaller(x: Tensor) -> Tensor:
    """Half the side: 3x3 means, the border not counted."""
    return F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
