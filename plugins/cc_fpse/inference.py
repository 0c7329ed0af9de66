"""The inference form of CC-FPSE (docs/papers/cc_fpse.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine
from zoo.families.spade.folded import FoldedSPADE
from zoo.inference.packed import pack
from zoo.inference.pictures import PictureConv
from zoo.nn.spectral import fold_spectral
from zoo_plugins.cc_fpse.blocks import TAPS, ConditionalBlock, ConditionalConv, Site
from zoo_plugins.cc_fpse.generator import Generator

SLOPE = 0.2
PIECE = 1 << 24
"""Numbers of predicted kernels of one map that exist at a time (64 MB)."""


class Kernels(NamedTuple):
    """parts: [B, 9 * channels, h, w] for some channels after the others, tap by tap. attention: [B, c_out, h, w]."""

    parts: tuple[Tensor, ...]
    attention: Tensor


class FoldedPlan(NamedTuple):
    """As `BlockPlan`."""

    conv_0: Kernels
    conv_1: Kernels
    shortcut: Affine | None


class FoldedConditional(nn.Module):
    """`ConditionalConv` behind the hidden layers of its predictions: the last layer of the kernels in parts, tap by tap."""

    scale: Tensor
    shift: Tensor

    def __init__(self, layer: ConditionalConv, pixels: int) -> None:
        super().__init__()
        norm, last = layer.norm, layer.kernels[2]
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        self.register_buffer("scale", scale.detach()[:, None, None].clone())
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach()[:, None, None].clone())
        self.pointwise, self.attention = pack(layer.pointwise), pack(layer.attention[2])
        self.step = max(16, PIECE // (TAPS * pixels) // 16 * 16)
        weight = last.weight.detach().unflatten(0, (-1, TAPS))  # type: ignore[operator, union-attr]
        bias = last.bias.detach().unflatten(0, (-1, TAPS))  # type: ignore[operator, union-attr]
        self.kernels = nn.ModuleList(
            pack(_conv(w.transpose(0, 1).flatten(0, 1), b.t().flatten(), padding=1))
            for w, b in zip(weight.split(self.step), bias.split(self.step), strict=True)
        )

    def parts(self, hidden: Tensor) -> Iterator[Tensor]:
        """Kernels of some channels after the others, from the hidden layer of the kernels."""
        for conv in self.kernels:
            yield conv(hidden)

    def forward(self, x: Tensor, parts: Iterator[Tensor] | tuple[Tensor, ...], attention: Tensor) -> Tensor:
        """x [S, c_in, h, w] -> [S, c_out, h, w]."""
        height, width = x.shape[-2:]
        padded = F.pad(torch.addcmul(self.shift, x, self.scale), (1, 1, 1, 1))
        sums = []
        for part, seen in zip(parts, padded.split(self.step, 1), strict=True):
            taps = part.unflatten(1, (TAPS, -1))
            out = taps[:, 0] * seen[..., :height, :width]
            for tap in range(1, TAPS):
                i, j = divmod(tap, 3)
                out.addcmul_(taps[:, tap], seen[..., i : i + height, j : j + width])
            sums.append(out)
        out = self.pointwise(torch.cat(sums, 1) if len(sums) > 1 else sums[0])
        return F.leaky_relu_(out * attention, SLOPE)


class FoldedBlock(nn.Module):
    """`ConditionalBlock` whose four or five hidden layers are one convolution of the pyramid's features, and beside it one of the planes
    that a map shows."""

    labels: Tensor

    def __init__(self, block: ConditionalBlock, width: int, pixels: int) -> None:
        """width: of the pyramid. pixels: of the block's features."""
        super().__init__()
        self.learned, self.width = block.learned, width
        firsts: list[Any] = [b[0] for c in (block.conv_0, block.conv_1) for b in (c.kernels, c.attention)]
        if block.learned:
            firsts.append(block.norm_s.mlp_shared)
        self.branches = len(firsts)
        weight = torch.cat([f.weight.detach() for f in firsts])
        self.register_buffer("labels", weight[:, :-width].contiguous())
        self.hidden = pack(_conv(weight[:, -width:], torch.cat([f.bias.detach() for f in firsts]), padding=1))
        self.conv_0, self.conv_1 = FoldedConditional(block.conv_0, pixels), FoldedConditional(block.conv_1, pixels)
        if block.learned:
            self.conv_s = pack(block.conv_s)
            self.norm_s = FoldedSPADE(block.norm_s, block.norm_s.param_free_norm)  # type: ignore[arg-type]

    def _hidden(self, site: Site) -> tuple[Tensor, ...]:
        """The hidden layers: of the kernels and the attention of both convolutions, and of the shortcut's norm."""
        planes, level = site.features[:, : -self.width], site.features[:, -self.width :]
        weight = self.labels
        if site.channels is not None:
            weight = weight.index_select(1, site.channels[: -self.width])
        return F.relu_(self.hidden(level.contiguous()) + F.conv2d(planes, weight, padding=1)).chunk(self.branches, 1)

    def _shortcut(self, hidden: tuple[Tensor, ...]) -> Affine | None:
        if not self.learned:
            return None
        a, b = self.norm_s.conv(hidden[4]).chunk(2, 1)
        return a, b

    def plan(self, site: Site) -> FoldedPlan:
        """As of the plain block."""
        hidden = self._hidden(site)
        conv_0, conv_1 = (
            Kernels(tuple(conv.parts(hidden[2 * i])), torch.sigmoid(conv.attention(hidden[2 * i + 1])))  # type: ignore[operator]
            for i, conv in enumerate((self.conv_0, self.conv_1))
        )
        return FoldedPlan(conv_0, conv_1, self._shortcut(hidden))

    def forward(self, x: Tensor, plan: FoldedPlan | Site) -> Tensor:
        """As of the plain block."""
        if isinstance(plan, FoldedPlan):
            shortcut = self._through(x, plan.shortcut)
            dx = self.conv_0(x, *plan.conv_0)
            return self.conv_1(dx, *plan.conv_1).add_(shortcut)
        hidden = self._hidden(plan)
        shortcut = self._through(x, self._shortcut(hidden))
        for i, conv in enumerate((self.conv_0, self.conv_1)):
            x = conv(x, conv.parts(hidden[2 * i]), torch.sigmoid(conv.attention(hidden[2 * i + 1])))  # type: ignore[operator]
        return x.add_(shortcut)

    def _through(self, x: Tensor, affine: Affine | None) -> Tensor:
        return x if affine is None else self.conv_s(self.norm_s(x, affine))


