"""SEAN's norm for inference: with its running statistics it is x * a + b, of which map and style each give a part."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from zoo.families.spade.blocks import Affine
from zoo.families.spade.folded import FoldedSPADE
from zoo.families.spade.window_norms import WindowNorm
from zoo_plugins.sean.blocks import NormInput, RegionStyle, SEANNorm, StyleConvs


class FoldedStyle(RegionStyle):
    """The style's part of (a, b) in x * a + b, with its share in the mix and the norm's statistics inside."""

    columns: Tensor
    bias: Tensor

    def __init__(self, style: StyleConvs, gamma: Tensor, shift: Tensor, beta: Tensor) -> None:
        """gamma, shift: what a number of the style's gamma adds to a and to b, [channels]; beta: what one of its beta adds to b."""
        super().__init__()
        self.regions = style.regions
        columns, bias = style.kernel()
        (wg, wb), (bg, bb) = columns.chunk(2, -1), bias.chunk(2)
        self.register_buffer("columns", torch.cat([wg * gamma, wg * shift + wb * beta], -1).contiguous())
        self.register_buffer("bias", torch.cat([bg * gamma, bg * shift + bb * beta]))

    def kernel(self) -> tuple[Tensor, Tensor]:
        return self.columns, self.bias


class FoldedNorm(nn.Module):
    """Equal to the norm that it is made from in evaluation mode: x * a + b, where the map and the style each add their part to both.

    windowed: the map's part by distinct window; else `affine` gives it.
    """

    noise_var: Tensor

    def __init__(self, norm: SEANNorm, *, windowed: bool) -> None:
        super().__init__()
        statistics = cast(nn.BatchNorm2d, norm.param_free_norm)
        assert statistics.running_mean is not None and statistics.running_var is not None
        scale = torch.rsqrt(statistics.running_var + statistics.eps)
        shift = -statistics.running_mean * scale
        self.register_buffer("noise_var", norm.noise_var.detach().clone())
        self.style = None
        spade = norm.spade
        if norm.style is not None:
            a, b = torch.sigmoid(norm.blending_gamma), torch.sigmoid(norm.blending_beta)
            for conv, share in ((spade.mlp_gamma, 1 - a), (spade.mlp_beta, 1 - b)):
                conv.weight.mul_(share)
                cast(Tensor, conv.bias).mul_(share)
            self.style = FoldedStyle(norm.style, a * scale, a * shift, b)
        spade.param_free_norm = statistics
        self.spade = WindowNorm(spade) if windowed else FoldedSPADE(spade, statistics)

    def affine(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> Affine:
        """The map's part, as `SPADENorm.affine`."""
        assert isinstance(self.spade, FoldedSPADE)
        return self.spade.affine(planes, classes, table)

    def forward(self, x: Tensor, given: NormInput) -> Tensor:
        a, b = given.affine
        if given.style is not None:
            more_a, more_b = given.style.affine()
            a, b = a + more_a, b + more_b
        return torch.addcmul(b, torch.addcmul(x, given.noise.to(x.dtype), self.noise_var[:, None, None]), a)
