"""The inference form of SC-GAN (docs/papers/scgan.md, "Cost"): equal to the plain network in evaluation mode, cheaper."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine, SPADENorm
from zoo.families.spade.folded import FoldedSPADE
from zoo.inference.columns import LabelConv
from zoo.inference.packed import pack
from zoo.nn.spectral import fold_spectral
from zoo_plugins.scgan.blocks import SCC, SCN, BlockPlan, ConvStack, SCResnetBlock, Site
from zoo_plugins.scgan.generator import Generator
from zoo_plugins.scgan.tiled import TiledBlock
from zoo_plugins.scgan.tiled_svg import TiledSVG

WORTH = 1e9
"""Products of the conditional convolutions of a picture from which on the generator is tiled (the embedded 128 px model has 3e9: its
layout takes half the time, its pictures no more; the official ones 20e9 to 265e9)."""


class FoldedSCC(nn.Module):
    """SCC with all normalised candidates in one kernel [n * c_out, c_in, 3, 3]."""

    weight: Tensor

    def __init__(self, layer: SCC) -> None:
        super().__init__()
        self.n = len(layer.bases)
        self.register_buffer("weight", torch.cat([k.detach() for k in layer.kernels()]))

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        candidates = F.conv2d(x, self.weight, padding=1).chunk(self.n, 1)
        v = v.to(x.dtype)
        out = candidates[0] * v[:, :1]
        for i in range(1, self.n):
            out.addcmul_(candidates[i], v[:, i : i + 1])
        return out


class FoldedSCN(nn.Module):
    """SCN and its batch norm as x * a + b with (a, b)(p) = sum_i V_i(p) * row_i + constant row."""

    table: Tensor
    constant: Tensor

    def __init__(self, layer: SCN, mean: Tensor, inv_std: Tensor) -> None:
        super().__init__()
        gamma, beta = layer.table.detach().chunk(2, 1)
        table = torch.cat([gamma * inv_std, beta - mean * inv_std * gamma], 1)
        # the constant is added apart, not per row: V need not sum to 1 (sigmoid, identity)
        self.register_buffer("table", table.t()[:, :, None, None].contiguous())
        self.register_buffer("constant", torch.cat([inv_std, -mean * inv_std]))

    def plan(self, site: Site) -> Tensor:
        return site.v_norm

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        a, b = F.conv2d(v.to(x.dtype), self.table, self.constant).chunk(2, 1)
        return torch.addcmul(b, x, a)


class FoldedMapNorm(FoldedSPADE):
    """FoldedSPADE over the one-hot planes of a Site; its scales and shifts are part of the plan, so a layout computes them once."""

    def __init__(self, layer: SPADENorm, norm: nn.BatchNorm2d) -> None:
        super().__init__(layer, norm)
        layer.mlp_shared = pack(layer.mlp_shared)  # type: ignore[assignment]

    def plan(self, site: Site) -> Affine:
        a, b = self.conv(F.relu_(self.layer.mlp_shared(site.planes))).chunk(2, 1)
        return a, b

    def forward(self, x: Tensor, affine: Affine) -> Tensor:
        """Channels last, as the packed convolution gives scales and shifts."""
        return torch.addcmul(affine[1], x.contiguous(memory_format=torch.channels_last), affine[0])


class FoldedBlock(nn.Module):
    """`SCResnetBlock` with folded norms and convolutions. The layouts that each convolution sees, and so its last bits, are the plain
    sums' ones; features go from block to block contiguous, as the norms of both convolutions read them.

    last: the picture is made of what comes out, which keeps the shortcut's layout.
    """

    def __init__(self, block: SCResnetBlock, *, last: bool) -> None:
        super().__init__()
        self.last, self.learned = last, block.learned
        self.norm_0, self.norm_1 = _fold_norm(block.norm_0), _fold_norm(block.norm_1)
        self.conv_0, self.conv_1 = _fold_conv(block.conv_0), _fold_conv(block.conv_1)
        if block.learned:
            self.norm_s, self.conv_s = _fold_norm(block.norm_s), block.conv_s

    def plan(self, site: Site) -> BlockPlan:
        """As of the plain block."""
        norm_s = self.norm_s.plan(site) if self.learned else None  # type: ignore[operator]
        return BlockPlan(site.v_conv, self.norm_0.plan(site), self.norm_1.plan(site), norm_s)  # type: ignore[operator]

    def forward(self, x: Tensor, plan: BlockPlan) -> Tensor:
        """As of the plain block."""
        shortcut = x if plan.norm_s is None else self.conv_s(self.norm_s(x, plan.norm_s))
        dx = self.conv_0(F.leaky_relu_(self.norm_0(x, plan.norm_0), 0.2), plan.v_conv)
        del x
        dx = self.conv_1(F.leaky_relu_(self.norm_1(dx, plan.norm_1), 0.2), plan.v_conv)
        return shortcut + dx if self.last else dx.add_(shortcut)


def _fold_conv(layer: SCC | ConvStack) -> nn.Module:
    return FoldedSCC(layer) if isinstance(layer, SCC) else layer


def _fold_norm(norm: nn.Module) -> nn.Module:
    if not isinstance(norm, SCN | SPADENorm):
        return norm
    batch_norm = norm.param_free_norm
    if not isinstance(batch_norm, nn.BatchNorm2d) or batch_norm.running_mean is None or batch_norm.running_var is None:
        return norm  # statistics that depend on the image
    if isinstance(norm, SPADENorm):
        return FoldedMapNorm(norm, batch_norm)
    return FoldedSCN(norm, batch_norm.running_mean, torch.rsqrt(batch_norm.running_var + batch_norm.eps))


def worth_tiles(generator: Generator) -> bool:
    """Whether the generator's inference form is the tiled one."""
    products = 0
    for block, step in generator.blocks():
        convs = [c for c in (block.conv_0, block.conv_1) if isinstance(c, SCC)]
        if not convs:
            return False  # there are no candidates to mix strip by strip
        height, width = generator.size(step.scale)
        weights = sum(k.weight.numel() for conv in convs for k in conv.bases)  # pyright: ignore[reportCallIssue]
        products += height * width * weights
    return products >= WORTH


@torch.no_grad()
def fold_generator(model: nn.Module, generator: Generator) -> None:
    """Fold a model in place; it must be in evaluation mode and be used for inference only."""
    if worth_tiles(generator):
        fold_spectral(model)
        fold_tiles(generator)
        return
    fold_blocks(model, generator)


@torch.no_grad()
def fold_blocks(model: nn.Module, generator: Generator) -> None:
    """Fold a model in place block by block: the form for small pictures, and for photos in a map's place, whose pixels hold anything."""
    for block, step in generator.blocks():
        setattr(generator, step.name, FoldedBlock(block, last=step is generator.steps[-1]))
    generator.folded = True
    fold_spectral(model)


@torch.no_grad()
def fold_tiles(generator: Generator) -> None:
    """Put the tiled parts in place of a generator's own (spectral norms folded before)."""
    scale = 0
    for block, step in generator.blocks():
        setattr(generator, step.name, TiledBlock(block, doubles=step.scale > scale))
        scale = step.scale
    generator.svg = TiledSVG(generator.svg)  # type: ignore[assignment]
    generator.fc = LabelConv(generator.fc) if isinstance(generator.fc, nn.Conv2d) else pack(generator.fc)
    generator.conv_img = pack(generator.conv_img)  # type: ignore[assignment]
    generator.tiled = True
