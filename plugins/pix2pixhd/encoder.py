"""pix2pixHD's feature encoder (docs/papers/pix2pixhd.md, "Feature encoder")."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.pix2pixhd.blocks import doubling, halving, head, stem
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig


class Encoder(nn.Module):
    """Photos [B, 3, H, W] in [-1, 1] -> `feat_num` numbers per pixel in (-1, 1), at the photo's size halved `encoder_halvings` times."""

    def __init__(self, config: Pix2PixHDConfig) -> None:
        super().__init__()
        self.halvings = config.encoder_halvings
        depth, norm = range(config.n_downsample_e), config.norm
        layers = stem(3, config.nef, norm)
        layers += [layer for i in depth for layer in halving(config.nef << i, norm)]
        layers += [layer for i in reversed(depth) for layer in doubling(config.nef << (i + 1), norm)]
        self.model = nn.Sequential(*layers, *head(config.nef, config.feat_num))

    def forward(self, images: Tensor) -> Tensor:
        x = images.to(next(self.parameters()).dtype)
        if self.halvings:  # bicubic, as the loader of the 512p models makes their photos
            x = F.interpolate(x, scale_factor=0.5**self.halvings, mode="bicubic", antialias=True, align_corners=False)
        return self.model(x).float()
