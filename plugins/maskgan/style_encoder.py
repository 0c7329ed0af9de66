"""The encoders of MaskGAN's style: of the reference photo, and of its map (docs/papers/maskgan.md, "Style")."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo_plugins.maskgan.blocks import Activation, ConvBlock, SpatialTransform


def descent(inputs: int, width: int, last: Activation) -> list[nn.Module]:
    """7x7, then two halvings to four times the width. last: activation of the last layer."""
    layers: list[nn.Module] = [
        ConvBlock(inputs, width, 7, 1, 3),
        ConvBlock(width, 2 * width, 4, 2, 1),
        ConvBlock(2 * width, 4 * width, 4, 2, 1, activation=last),
    ]
    return layers


def further(channels: int, last: Activation) -> list[nn.Module]:
    """Three more halvings of the same width."""
    acts: tuple[Activation, ...] = ("relu", "relu", last)
    layers: list[nn.Module] = [ConvBlock(channels, channels, 4, 2, 1, activation=act) for act in acts]
    return layers


class LabelEncoder(nn.Module):
    """The reference map's planes -> features at a quarter and at 1/32 of its size, both without an activation."""

    def __init__(self, planes: int, width: int) -> None:
        super().__init__()
        self.model = nn.Sequential(*descent(planes, width, "none"))
        self.model_last = nn.Sequential(nn.ReLU(), *further(4 * width, "none"))

    def forward(self, planes: Tensor) -> tuple[Tensor, Tensor]:
        """[B, planes, H, W], both sides at least 32 -> [B, 4 width, H/4, W/4], [B, 4 width, H/32, W/32]."""
        fine = self.model(planes)
        return fine, self.model_last(fine)


class StyleEncoder(nn.Module):
    """The reference photo, transformed twice by what the label encoder says of its map, pooled to a code, and that to all norms' parameters.

    The place of things reaches the style through the two transforms alone; the code has no places and no classes.
    """

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        wide = 4 * width
        self.model = nn.Sequential(*descent(3, width, "relu"))
        self.sft1 = SpatialTransform(wide)
        self.model_middle = nn.Sequential(*further(wide, "relu"))
        self.sft2 = SpatialTransform(wide)
        self.model_last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(wide, outputs, 1))

    def code(self, images: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [-1, 1] of the map's size, and the label encoder's features -> [B, 4 width]."""
        x = self.sft1(self.model(images), fine)
        x = self.sft2(self.model_middle(x), coarse)
        return self.model_last[0](x).flatten(1)

    def parameters_of(self, codes: Tensor) -> Tensor:
        """Codes [B, 4 width] -> the norms' parameters [B, outputs]: an affine map."""
        return self.model_last[1](codes[:, :, None, None]).flatten(1)

    @torch.no_grad()
    def exact_parameters_of(self, codes: Tensor) -> Tensor:
        """The same for codes float64 on the CPU, row by row, so that a sample's numbers do not depend on its batch; float32."""
        last = self.model_last[1]
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        weight, bias = last.weight.double().cpu().flatten(1), last.bias.double().cpu()
        return torch.stack([bias + weight @ code for code in codes]).float()

    def forward(self, images: Tensor, fine: Tensor, coarse: Tensor) -> Tensor:
        return self.parameters_of(self.code(images, fine, coarse))
