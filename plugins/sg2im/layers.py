"""Networks written as a text (docs/papers/sg2im.md, "Discriminators"); the places of layers in the sequence are the authors' keys.

I<c> channels of the input (3 without it) | C<k>-<out>[-<stride>] convolution | R residual block | U<f> nearest enlargement | P<f> pooling |
FC-<in>-<out> linear layer
"""

from __future__ import annotations

import re
from typing import Literal, NoReturn

from torch import Tensor, nn

from zoo.plugin import ConfigError
from zoo_plugins.sg2im.refinement import Norm, norm_layer

Padding = Literal["valid", "same"]
_LAYER = re.compile(r"I(\d{1,5})|C(\d{1,2})-(\d{1,5})(?:-(\d{1,2}))?|(R)|U(\d{1,2})|P(\d{1,2})|FC-(\d{1,5})-(\d{1,5})")
_KERNEL = 3
"""Of residual blocks."""


class ResidualBlock(nn.Module):
    """x + net(x). In training its batch norms move twice per call, as in the authors' code, which runs it twice."""

    def __init__(self, channels: int, norm: Norm, slope: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [*filter(None, [norm_layer(norm, channels)]), nn.LeakyReLU(slope)]
            layers.append(nn.Conv2d(channels, channels, _KERNEL, padding=_KERNEL // 2))
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> the same shape."""
        if self.training:
            self.net(x)
        return x + self.net(x)


def build_layers(
    arch: str,
    *,
    norm: Norm = "batch",
    padding: Padding = "same",
    slope: float = 0.01,
    pooling: Literal["max", "avg"] = "max",
) -> tuple[nn.Sequential, int]:
    """The layers of a text and the width of the last one.

    Norm and leaky ReLU stand in front of every convolution but the first, a leaky ReLU behind every linear layer but the last; nothing
    stands behind the last layer. Raises ConfigError for what is no such text, and for what padding does not allow.
    """
    texts = [text.strip() for text in arch.split(",")]
    layers: list[nn.Module] = []
    width, convolved = 3, False
    for number, text in enumerate(texts):
        found = _LAYER.fullmatch(text)
        if found is None or any(g is not None and g.isdecimal() and int(g) == 0 for g in found.groups()):
            _refuse(arch, text, "expected I<c>, C<k>-<out>[-<stride>], R, U<f>, P<f> or FC-<in>-<out>, numbers above 0")
        channels, side, out, stride, residual, up, pool, fc_in, fc_out = found.groups()
        if channels:
            width = int(channels)
        elif side:
            if padding == "same" and int(side) % 2 == 0:
                _refuse(arch, text, "padding same needs an odd side")
            if convolved:
                layers += [*filter(None, [norm_layer(norm, width)]), nn.LeakyReLU(slope)]
            pad = 0 if padding == "valid" else (int(side) - 1) // 2
            layers.append(nn.Conv2d(width, int(out), int(side), int(stride or 1), pad))
            width, convolved = int(out), True
        elif residual:
            if padding == "valid":
                _refuse(arch, text, "a residual block needs padding same")
            layers.append(ResidualBlock(width, norm, slope))
        elif up:
            layers.append(nn.Upsample(scale_factor=int(up), mode="nearest"))
        elif pool:
            layers.append((nn.MaxPool2d if pooling == "max" else nn.AvgPool2d)(int(pool)))
        else:
            if not any(isinstance(layer, nn.Linear) for layer in layers):
                layers.append(nn.Flatten())
            layers.append(nn.Linear(int(fc_in), int(fc_out)))
            if number < len(texts) - 1:
                layers.append(nn.LeakyReLU(slope))
            width = int(fc_out)
    return nn.Sequential(*layers), width


def _refuse(arch: str, text: str, why: str) -> NoReturn:
    raise ConfigError(f"The network {arch!r} has {text!r}: {why}.")