class ShownConv(nn.Module):
    """A convolution over label planes that reads those alone of which a map shows anything."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, planes: Tensor) -> Tensor:
        shown = planes.flatten(2).any(2).any(0).nonzero()[:, 0]
        weight = self.conv.weight.index_select(1, shown)
        return F.conv2d(planes.index_select(1, shown), weight, self.conv.bias, padding=self.conv.padding)  # type: ignore[arg-type]


def _conv(weight: Tensor, bias: Tensor, *, stride: int = 1, padding: int = 0) -> nn.Conv2d:
    """A plain convolution with these weights."""
    c_out, c_in, kernel, _ = weight.shape
    conv: Any = nn.utils.skip_init(nn.Conv2d, c_in, c_out, kernel, stride, padding).to(weight)
    conv.weight.data.copy_(weight)
    conv.bias.data.copy_(bias)
    return conv


def _fold_layer(layer: Any, *, first: bool) -> nn.Module:
    """A layer of the pyramid (spectral norms folded before), a batch norm inside its convolution."""
    conv, norm = layer[0][0], layer[0][1] if len(layer[0]) > 1 else None
    rest: list[nn.Module] = [] if norm is None else [norm]
    if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None:
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        shift = norm.bias - norm.running_mean * scale
        conv = _conv(conv.weight * scale[:, None, None, None], shift, stride=conv.stride[0], padding=conv.padding[0])
        rest = []
    return nn.Sequential(ShownConv(conv) if first else pack(conv), *rest, nn.LeakyReLU(SLOPE, inplace=True))


@torch.no_grad()
def fold_generator(model: nn.Module, generator: Generator) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    fold_spectral(model)
    pyramid = generator.pyramid
    for name in ("encoders", "laterals", "decoders"):
        layers = getattr(pyramid, name)
        first = name == "encoders"
        setattr(pyramid, name, nn.ModuleList(_fold_layer(m, first=first and not i) for i, m in enumerate(layers)))
    for block, step in generator.blocks():
        height, width = generator.size(step.scale)
        setattr(generator, step.name, FoldedBlock(block, generator.config.ngf, height * width))
    generator.fc = pack(generator.fc)
    generator.conv_img = PictureConv(generator.conv_img)  # type: ignore[arg-type]
