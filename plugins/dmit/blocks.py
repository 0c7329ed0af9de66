"""Convolutions and residual blocks of DMIT. Every convolution is spectrally normalised and padded by reflection, transposed ones by zeros.

LeakyReLUs have the slope 0.2. Widths, kernels, strides and paddings are written k/s/p, as 4/2/1.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.spectral import SNConv2d, SNConvTranspose2d
from zoo_plugins.dmit.config import NormKind, Upsampling
from zoo_plugins.dmit.norms import LayerNorm, plain_norm, shifted_norm

SLOPE = 0.2
Activation = Literal["lrelu", "relu", "none"]


def activate(x: Tensor, activation: Activation) -> Tensor:
    """The named activation."""
    if activation == "none":
        return x
    return F.relu(x) if activation == "relu" else F.leaky_relu(x, SLOPE)


class ConvBlock(nn.Module):
    """Reflection padding, convolution, norm, activation: [B, c_in, H, W] -> [B, c_out, H', W'].

    norm: a module of `c_out` channels, or None.
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        *,
        bias: bool = False,
        norm: nn.Module | None = None,
        activation: Activation = "none",
    ) -> None:
        super().__init__()
        self.padding = padding
        self.activation: Activation = activation
        self.conv = SNConv2d(c_in, c_out, kernel, stride, bias=bias)
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        if self.padding:
            x = F.pad(x, (self.padding,) * 4, mode="reflect")
        x = self.conv(x)
        return activate(x if self.norm is None else self.norm(x), self.activation)


class UpBlock(nn.Module):
    """Twice the side, layer norm, ReLU: [B, c_in, H, W] -> [B, c_out, 2H, 2W].

    transpose: a transposed convolution 4/2/1. nearest: nearest doubling, then a convolution 3/1/1. pixelshuffle: a convolution 3/1/1 to
    4 c_out channels, norm and ReLU over these, then the channels become pixels.
    """

    def __init__(self, c_in: int, c_out: int, kind: Upsampling) -> None:
        super().__init__()
        self.kind = kind
        if kind == "transpose":
            self.conv = SNConvTranspose2d(c_in, c_out, 4, 2, 1, bias=False)
        else:
            self.conv = SNConv2d(c_in, c_out if kind == "nearest" else 4 * c_out, 3, bias=False)
        self.norm = LayerNorm(self.conv.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "nearest":
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
        if self.kind != "transpose":
            x = F.pad(x, (1,) * 4, mode="reflect")
        x = F.relu(self.norm(self.conv(x)))
        return F.pixel_shuffle(x, 2) if self.kind == "pixelshuffle" else x


class ResidualBlock(nn.Module):
    """x + two convolutions 3/1/1 with norms, a LeakyReLU between them. dropout: of half the numbers behind them, in training mode
    (the authors' content encoder has none)."""

    def __init__(self, channels: int, norm: NormKind, *, dropout: bool = False) -> None:
        super().__init__()
        self.conv_0 = ConvBlock(channels, channels, 3, 1, 1, norm=plain_norm(norm, channels), activation="lrelu")
        self.conv_1 = ConvBlock(channels, channels, 3, 1, 1, norm=plain_norm(norm, channels))
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        dx = self.conv_1(self.conv_0(x))
        return x + (F.dropout(dx, 0.5, self.training) if self.dropout else dx)


class ShiftedResidualBlock(nn.Module):
    """The same with norms that read a code, and a ReLU between them. Random: dropout, from torch's own generator as in every network.

    forward: x [B, channels, H, W], code [B, code] -> the shape of x.
    """

    def __init__(self, channels: int, code: int, norm: NormKind, *, dropout: bool = False) -> None:
        super().__init__()
        self.conv_0 = ConvBlock(channels, channels, 3, 1, 1)
        self.norm_0 = shifted_norm(norm, channels, code)
        self.conv_1 = ConvBlock(channels, channels, 3, 1, 1)
        self.norm_1 = shifted_norm(norm, channels, code)
        self.dropout = dropout

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        dx = self.norm_1(self.conv_1(F.relu(self.norm_0(self.conv_0(x), code))), code)
        return x + (F.dropout(dx, 0.5, self.training) if self.dropout else dx)


class DownBlock(nn.Module):
    """Norm, LeakyReLU and convolution 3/1/1 twice, then average pooling by 2; plus the pooled input through a 1x1 convolution.

    [B, c_in, H, W] -> [B, c_out, H // 2, W // 2].
    """

    def __init__(self, c_in: int, c_out: int, norm: NormKind) -> None:
        super().__init__()
        self.norm_0 = plain_norm(norm, c_in)
        self.conv_0 = ConvBlock(c_in, c_in, 3, 1, 1, norm=plain_norm(norm, c_in), activation="lrelu")
        self.conv_1 = ConvBlock(c_in, c_out, 3, 1, 1)
        self.shortcut = ConvBlock(c_in, c_out, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        dx = self.conv_1(self.conv_0(F.leaky_relu(self.norm_0(x), SLOPE)))
        return F.avg_pool2d(dx, 2) + self.shortcut(F.avg_pool2d(x, 2))


class ShiftedDownBlock(nn.Module):
    """`DownBlock` with norms that read a code [B, code]."""

    def __init__(self, c_in: int, c_out: int, code: int, norm: NormKind) -> None:
        super().__init__()
        self.norm_0 = shifted_norm(norm, c_in, code)
        self.conv_0 = ConvBlock(c_in, c_in, 3, 1, 1)
        self.norm_1 = shifted_norm(norm, c_in, code)
        self.conv_1 = ConvBlock(c_in, c_out, 3, 1, 1)
        self.shortcut = ConvBlock(c_in, c_out, 1, bias=True)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        dx = self.conv_0(F.leaky_relu(self.norm_0(x, code), SLOPE))
        dx = self.conv_1(F.leaky_relu(self.norm_1(dx, code), SLOPE))
        return F.avg_pool2d(dx, 2) + self.shortcut(F.avg_pool2d(x, 2))
