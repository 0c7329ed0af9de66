"""A parser on pretrained features: EfficientNet-Lite0 (timm's, without its last stage and head) under a small U-Net decoder. Ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.plugin import DataError

ENDS = (0, 1, 2, 4, 5)
"""The stages of the encoder whose outputs the decoder sees: strides 2, 4, 8, 16 and 32."""
ENCODER = ("stride2", "stride4", "stride8", "stride16", "stride32")
DECODER = ("up16", "up8", "up4", "up2")
STAGES = ENCODER + DECODER
MULTIPLE = 32


class LiteEncoder(nn.Module):
    """The stem and the stages 0 to 5 of `tf_efficientnet_lite0`: images [B, 3, H, W] in [-1, 1] -> a map for each of ENDS, finest
    first, of `channels` 16, 24, 40, 112 and 192. The linear bottlenecks' outputs have no activation behind them."""

    def __init__(self, network: nn.Module | None = None) -> None:
        """network: whose parts it takes; None: a new one with random weights."""
        super().__init__()
        import timm

        network = network or timm.create_model("tf_efficientnet_lite0", pretrained=False)
        self.stem = nn.Sequential(cast(nn.Module, network.conv_stem), cast(nn.Module, network.bn1))
        self.stages = nn.ModuleList(list(cast(nn.Sequential, network.blocks))[: max(ENDS) + 1])
        self.channels = tuple(_width(self.stages[end]) for end in ENDS)

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.outputs(images))

    def outputs(self, images: Tensor) -> Iterator[Tensor]:
        """The maps one after the other; stop early and the rest is never computed."""
        x = self.stem(images)
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in ENDS:
                yield x

    def load_pretrained(self) -> None:
        """Take the ImageNet weights of the pip package (extra `train`), held against their digest. Raises UsageError, WeightsError."""
        from zoo.nn.pretrained import lite_network

        theirs = LiteEncoder(lite_network())
        self.load_state_dict(theirs.state_dict())


def _width(stage: nn.Module) -> int:
    """Channels of a stage's output: those of its last norm's."""
    return [m for m in stage.modules() if isinstance(m, nn.BatchNorm2d)][-1].num_features


class Up(nn.Module):
    """Doubles the side (bilinear), puts the skip behind, then [conv 3x3, BatchNorm, ReLU]."""

    def __init__(self, below: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(below + skip, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, below: Tensor, skip: Tensor) -> Tensor:
        below = F.interpolate(below, size=skip.shape[-2:], mode="bilinear", align_corners=False)
        return F.relu(self.norm(self.conv(torch.cat([below, skip], dim=1))))


class LiteNet(nn.Module):
    """Photos float [B, 3, H, W] in [-1, 1] (H, W multiples of 32) -> logits [B, classes, H, W], no activation.

    The decoder ends at half the side; its logits are enlarged (bilinear). Nothing is random. Raises DataError for other sides.
    """

    def __init__(self, classes: int, widths: Sequence[int]) -> None:
        """widths: channels of the decoder at strides 16, 8, 4 and 2."""
        super().__init__()
        self.encoder = LiteEncoder()
        *skips, below = self.encoder.channels
        ups = []
        for width, skip in zip(widths, reversed(skips), strict=True):
            ups.append(Up(below, skip, width))
            below = width
        self.ups = nn.ModuleList(ups)
        self.final = nn.Conv2d(below, classes, 1)

    def stages(self, x: Tensor) -> Iterator[Tensor]:
        """The maps named in STAGES, one after the other; stop early and the rest is never computed."""
        _check_sides(x)
        skips: list[Tensor] = []
        for found in self.encoder.outputs(x):
            skips.append(found)
            yield found
        below = skips.pop()
        for up in self.ups:
            below = up(below, skips.pop())
            yield below

    def forward(self, x: Tensor) -> Tensor:
        last = x
        for last in self.stages(x):  # noqa: B007 - only the last stage is wanted
            pass
        return F.interpolate(self.final(last), size=x.shape[-2:], mode="bilinear", align_corners=False)


def _check_sides(x: Tensor) -> None:
    height, width = x.shape[-2:]
    if height % MULTIPLE or width % MULTIPLE:
        near = tuple(max(MULTIPLE, round(side / MULTIPLE) * MULTIPLE) for side in (height, width))
        raise DataError(
            f"The parser needs sides that are multiples of {MULTIPLE}, got {height} x {width}: resize to {near[0]} x {near[1]}."
        )
