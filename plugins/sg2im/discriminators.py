"""Discriminators of objects and of pictures (docs/papers/sg2im.md, "Discriminators"). Keys are the authors'."""

from __future__ import annotations

from torch import Tensor, nn

from zoo_plugins.sg2im.layers import Padding, build_layers
from zoo_plugins.sg2im.placing import crop
from zoo_plugins.sg2im.refinement import Norm

HIDDEN = 1024
"""Numbers in front of the classifiers of objects."""


class GlobalMean(nn.Module):
    """[B, C, H, W] -> [B, C]."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return x.mean((2, 3))


class CropClassifier(nn.Module):
    """Pictures of single objects [O, 3, side, side] -> how real each is [O, 1], and scores of its class [O, objects]."""

    def __init__(self, objects: int, arch: str, norm: Norm, padding: Padding, slope: float) -> None:
        super().__init__()
        layers, width = build_layers(arch, norm=norm, padding=padding, slope=slope)
        self.cnn = nn.Sequential(layers, GlobalMean(), nn.Linear(width, HIDDEN))
        self.real_classifier = nn.Linear(HIDDEN, 1)
        self.obj_classifier = nn.Linear(HIDDEN, objects)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        features = self.cnn(x)
        return self.real_classifier(features), self.obj_classifier(features)


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
        self.discriminator = CropClassifier(objects, arch, norm, padding, slope)

    def forward(self, pictures: Tensor, boxes: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        crops = crop(pictures, boxes, images, (self.side, self.side), align_corners=self.align_corners)
        return self.discriminator(crops)


class PatchDiscriminator(nn.Module):
    """Is a picture real? forward: pictures [N, 3, H, W] -> [N, width, h, w].

    As the authors' code has it, the last features are the scores, all of them; `classifier` is in their files and is never called.
    """

    def __init__(self, arch: str, *, norm: Norm = "batch", padding: Padding = "valid", slope: float = 0.2) -> None:
        super().__init__()
        self.cnn, width = build_layers(arch, norm=norm, padding=padding, slope=slope)
        self.classifier = nn.Conv2d(width, 1, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        return self.cnn(pictures)
