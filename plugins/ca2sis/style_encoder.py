"""CA2SIS's style encoder: a grouped U-Net whose channels belong to classes, pooled over each class's own pixels at five scales."""

from __future__ import annotations

from itertools import pairwise

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_planes
from zoo.nn.residual import GroupNorm
from zoo_plugins.ca2sis.config import CA2SISConfig


class GroupedLayer(nn.Module):
    """3x3 convolution in `classes` groups, group norm in as many, ReLU."""

    def __init__(self, c: int, d: int, classes: int, *, stride: int = 1, grouped: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, d, 3, stride, 1, groups=classes if grouped else 1)
        self.norm = GroupNorm(classes, d)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class StyleEncoder(nn.Module):
    """Photo and map to one token per class and scale, each number in (-1, 1). Nothing is random.

    Quirk kept for parity: from the second scale on a decoder layer sees [its own channels | the encoder's], cut into groups
    as if they alternated, so that only the encoder's half and the first scale keep the classes apart.
    """

    def __init__(self, config: CA2SISConfig, classes: int) -> None:
        super().__init__()
        self.classes = classes
        widths = [classes * config.style_features << i for i in range(config.style_layers + 1)]
        self.first = GroupedLayer(3, widths[0], classes, grouped=False)
        self.down = nn.ModuleList(GroupedLayer(c, d, classes, stride=2) for c, d in pairwise(widths))
        outputs = widths[-2:0:-1]  # as wide as the encoder's layer of the same size
        inputs = [widths[-1], *(2 * w for w in outputs[:-1])]
        self.up = nn.ModuleList(GroupedLayer(c, d, classes) for c, d in zip(inputs, outputs, strict=True))
        self.heads = nn.ModuleList(nn.Conv1d(w, classes * config.style_dim, 1, groups=classes) for w in outputs)

    def forward(self, images: Tensor, planes: Tensor) -> Tensor:
        """images [B, 3, H, W] in [-1, 1], their one-hot planes [B, classes, H, W] -> tokens [B, classes, scales, style_dim].

        The coarsest scale comes first. A class without a pixel at a scale has `absent`'s token there.
        """
        x = self.first(images)
        features = []
        for layer in self.down:
            features.append(x := layer(x))
        tokens = []
        for layer, head, skip in zip(self.up, self.heads, reversed(features[:-1]), strict=True):
            x = layer(F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False))
            tokens.append(self._token(head, self.pool(x, planes)))
            x = torch.cat([x, skip], 1)
        return torch.stack(tokens, 2)

    def pool(self, x: Tensor, planes: Tensor) -> Tensor:
        """Mean of each class's channels over its own pixels: [B, channels, h, w] -> [B, channels]; 0 where it has none."""
        masks = rearrange(resize_planes(planes, (x.shape[2], x.shape[3])), "b k h w -> b k (h w)").float()
        features = rearrange(x, "b (k c) h w -> b k c (h w)", k=self.classes).float()
        sums = torch.matmul(features, masks[..., None])[..., 0]
        return rearrange(sums / (masks.sum(2, keepdim=True) + 1e-5), "b k c -> b (k c)")

    def absent(self) -> Tensor:
        """The tokens of classes without pixels, [classes, scales, style_dim]: not zero, but what the heads make of zeros."""
        zeros = [torch.zeros(1, head.in_channels, device=head.weight.device) for head in self._heads()]
        return torch.stack([self._token(h, z)[0] for h, z in zip(self._heads(), zeros, strict=True)], 1)

    def _heads(self) -> list[nn.Conv1d]:
        return [h for h in self.heads if isinstance(h, nn.Conv1d)]

    def _token(self, head: nn.Module, pooled: Tensor) -> Tensor:
        return rearrange(torch.tanh(head(pooled[..., None])), "b (k d) 1 -> b k d", k=self.classes)
