"""GroupDNet's encoder: a code of each class from a close-up of it (docs/papers/groupdnet.md, "Encoder")."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.nn.norms import conv_norm, parse_norm
from zoo.nn.spectral import SpectralMixin


def class_crops(images: Tensor, masks: Tensor) -> Tensor:
    """Close-ups [B, 3 K, H, W] of the classes of photos [B, 3, H, W] in [-1, 1], class after class; masks: [B, K, H, W] of 0 and 1.

    What lies outside a class is 0, mid grey. The box around it, from the first to the last column and row whose sum is not 0, is
    blown up to the whole size (nearest, whatever its shape). Sums of the picture decide, not the mask, as in the code: a class whose
    columns all add up to 0 is left as it is.
    """
    return torch.stack([_crops(image, mask) for image, mask in zip(images, masks.to(images), strict=True)])


def _crops(image: Tensor, masks: Tensor) -> Tensor:
    masked = masks[:, None] * image
    sums = masked.sum(1)
    columns, rows = sums.sum(1) != 0, sums.sum(2) != 0
    number = torch.arange(len(masks), device=image.device)[:, None, None, None]
    channel = torch.arange(3, device=image.device)[None, :, None, None]
    seen = masked[number, channel, _source(rows)[:, None, :, None], _source(columns)[:, None, None, :]]
    return torch.where(columns.any(1)[:, None, None, None], seen, masked).flatten(0, 1)


def _source(flags: Tensor) -> Tensor:
    """For flags [K, N]: the place that each of N new ones comes from, int64 [K, N], as a nearest resize of the part between the first
    and the last flag finds it (all of it where there is none)."""
    size = flags.shape[1]
    none = ~flags.any(1)
    first = flags.int().argmax(1).masked_fill(none, 0)
    last = (size - 1 - flags.flip(1).int().argmax(1)).masked_fill(none, size - 1)
    length = last - first + 1
    steps = torch.arange(size, device=flags.device, dtype=torch.float32) * (length.float() / size)[:, None]
    return first[:, None] + torch.minimum(steps.floor().long(), length[:, None] - 1)


class GroupEncoder(nn.Module):
    """forward: close-ups [B, 3 K, H, W] -> (mu, logvar), each [B, code_width * classes, H / 2 ** depth, W / 2 ** depth].

    `depth` 3x3 convolutions with stride 2 and two heads, all in one group per class. classes: int64 [K] ascending, of which these are
    (None: of all); codes of the others are the heads' biases, which is what black pictures give.
    """

    def __init__(
        self, classes: int, width: int, depth: int, code_width: int = 8, norm: str = "spectralinstance"
    ) -> None:
        super().__init__()
        self.classes = classes
        widths = (3 * classes, *(width * min(2**i, 8) for i in range(depth)))
        self.layers = nn.ModuleList(conv_norm(norm, a, b, 3, 2, 1, groups=classes) for a, b in pairwise(widths))
        self.fc_mu = nn.Conv2d(widths[-1], code_width * classes, 3, padding=1, groups=classes)
        self.fc_var = nn.Conv2d(widths[-1], code_width * classes, 3, padding=1, groups=classes)
        # black stays black through an instance norm alone, and only it knows nothing of the other channels
        self.selects = parse_norm(norm).kind == "instance"

    def features(self, crops: Tensor, classes: Tensor | None = None) -> list[Tensor]:
        """The outputs of all layers before their activation (leaky ReLU, 0.2), finest first."""
        x, features = crops.to(self.fc_mu.weight.dtype), []
        for layer in self.layers:
            x = F.leaky_relu(x, 0.2) if features else x
            x = layer(x) if classes is None else self._layer(layer, x, classes)
            features.append(x)
        return features

    def _layer(self, layer: Any, x: Tensor, classes: Tensor) -> Tensor:
        conv = layer[0]
        weight = conv.normalized_weight() if isinstance(conv, SpectralMixin) else conv.weight
        x = F.conv2d(x, self._of(weight, classes), None, 2, 1, groups=len(classes))
        return F.instance_norm(x, eps=layer[1].eps)

    def _of(self, weight: Tensor, classes: Tensor) -> Tensor:
        """The part of a grouped weight or bias that these classes have."""
        return weight.unflatten(0, (self.classes, -1)).index_select(0, classes).flatten(0, 1)

    def absent(self) -> Tensor:
        """mu of classes that a photo does not show: [code_width * classes]."""
        assert self.fc_mu.bias is not None
        return self.fc_mu.bias

    def forward(self, crops: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if classes is None or not self.selects:
            if classes is not None:
                whole = crops.new_zeros(len(crops), self.classes, 3, *crops.shape[2:])
                crops = whole.index_copy(1, classes, crops.unflatten(1, (-1, 3))).flatten(1, 2)
            x = F.leaky_relu(self.features(crops)[-1], 0.2)
            return self.fc_mu(x), self.fc_var(x)
        x = F.leaky_relu(self.features(crops, classes)[-1], 0.2)
        mu, logvar = (self._head(head, x, classes) for head in (self.fc_mu, self.fc_var))
        return mu, logvar

    def _head(self, head: nn.Conv2d, x: Tensor, classes: Tensor) -> Tensor:
        assert head.bias is not None
        part = F.conv2d(x, self._of(head.weight, classes), self._of(head.bias, classes), padding=1, groups=len(classes))
        whole = head.bias.to(part.dtype)[None, :, None, None].expand(len(x), -1, *x.shape[2:])
        by_class = whole.unflatten(1, (self.classes, -1))
        return by_class.index_copy(1, classes, part.unflatten(1, (len(classes), -1))).flatten(1, 2)
