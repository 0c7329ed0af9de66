"""MaskGAN's layers: adaptive instance norm, convolution blocks, residual blocks, spatial feature transforms."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["relu", "lrelu", "tanh", "none"]
EPS = 1e-5


def modulate(normalized: Tensor, params: Tensor) -> Tensor:
    """Adaptive instance norm's second half: features [B or 1, C, H, W] times scales plus shifts. params: [S, 2C], shifts first.

    Quirk: the scale is used as it is, without 1 +. One map's features serve any number S of styles.
    """
    shift, scale = params.to(normalized)[:, :, None, None].chunk(2, 1)
    return normalized * scale + shift


class ConvBlock(nn.Module):
    """A convolution with a bias over padded borders, perhaps an instance norm (no scale, no shift), an activation."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        *,
        pad: Literal["reflect", "replicate", "zero"] = "reflect",
        norm: bool = False,
        activation: Activation = "relu",
    ) -> None:
        super().__init__()
        pads = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d, "zero": nn.ZeroPad2d}
        self.pad = pads[pad](padding)
        self.conv = nn.Conv2d(c_in, c_out, kernel, stride)
        self.norm = nn.InstanceNorm2d(c_out, eps=EPS) if norm else None
        acts = {"relu": nn.ReLU, "lrelu": lambda: nn.LeakyReLU(0.2), "tanh": nn.Tanh, "none": nn.Identity}
        self.act = acts[activation]()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.normed(x))

    def normed(self, x: Tensor) -> Tensor:
        """What the activation sees."""
        x = self.conv(self.pad(x))
        return x if self.norm is None else self.norm(x)


class ResnetBlock(nn.Module):
    """x + two 3x3 convolutions over reflected borders, each with an instance norm that a style may modulate, a ReLU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            ConvBlock(channels, channels, 3, 1, 1, norm=True),
            ConvBlock(channels, channels, 3, 1, 1, norm=True, activation="none"),
        )

    def first(self, x: Tensor) -> Tensor:
        """The first convolution, normalized: what no style has touched."""
        return self.conv_block[0].normed(x)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor, params: Tensor | None = None, first: Tensor | None = None) -> Tensor:
        """[B or 1, C, H, W], both sides at least 2 -> [S or B, C, H, W]. params: of both norms [S, 2, 2C], or None: none is modulated.
        first: what `first` gives for x, where it is there already."""
        h = self.first(x) if first is None else first
        h = F.relu(h if params is None else modulate(h, params[:, 0]))
        h = self.conv_block[1].normed(h)  # pyright: ignore[reportCallIssue]
        return x + (h if params is None else modulate(h, params[:, 1]))


class SpatialTransform(nn.Module):
    """SFT: x * S(c) + T(c), S and T two 1x1 convolutions each with a leaky ReLU 0.1 between them. Quirk: no 1 + on the scale."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = (
            nn.Sequential(nn.Conv2d(channels, channels, 1), nn.LeakyReLU(0.1), nn.Conv2d(channels, channels, 1))
            for _ in range(2)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Both [B, channels, H, W] -> the same shape."""
        return x * self.scale(condition) + self.shift(condition)


@torch.no_grad()
def init_convolutions(module: nn.Module, std: float = 0.02) -> None:
    """The authors' start: weights of convolutions from N(0, std). Transposed ones and biases keep torch's own start.

    Random: from torch's global generator.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, std)
