"""INADE's encoder: codes of each instance of a photo, from convolutions that look at one instance only (docs/papers/inade.md, "Encoder")."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import resize_numbers

HEADS = ("scale_mu", "scale_logvar", "shift_mu", "shift_logvar")


class Posterior(NamedTuple):
    """mu, logvar: float32 [B, K, 2, noise_dim], of the scales' codes and of the shifts'; 0 for an instance that a map does not show."""

    mu: Tensor
    logvar: Tensor


class InstanceConv2d(nn.Conv2d):
    """A 3x3 convolution whose taps in another instance than the middle one count nothing (and nothing makes up for them)."""

    def __init__(self, c_in: int, c_out: int, stride: int = 1) -> None:
        super().__init__(c_in, c_out, 3, stride, padding=1)

    def taps(self, x: Tensor, instances: Tensor) -> list[Tensor]:
        """For each tap, row by row, what it sees [B, c_in, h / stride, w / stride]; instances: int64 [B, h, w], numbers of 0 or more."""
        height, width = x.shape[-2:]
        step = int(self.stride[0])
        seen, known = F.pad(x, (1, 1, 1, 1)), F.pad(instances, (1, 1, 1, 1), value=-1)
        middle = instances[:, ::step, ::step]
        views = [
            (..., slice(i, i + height, step), slice(j, j + width, step))
            for i in range(3)
            for j in range(3)
        ]  # fmt: skip
        return [seen[view] * (known[view] == middle)[:, None] for view in views]

    def forward(self, input: Tensor, instances: Tensor) -> Tensor:
        """instances: int64 at the input's size."""
        out: Tensor | None = None
        for tap, seen in enumerate(self.taps(input, instances)):
            weight = self.weight[:, :, tap // 3, tap % 3, None, None]
            part = F.conv2d(seen, weight, self.bias if tap == 4 else None)
            out = part if out is None else out + part
        assert out is not None
        return out


def instance_means(x: Tensor, index: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Means [B, count, C] of features [B, C, H, W] over the pixels of each number in int64 [B, H, W], 0 without pixels; and which have any."""
    batch, channels = x.shape[:2]
    places = (index + count * torch.arange(batch, device=index.device)[:, None, None]).flatten()
    sums = torch.zeros(batch * count, channels, device=x.device)
    sums = sums.index_add(0, places, x.permute(0, 2, 3, 1).reshape(-1, channels).float())
    pixels = torch.bincount(places, minlength=batch * count)
    means = sums / pixels.clamp_min(1)[:, None]
    return means.view(batch, count, channels), (pixels > 0).view(batch, count)


class InstanceEncoder(nn.Module):
    """forward: photos [B, 3, H, W] in [-1, 1] and each pixel's instance, int64 [B, H, W] in 0..count-1 -> Posterior.

    H and W are multiples of 16. Norms have the statistics of the whole picture, and doublings mix neighbours: codes are not wholly
    those of their instance alone. The heads are applied to the means of what their taps see, which are the means of what they give.
    """

    def __init__(self, width: int, noise_dim: int) -> None:
        super().__init__()
        n = width
        self.layers = nn.ModuleList(
            InstanceConv2d(a, b, stride=2) for a, b in ((3, n), (n, 2 * n), (2 * n, 4 * n), (4 * n, 8 * n))
        )
        self.middle = InstanceConv2d(8 * n, 4 * n)
        self.ups = nn.ModuleList(InstanceConv2d(a, b) for a, b in ((8 * n, 2 * n), (4 * n, n), (2 * n, n)))
        self.heads = nn.ModuleDict({name: InstanceConv2d(n, noise_dim) for name in HEADS})

    def features(self, images: Tensor, instances: Tensor) -> Tensor:
        """What the heads read, [B, width, H, W]."""
        x = images.to(self.middle.weight.dtype)
        seen: list[Tensor] = []
        for layer in self.layers:
            x = _activated(layer(x, _at(instances, x)))
            seen.append(x)
        x = _doubled(_activated(self.middle(x, _at(instances, x))))
        for up, skip in zip(self.ups, reversed(seen[:-1]), strict=True):
            x = torch.cat([x, skip], 1)
            x = _doubled(_activated(up(x, _at(instances, x))))
        return x

    def forward(self, images: Tensor, instances: Tensor, count: int) -> Posterior:
        x = self.features(images, instances)
        heads = [self.heads[name] for name in HEADS]
        means, shown = instance_means(torch.cat(heads[0].taps(x, instances), 1), instances, count)  # pyright: ignore[reportCallIssue]
        # [out, 3 * 3 * in], taps before channels as in the means
        weight = torch.cat([h.weight.permute(0, 2, 3, 1).flatten(1) for h in heads]).float()  # pyright: ignore
        with torch.autocast(means.device.type, enabled=False):
            codes = F.linear(means, weight, torch.cat([h.bias for h in heads]).float()) * shown[..., None]  # pyright: ignore
        scale_mu, scale_logvar, shift_mu, shift_logvar = codes.chunk(4, -1)
        return Posterior(torch.stack([scale_mu, shift_mu], 2), torch.stack([scale_logvar, shift_logvar], 2))


def _activated(x: Tensor) -> Tensor:
    return F.leaky_relu(F.instance_norm(x), 0.2)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _at(instances: Tensor, x: Tensor) -> Tensor:
    return resize_numbers(instances, (x.shape[-2], x.shape[-1]))
