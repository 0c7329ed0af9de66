"""The inference form of GroupDNet (docs/papers/groupdnet.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine
from zoo.inference.packed import pack
from zoo.inference.pictures import PictureConv
from zoo.nn.spectral import fold_spectral
from zoo_plugins.groupdnet.generator import Generator, GroupBlock
from zoo_plugins.groupdnet.norms import CGNorm


class FoldedCGNorm(nn.Module):
    """A CG-Norm whose `affine` gives (a, b) of x * a + b, its batch norm with running statistics folded in; other norms stay.

    Where each hidden channel sees one class alone (`by_class`), those of classes that no map of the batch shows are the same at every
    pixel: what they add is a constant but for the border, and only the others are convolved.
    """

    shared: Any
    a: Any
    b: Any

    def __init__(self, layer: CGNorm, classes: int) -> None:
        super().__init__()
        norm: Any = layer.param_free_norm
        gamma, beta, shared = layer.mlp_gamma, layer.mlp_beta, layer.mlp_shared
        scale, shift = torch.ones_like(gamma.bias), torch.zeros_like(gamma.bias)  # type: ignore[arg-type]
        self.norm: nn.Module | None = norm
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
            scale = torch.rsqrt(norm.running_var + norm.eps)
            shift, self.norm = -norm.running_mean * scale, None
        factor, offset = scale[:, None, None, None], shift[:, None, None, None]
        # normalised(x) * (1 + gamma) + beta = x * scale (1 + gamma) + shift (1 + gamma) + beta
        self.a = _conv(gamma, gamma.weight * factor, (1 + gamma.bias) * scale)  # type: ignore[operator]
        self.b = _conv(gamma, beta.weight + gamma.weight * offset, beta.bias + (1 + gamma.bias) * shift)  # type: ignore[operator]
        self.shared, self.classes = shared, classes
        self.by_class = shared.groups == classes and shared.in_channels == classes and gamma.groups < classes
        if not self.by_class:
            self.shared, self.a, self.b = pack(shared), pack(self.a), pack(self.b)

    def affine(self, planes: Tensor) -> Affine:
        """As `CGNorm.affine`."""
        if not self.by_class:
            hidden = F.relu_(self.shared(planes))
            return self.a(hidden), self.b(hidden)
        shown = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
        width = self.shared.out_channels // self.classes
        channels = (shown[:, None] * width + torch.arange(width, device=shown.device)).flatten()
        weight, bias = self.shared.weight.index_select(0, channels), self.shared.bias.index_select(0, channels)  # type: ignore[union-attr]
        hidden = F.conv2d(planes.index_select(1, shown), weight, bias, padding=self.shared.padding, groups=len(shown))  # type: ignore[arg-type]
        idle = F.relu(self.shared.bias)  # type: ignore[arg-type]
        apart = F.relu_(hidden) - idle.index_select(0, channels)[:, None, None]
        return self._sums(self.a, apart, channels, idle), self._sums(self.b, apart, channels, idle)

    def _sums(self, conv: nn.Conv2d, apart: Tensor, channels: Tensor, idle: Tensor) -> Tensor:
        """The convolution of `idle` at every pixel, and of what these channels have apart from it."""
        size = conv.in_channels // conv.groups
        parts = []
        for weight, group in zip(conv.weight.chunk(conv.groups), range(conv.groups), strict=True):
            mine = ((channels >= size * group) & (channels < size * (group + 1))).nonzero()[:, 0]
            kernel = weight.index_select(1, channels[mine] - size * group)
            parts.append(F.conv2d(apart.index_select(1, mine), kernel, padding=conv.padding) if len(mine) else None)  # type: ignore[arg-type]
        flat = self._idle(conv, idle, apart)
        outs = conv.out_channels // conv.groups
        for group, part in enumerate(parts):
            if part is not None:
                flat[:, outs * group : outs * (group + 1)] += part
        return flat

    def _idle(self, conv: nn.Conv2d, idle: Tensor, like: Tensor) -> Tensor:
        """[B, C, h, w]: the convolution of `idle` at every pixel with zeros beyond the border, made at a few pixels."""
        height, width = like.shape[-2:]
        pad = conv.kernel_size[0] // 2
        small = (min(height, 2 * pad + 1), min(width, 2 * pad + 1))
        made = conv(idle[None, :, None, None].expand(1, -1, *small))
        rows, columns = (_stretched(n, pad, like.device) for n in (height, width))
        return made[:, :, rows][..., columns].expand(len(like), -1, -1, -1).clone()

    def forward(self, x: Tensor, affine: Affine) -> Tensor:
        """As of the plain norm."""
        return torch.addcmul(affine[1], x if self.norm is None else self.norm(x), affine[0])


def _stretched(size: int, pad: int, device: torch.device) -> Tensor:
    """Of each of `size` places the place among 2 pad + 1 (or `size`, if fewer) that is as far from the border, or in the middle."""
    places, most = torch.arange(size, device=device), min(size, 2 * pad + 1)
    return torch.where(
        places < pad, places, torch.where(size - places <= pad, most - size + places, min(pad, most - 1))
    )


def _conv(like: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A plain convolution of the shape of `like` with these weights."""
    conv: Any = nn.utils.skip_init(
        nn.Conv2d, like.in_channels, like.out_channels, like.kernel_size, padding=like.padding, groups=like.groups  # type: ignore[arg-type]
    ).to(weight)  # fmt: skip
    conv.weight.data.copy_(weight)
    conv.bias.data.copy_(bias)
    return conv


@torch.no_grad()
def fold_generator(model: nn.Module, generator: Generator) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    fold_spectral(model)
    for block, _ in generator.blocks():
        assert isinstance(block, GroupBlock)
        for name in ("norm_0", "norm_1", "norm_s"):
            if hasattr(block, name):
                setattr(block, name, FoldedCGNorm(getattr(block, name), generator.classes))
        for name in ("conv_0", "conv_1", "conv_s"):
            if hasattr(block, name):
                setattr(block, name, pack(getattr(block, name)))
    if hasattr(generator, "up_4"):
        del generator.up_4  # nothing reads it
    generator.fc = pack(generator.fc)
    generator.conv_img = PictureConv(generator.conv_img)  # type: ignore[arg-type]
