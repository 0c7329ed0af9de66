"""MUNIT's discriminator: the same small network at several scales (MsImageDis), one for each domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo_plugins.munit.blocks import ConvBlock
from zoo_plugins.munit.config import MunitOptions


class MultiscaleDiscriminator(nn.Module):
    """Photos [B, 3, H, W] in [-1, 1] -> a map of scores [B, 1, h, w] for each scale, the finest first. It sees the photo alone."""

    def __init__(
        self,
        width: int = 64,
        n_layer: int = 4,
        scales: int = 3,
        *,
        norm: str = "none",
        activ: str = "lrelu",
        pad_type: str = "reflect",
    ) -> None:
        super().__init__()
        self.cnns = nn.ModuleList(_network(width, n_layer, norm, activ, pad_type) for _ in range(scales))

    @classmethod
    def of(cls, options: MunitOptions) -> MultiscaleDiscriminator:
        """As the options size it."""
        o = options
        return cls(o.ndf, o.n_layer, o.num_scales, norm=o.norm_d, activ=o.activ_d, pad_type=o.pad_type_d)

    def forward(self, images: Tensor) -> list[Tensor]:
        scores = []
        for i, network in enumerate(self.cnns):
            if i:
                images = F.avg_pool2d(images, 3, 2, 1, count_include_pad=False)
            scores.append(network(images))
        return scores


def _network(width: int, n_layer: int, norm: str, activ: str, pad_type: str) -> nn.Sequential:
    """`n_layer` halvings with doubling widths, the first without a norm, and a plain 1x1 convolution."""
    more = {"activ": activ, "pad_type": pad_type}
    layers: list[nn.Module] = [ConvBlock(3, width, 4, 2, 1, norm="none", **more)]
    for _ in range(n_layer - 1):
        layers.append(ConvBlock(width, 2 * width, 4, 2, 1, norm=norm, **more))
        width *= 2
    return nn.Sequential(*layers, nn.Conv2d(width, 1, 1))


def fewest_pixels(options: MunitOptions) -> int:
    """The shortest side of a photo that all scales can take (reflection needs more pixels than it adds)."""
    return next(side for side in range(1, 1 << 16) if _takes(side, options))


def _takes(side: int, options: MunitOptions) -> bool:
    least = 2 if options.pad_type_d == "reflect" else 1
    for _ in range(options.num_scales):
        inner = side
        for _ in range(options.n_layer):
            if inner < least or inner + 2 < 4:
                return False
            inner //= 2
        side = (side - 1) // 2 + 1
    return True


def discriminator_loss(fake: list[Tensor], real: list[Tensor], mode: str) -> Tensor:
    """Fakes against 0 and photos against 1; means over pixels, summed over the scales."""
    return torch.stack([_loss(f, 0.0, mode) + _loss(r, 1.0, mode) for f, r in zip(fake, real, strict=True)]).sum()


def generator_loss(fake: list[Tensor], mode: str) -> Tensor:
    """Fakes against 1."""
    return torch.stack([_loss(f, 1.0, mode) for f in fake]).sum()


def _loss(scores: Tensor, target: float, mode: str) -> Tensor:
    """lsgan: mean squared distance; nsgan: cross entropy of the sigmoid."""
    if mode == "lsgan":
        return (scores.float() - target).square().mean()
    return F.binary_cross_entropy_with_logits(scores.float(), torch.full_like(scores, target, dtype=torch.float32))
