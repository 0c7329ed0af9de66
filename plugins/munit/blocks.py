"""The layers that all of MUNIT's networks are made of: padding, convolution, norm, activation. Keys are the authors'."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.errors import ConfigError
from zoo_plugins.munit.spectral import SpectralConv, SpectralLinear

Affine = tuple[Tensor, Tensor]
"""Scale and shift [B, C] of an adaptive norm."""
EPS = 1e-5
_PADDINGS = {"reflect": nn.ReflectionPad2d, "replicate": nn.ReplicationPad2d, "zero": nn.ZeroPad2d}


class LayerNorm(nn.Module):
    """(x - mean) / (std + 1e-5) over all of a sample, then a scale and a shift for each channel.

    Quirks kept: the standard deviation divides by n - 1, eps stands outside the root, and the scale starts uniform in [0, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(channels).uniform_())
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1).float()
        shape = (-1, *(1,) * (x.dim() - 1))
        mean, std = flat.mean(1).view(shape), flat.std(1).view(shape)
        shape = (1, -1, *(1,) * (x.dim() - 2))
        return ((x - mean) / (std + EPS) * self.gamma.view(shape) + self.beta.view(shape)).to(x.dtype)


class AdaptiveNorm(nn.Module):
    """Instance norm (biased variance), times a scale plus a shift that come with the call, as they are (no 1 + scale).

    The authors' checkpoints hold running statistics of it that nothing reads; they are left out here.
    """

    def forward(self, x: Tensor, affine: Affine) -> Tensor:
        scale, shift = (part[:, :, None, None] for part in affine)
        return torch.addcmul(shift.to(x.dtype), F.instance_norm(x, eps=EPS), scale.to(x.dtype))


def norm_of(kind: str, channels: int) -> nn.Module | None:
    """none and sn (which is of the weight): no layer; in without parameters, bn with, ln, adain. Raises ConfigError."""
    if kind in ("none", "sn"):
        return None
    if kind == "bn":
        return nn.BatchNorm2d(channels)
    if kind == "in":
        return nn.InstanceNorm2d(channels)
    if kind == "ln":
        return LayerNorm(channels)
    if kind == "adain":
        return AdaptiveNorm()
    raise ConfigError(f"Norm {kind!r}: expected one of none, in, bn, ln, adain, sn.")


def activation_of(kind: str) -> nn.Module | None:
    """relu, lrelu (slope 0.2), prelu, selu, tanh, or nothing. Raises ConfigError."""
    made = {
        "relu": nn.ReLU, "lrelu": lambda: nn.LeakyReLU(0.2), "prelu": nn.PReLU, "selu": nn.SELU, "tanh": nn.Tanh, "none": lambda: None,
    }.get(kind)  # fmt: skip
    if made is None:
        raise ConfigError(f"Activation {kind!r}: expected one of relu, lrelu, prelu, selu, tanh, none.")
    return made()


class ConvBlock(nn.Module):
    """Padding, convolution with a bias, norm, activation: [B, c_in, H, W] -> [B, c_out, H', W'].

    norm adain: the call takes its scale and shift [B, c_out].
    """

    def __init__(
        self,
        c_in: int,
        c_out: int,
        kernel: int,
        stride: int = 1,
        padding: int = 0,
        *,
        norm: str = "none",
        activ: str = "relu",
        pad_type: str = "zero",
    ) -> None:
        super().__init__()
        if pad_type not in _PADDINGS:
            raise ConfigError(f"Padding {pad_type!r}: expected one of {', '.join(_PADDINGS)}.")
        self.pad = _PADDINGS[pad_type](padding)
        self.norm = norm_of(norm, c_out)
        self.activation = activation_of(activ)
        conv = nn.Conv2d(c_in, c_out, kernel, stride)
        self.conv = SpectralConv(conv) if norm == "sn" else conv

    def forward(self, x: Tensor, affine: Affine | None = None) -> Tensor:
        x = self.conv(self.pad(x))
        if self.norm is not None:
            x = self.norm(x) if affine is None else self.norm(x, affine)
        return x if self.activation is None else self.activation(x)


class LinearBlock(nn.Module):
    """Linear layer, norm (none, ln or sn), activation: [B, c_in] -> [B, c_out]."""

    def __init__(self, c_in: int, c_out: int, *, norm: str = "none", activ: str = "relu") -> None:
        super().__init__()
        fc = nn.Linear(c_in, c_out)
        self.fc = SpectralLinear(fc) if norm == "sn" else fc
        self.norm = norm_of(norm, c_out)
        self.activation = activation_of(activ)

    def forward(self, x: Tensor) -> Tensor:
        x = self.fc(x)
        x = x if self.norm is None else self.norm(x)
        return x if self.activation is None else self.activation(x)


class ResBlock(nn.Module):
    """Two 3x3 blocks and the way around them; nothing follows the sum."""

    def __init__(self, channels: int, *, norm: str = "in", activ: str = "relu", pad_type: str = "zero") -> None:
        super().__init__()
        self.model = nn.ModuleList(
            ConvBlock(channels, channels, 3, 1, 1, norm=norm, activ=a, pad_type=pad_type) for a in (activ, "none")
        )

    def forward(self, x: Tensor, affines: tuple[Affine, Affine] | None = None) -> Tensor:
        first, second = self.model
        if affines is None:
            return second(first(x)) + x
        return second(first(x, affines[0]), affines[1]) + x


class ResBlocks(nn.Module):
    """Several of them, one after the other."""

    def __init__(self, count: int, channels: int, *, norm: str, activ: str, pad_type: str) -> None:
        super().__init__()
        self.model = nn.ModuleList(ResBlock(channels, norm=norm, activ=activ, pad_type=pad_type) for _ in range(count))

    def forward(self, x: Tensor, affines: list[Affine] | None = None) -> Tensor:
        """affines: of adaptive norms, two for each block in order."""
        for i, block in enumerate(self.model):
            x = block(x) if affines is None else block(x, (affines[2 * i], affines[2 * i + 1]))
        return x
