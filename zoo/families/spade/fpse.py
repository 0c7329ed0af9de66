"""Feature-pyramid, semantics-embedding discriminators (CC-FPSE; SC-GAN trains ADE20K and COCO-Stuff with them)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.discriminators import Opinion
from zoo.nn.norms import conv_norm
from zoo.nn.resample import binomial_blur
from zoo.nn.spectral import conv2d

if TYPE_CHECKING:
    from zoo.families.spade.options import GanOptions
    from zoo.nn.labels import LabelInput


def _up(x: Tensor, factor: int) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def conv_block(norm: str, c_in: int, c_out: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, leaky ReLU."""
    return nn.Sequential(conv_norm(norm, c_in, c_out, kernel, stride, kernel // 2), nn.LeakyReLU(0.2))


class FPSEDiscriminator(nn.Module):
    """Scores at 1/4, 1/8 and 1/16 of the side: realism, plus agreement of the features with an embedding of the map.

    width: channels of the first of five stride-2 layers. smooth: blur the coarsest features. norm: of all but the three heads,
    which are shared by the scales. forward: images [B, 3, H, W] in [-1, 1] and planes [B, label_channels, H, W], H and W
    multiples of 32 -> Opinion; each of its four features is a group of its own (feature matching averages over them).
    """

    def __init__(
        self, label_channels: int, width: int = 64, norm: str = "spectralinstance", *, smooth: bool = False
    ) -> None:
        super().__init__()
        self.smooth = smooth
        d = width
        self.encoders = self._encoders((3, d, 2 * d, 4 * d, 8 * d, 8 * d), norm)
        self.laterals = nn.ModuleList(conv_block(norm, m * d, 4 * d, 1) for m in (2, 4, 8, 8))
        self.finals = nn.ModuleList(conv_block(norm, 4 * d, 2 * d, 3) for _ in range(3))
        self.score = nn.Conv2d(2 * d, 1, 1)
        self.segment = nn.Conv2d(2 * d, 2 * d, 1)
        self.embedding = nn.Conv2d(label_channels, 2 * d, 1)

    @classmethod
    def of(cls, label_input: LabelInput, options: GanOptions) -> Self:
        """For maps of these planes (`zoo.families.spade.joining`)."""
        return cls(label_input.channels, options.ndf, options.norm_d)

    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        """Images [B, 3, H, W] in [-1, 1] with their maps' planes [B, planes, H, W]."""
        return self(images, planes)

    def _encoders(self, widths: Sequence[int], norm: str) -> nn.ModuleList:
        return nn.ModuleList(conv_block(norm, a, b, 3, 2) for a, b in pairwise(widths))

    def encode(self, x: Tensor, logits: Sequence[Tensor] | None) -> list[Tensor]:
        """Features at 1/2 … 1/32. logits: for subclasses whose encoder is routed by the generator's."""
        features = []
        for layer in self.encoders:
            x = layer(x)
            features.append(x)
        return features

    def forward(self, images: Tensor, planes: Tensor, logits: Sequence[Tensor] | None = None) -> Opinion:
        features = self.encode(images, logits)[1:]
        top = binomial_blur(features[-1]) if self.smooth else features[-1]
        maps = [self.laterals[3](top)]
        for lateral, x in zip((*self.laterals[:3],)[::-1], features[2::-1], strict=True):
            maps.insert(0, _up(maps[0], 2) + lateral(x))
        segments = F.avg_pool2d(self.embedding(planes.to(images.dtype)), 2)
        scores = []
        for final, x in zip(self.finals, maps, strict=False):  # the coarsest map has no score
            segments = F.avg_pool2d(segments, 2)
            x = final(x)
            scores.append(self.score(x) + (segments * self.segment(x)).sum(1, keepdim=True))
        return Opinion(scores, [[f] for f in [*features[:3], top]])


class FPSEMDiscriminator(nn.Module):
    """The variant with six stride-2 layers and scores at 1/4, 1/16, 1/64 and of the whole picture ("fpsem").

    Everything is spectrally normalised, the heads too. As `FPSEDiscriminator` otherwise; H and W are multiples of 64. A norm
    with instance norm fails in training at 64 px, where it would see one pixel (official too): use "spectral".
    """

    def __init__(self, label_channels: int, width: int = 64, norm: str = "spectral") -> None:
        super().__init__()
        d = width
        widths = (3, d, 2 * d, 4 * d, 8 * d, 16 * d, 16 * d)
        self.encoders = nn.ModuleList(conv_block(norm, a, b, 3, 2) for a, b in pairwise(widths))
        self.laterals = nn.ModuleList(conv_block(norm, m * d, 4 * d, 1) for m in (2, 8, 16, 16))
        self.finals = nn.ModuleList(conv_block(norm, 4 * d, 2 * d, 3) for _ in range(4))
        self.score = conv2d(True, 2 * d, 1, 1)
        self.embedding = conv2d(True, label_channels, 2 * d, 1)

    @classmethod
    def of(cls, label_input: LabelInput, options: GanOptions) -> Self:
        """For maps of these planes (`zoo.families.spade.joining`)."""
        return cls(label_input.channels, options.ndf, options.norm_d)

    def judge(self, images: Tensor, planes: Tensor) -> Opinion:
        """Images [B, 3, H, W] in [-1, 1] with their maps' planes [B, planes, H, W]."""
        return self(images, planes)

    def forward(self, images: Tensor, planes: Tensor, logits: Sequence[Tensor] | None = None) -> Opinion:
        x, features = images, []
        for layer in self.encoders:
            x = layer(x)
            features.append(x)
        whole = self.laterals[3](features[5].mean((2, 3), keepdim=True))
        maps = [whole]
        for lateral, x in (
            (self.laterals[2], features[5]),
            (self.laterals[1], features[3]),
            (self.laterals[0], features[1]),
        ):
            y = lateral(x)
            above = maps[0].expand_as(y) if maps[0] is whole else _up(maps[0], 4)
            maps.insert(0, above + y)
        segments = self.embedding(planes.to(images.dtype))
        scores = []
        for i, (final, x) in enumerate(zip(self.finals, maps, strict=True)):
            segments = F.avg_pool2d(segments, 4) if i < 3 else segments.mean((2, 3), keepdim=True)
            x = final(x)
            scores.append(self.score(x) + (segments * x).sum(1, keepdim=True))
        return Opinion(scores, [[f] for f in features[1:5]])
