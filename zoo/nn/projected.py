"""A discriminator on frozen features of a pretrained network, with the label map beside them, and a distance in these features.

After "Projected GANs Converge Faster" (Sauer et al., NeurIPS 2021): features of several depths through fixed random mixings,
one small head each. Ours: without their cross-scale mixing, and conditional, by the label planes at each depth's size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.spectral import SNConv2d

MIXED = 64
MIXING_SEED = 2021


class ProjectedDiscriminator(nn.Module):
    """Heads on feature maps that somebody else computes (the pretrained network is neither trained nor stored with it).

    Each depth: a fixed random 1x1 mixing to 64 channels, the label planes averaged to its size, three spectrally normalised
    convolutions. forward: features, list of [B, C_i, h_i, w_i], and planes [B, K, H, W] -> score maps [B, 1, h_i, w_i].
    """

    def __init__(self, channels: Sequence[int], planes: int, width: int = 64, mixed: int = MIXED) -> None:
        """channels: C_i. planes: K. width: of the heads. Random: the heads' weights (torch's generator); the mixing is the same
        in every discriminator of these sizes."""
        super().__init__()
        generator = torch.Generator().manual_seed(MIXING_SEED)
        for i, count in enumerate(channels):
            mixing = torch.randn(mixed, count, 1, 1, generator=generator) / count**0.5
            self.register_buffer(f"mixing_{i}", mixing)
        self.heads = nn.ModuleList(
            nn.Sequential(
                SNConv2d(mixed + planes, width, 3, padding=1),
                nn.LeakyReLU(0.2),
                SNConv2d(width, width, 3, padding=1),
                nn.LeakyReLU(0.2),
                SNConv2d(width, 1, 1),
            )
            for _ in channels
        )

    def forward(self, features: Sequence[Tensor], planes: Tensor) -> list[Tensor]:
        scores = []
        for i, (feature, head) in enumerate(zip(features, self.heads, strict=True)):
            mixed = F.conv2d(feature, self.get_buffer(f"mixing_{i}").to(feature.dtype))
            pooled = F.adaptive_avg_pool2d(planes, (feature.shape[-2], feature.shape[-1])).to(feature.dtype)
            scores.append(head(torch.cat([mixed, pooled], 1)))
        return scores


def feature_distance(fake: Sequence[Tensor], real: Sequence[Tensor]) -> Tensor:
    """Mean |fake - real| over mean |real| of each feature map, averaged over the maps; no gradient to the real side."""
    terms = [
        F.l1_loss(f.float(), r.detach().float()) / r.detach().float().abs().mean().clamp_min(1e-6)
        for f, r in zip(fake, real, strict=True)
    ]
    return torch.stack(terms).mean()
