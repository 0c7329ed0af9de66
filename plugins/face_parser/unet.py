"""The U-Net of the CelebAMask-HQ face parser (docs/papers/face_parser.md, "Architecture"): five levels, skips by concatenation, logits out."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from zoo.plugin import DataError

ENCODER = ("conv1", "conv2", "conv3", "conv4", "center")
DECODER = ("up_concat4", "up_concat3", "up_concat2", "up_concat1")
STAGES = ENCODER + DECODER
MULTIPLE = 16
"""Four poolings by two: the sides of the input must be multiples of this."""


def level_widths(feature_scale: float) -> tuple[int, ...]:
    """Channels of the five levels: 64, 128, 256, 512, 1024 divided by the scale and cut to integers."""
    return tuple(int(full / feature_scale) for full in (64, 128, 256, 512, 1024))


class Block(nn.Module):
    """[Conv 3x3, BatchNorm, ReLU] twice: [B, inputs, H, W] -> [B, outputs, H, W]."""

    def __init__(self, inputs: int, outputs: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv1 = _unit(inputs, outputs, batch_norm)
        self.conv2 = _unit(outputs, outputs, batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


def _unit(inputs: int, outputs: int, batch_norm: bool) -> nn.Sequential:
    # The convolution keeps its bias in front of the norm: it does nothing, but the checkpoints hold it.
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers, nn.ReLU())


class Up(nn.Module):
    """Doubles the side (transposed convolution), puts the skip in front, then a Block: [B, inputs, H, W] -> [B, inputs / 2, 2H, 2W]."""

    def __init__(self, inputs: int, outputs: int, batch_norm: bool) -> None:
        super().__init__()
        self.conv = Block(2 * outputs, outputs, batch_norm)
        self.up = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)

    def forward(self, skip: Tensor, x: Tensor) -> Tensor:
        return self.conv(torch.cat([skip, self.up(x)], dim=1))


class UNet(nn.Module):
    """Photos float [B, 3, H, W] in [-1, 1] (H, W multiples of 16) -> logits [B, classes, H, W], no activation.

    Nothing is random. Raises DataError for sides that are no multiples of 16.
    """

    def __init__(self, classes: int, feature_scale: float = 4, in_channels: int = 3, batch_norm: bool = True) -> None:
        super().__init__()
        f1, f2, f3, f4, f5 = level_widths(feature_scale)
        self.conv1 = Block(in_channels, f1, batch_norm)
        self.conv2 = Block(f1, f2, batch_norm)
        self.conv3 = Block(f2, f3, batch_norm)
        self.conv4 = Block(f3, f4, batch_norm)
        self.center = Block(f4, f5, batch_norm)
        self.up_concat4 = Up(f5, f4, batch_norm)
        self.up_concat3 = Up(f4, f3, batch_norm)
        self.up_concat2 = Up(f3, f2, batch_norm)
        self.up_concat1 = Up(f2, f1, batch_norm)
        self.final = nn.Conv2d(f1, classes, 1)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The outputs of the blocks named in STAGES, one after the other; stop early and the rest is never computed."""
        _check_sides(x)
        skips: list[Tensor] = []
        for name in ENCODER:
            x = getattr(self, name)(nn.functional.max_pool2d(x, 2) if skips else x)
            skips.append(x)
            yield x
        skips.pop()
        for name in DECODER:
            x = getattr(self, name)(skips.pop(), x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        last = x
        for last in self.stages(x):  # noqa: B007 - only the last stage is wanted
            pass
        return self.final(last)


def _check_sides(x: Tensor) -> None:
    height, width = x.shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        near = tuple(max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in (height, width))
        raise DataError(
            f"The face parser needs sides that are multiples of {MULTIPLE}, got {height} x {width}: resize to {near[0]} x {near[1]}."
        )
