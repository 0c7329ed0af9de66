"""Discriminators of objects and of pictures (docs/papers/sg2im.md, "Discriminators"). Keys are the authors'."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from zoo.plugin import ConfigError
from zoo_plugins.sg2im.placing import crop
from zoo_plugins.sg2im.refinement import Norm, norm_layer

Padding = Literal["valid", "same"]
HIDDEN = 1024
"""Numbers in front of the classifiers of objects."""


class GlobalMean(nn.Module):
    """[B, C, H, W] -> [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


def convolutions(arch: str, norm: Norm, padding: Padding, slope: float) -> tuple[nn.Sequential, int]:
    """Layers from a text such as "C4-64-2,C4-128-2": side, width and stride (1 where it is left out) of each convolution; norm and leaky
    ReLU stand in front of all but the first. Returns them and the last width. Raises ConfigError."""
    layers: list[nn.Module] = []
    before = 3
    for number, text in enumerate(arch.split(",")):
        parts = text.strip()[1:].split("-")
        if not text.strip().startswith("C") or len(parts) not in (2, 3) or not all(p.isdecimal() for p in parts):
            raise ConfigError(
                f"Discriminator {arch!r}: expected convolutions C<side>-<width>[-<stride>] with commas between, got {text!r}."
            )
        side, width, stride = (*map(int, parts), 1)[:3]
        if min(side, width, stride) < 1 or (padding == "same" and side % 2 == 0):
            raise ConfigError(
                f"Discriminator {arch!r}: {text!r} has a side, width or stride of 0, or an even side with padding same."
            )
        if number:
            layers += [*filter(None, [norm_layer(norm, before)]), nn.LeakyReLU(slope)]
        layers.append(nn.Conv2d(before, width, side, stride, 0 if padding == "valid" else (side - 1) // 2))
        before = width
    return nn.Sequential(*layers), before


class ObjectDiscriminator(nn.Module):
    """Is what lies in a box real, and of which class is it?

    forward: pictures [N, 3, H, W], boxes [O, 4], images int64 [O] -> scores [O, 1] and class scores [O, objects].
    """

    def __init__(
        self, objects: int, arch: str, *, norm: Norm = "batch", padding: Padding = "valid", slope: float = 0.2,
        side: int = 32, align_corners: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.side, self.align_corners = side, align_corners
        self.discriminator = _Classifier(objects, arch, norm, padding, slope)

    def forward(self, pictures: Tensor, boxes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        crops = crop(pictures, boxes, images, (self.side, self.side), align_corners=self.align_corners)
        return self.discriminator(crops)


class _Classifier(nn.Module):
    def __init__(self, objects: int, arch: str, norm: Norm, padding: Padding, slope: float) -> None:
        super().__init__()
        layers, width = convolutions(arch, norm, padding, slope)
        self.cnn = nn.Sequential(layers, GlobalMean(), nn.Linear(width, HIDDEN))
        self.real_classifier = nn.Linear(HIDDEN, 1)
        self.obj_classifier = nn.Linear(HIDDEN, objects)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.cnn(x)
        return self.real_classifier(features), self.obj_classifier(features)


class PatchDiscriminator(nn.Module):
    """Is a picture real? forward: pictures [N, 3, H, W] -> [N, width, h, w].

    As the authors' code has it, the last features are the scores, all of them; `classifier` is in their files and is never called.
    """

    def __init__(self, arch: str, *, norm: Norm = "batch", padding: Padding = "valid", slope: float = 0.2) -> None:
        super().__init__()
        self.cnn, width = convolutions(arch, norm, padding, slope)
        self.classifier = nn.Conv2d(width, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        return self.cnn(pictures)
