"""SEAN's norm (paper section 3.1; `ACE` in the code) and the residual block that it stands in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple, cast

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.families.spade.blocks import Affine, SPADENorm, SPADEResnetBlock
from zoo.nn.norms import NormSpec, param_free_norm
from zoo_plugins.sean.regions import RegionWindows, StyleRows


class NormInput(NamedTuple):
    """What a norm is called with beside x. affine: scale and shift of the map (its batch may be 1); noise: standard normals
    [B, 1, h, w]; style: None for a norm without style."""

    affine: Affine
    noise: Tensor
    style: StyleRows | None


class BlockInput(NamedTuple):
    """What a block is called with beside x. of_map: scales and shifts of norm_0, norm_1, norm_s (`BlockAffine`), or in the inference
    form by distinct window its tables; noise and styles by the norm's name, as in `NormInput`."""

    of_map: Any
    noise: dict[str, Tensor]
    styles: dict[str, StyleRows | None]


def region_vectors(layers: nn.ModuleList, codes: Tensor, samples: Tensor, regions: Tensor) -> Tensor:
    """relu(layer of the region(code)) of the symbols of a map: [K, S]; zeros for pixels of no region.

    layers: one linear layer for each region. codes: [B, planes, S]. samples, regions: int64 [K]. Layers of regions that do not occur
    are not called, so that training leaves them and their optimizer's state alone, as in the code.
    """
    parts, places = [], []
    for region in regions.unique().tolist():
        rows = (regions == region).nonzero()[:, 0]
        places.append(rows)
        if region == codes.shape[1]:
            parts.append(codes.new_zeros(len(rows), codes.shape[2]))
        else:
            parts.append(F.relu(layers[region](codes[samples[rows], region])))
    vectors, order = torch.cat(parts), torch.cat(places)
    return vectors.index_select(0, order.argsort())


def gathered_rows(columns: Tensor, bias: Tensor, windows: RegionWindows, vectors: list[Tensor]) -> StyleRows:
    """A 3x3 convolution of a map that is constant within regions, as a gather-sum: each tap's kernel times a region's vector, summed
    over the taps by the neighbours' regions (zeros outside the picture). Exact.

    columns: [9, S, out]. bias: [out]. vectors: the symbols' vectors [K, S], one such tensor, or several styles of one map.
    """
    count, taps = len(windows.regions), len(columns)
    steps = torch.arange(taps, device=columns.device) * (count + 1)
    places = windows.windows + steps
    rows = []
    for style in vectors:
        table = torch.cat([style.to(columns.dtype) @ columns, columns.new_zeros(taps, 1, columns.shape[2])], 1)
        rows.append(F.embedding_bag(places, table.flatten(0, 1), mode="sum") + bias)
    if len(rows) == 1:
        return StyleRows(rows[0], windows.index)
    offsets = torch.arange(len(rows), device=columns.device)[:, None, None] * len(places)
    return StyleRows(torch.cat(rows), windows.index + offsets)


class RegionStyle(nn.Module, ABC):
    """The style's half of a norm: a linear layer for each region, then a 3x3 convolution of the map of their outputs."""

    regions: nn.ModuleList

    @abstractmethod
    def kernel(self) -> tuple[Tensor, Tensor]:
        """The convolution: columns [9, style_dim, 2 * channels] and bias [2 * channels]."""

    def vectors(self, windows: RegionWindows, codes: Tensor) -> list[Tensor]:
        """The symbols' vectors [K, S] for codes [B, planes, S]: one tensor, or one for each style where the map is one."""
        if len(windows.index) == len(codes):
            return [region_vectors(self.regions, codes, windows.samples, windows.regions)]
        return [region_vectors(self.regions, code[None], windows.samples, windows.regions) for code in codes]

    def forward(self, windows: RegionWindows, codes: Tensor) -> StyleRows:
        """What the style adds to scale and shift; codes [B, planes, S] (of any number of samples where the map is one)."""
        return gathered_rows(*self.kernel(), windows, self.vectors(windows, codes))


class StyleConvs(RegionStyle):
    """gamma and beta of the style, as they are trained."""

    def __init__(self, channels: int, style_dim: int, regions: int) -> None:
        super().__init__()
        self.regions = nn.ModuleList(nn.Linear(style_dim, style_dim) for _ in range(regions))
        self.conv_gamma = nn.Conv2d(style_dim, channels, 3, padding=1)
        self.conv_beta = nn.Conv2d(style_dim, channels, 3, padding=1)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Both convolutions as one."""
        weight = torch.cat([self.conv_gamma.weight, self.conv_beta.weight])
        bias = torch.cat([cast(Tensor, self.conv_gamma.bias), cast(Tensor, self.conv_beta.bias)])
        return rearrange(weight, "o s h w -> (h w) s o"), bias


class SEANNorm(nn.Module):
    """normalised(x + noise * noise_var) * (1 + gamma) + beta; gamma and beta mix those of the style and those of the map.

    Each is a * style + (1 - a) * map with a = sigmoid of a learned number (start: 1/2). The noise has one value for a pixel, and its
    strength is learned for each channel (start: 0); it is added in evaluation too, and in a norm without style. `spade` keeps a norm
    that is never called, whose buffers stand in the official files. Quirk kept for parity: `blending_*` exist without a style.
    """

    def __init__(
        self, channels: int, planes: int, *, norm: str, kernel: int, hidden: int, style_dim: int = 0, regions: int = 0
    ) -> None:
        """style_dim: numbers of a style code, 0: no style."""
        super().__init__()
        self.blending_gamma = nn.Parameter(torch.zeros(1))
        self.blending_beta = nn.Parameter(torch.zeros(1))
        self.noise_var = nn.Parameter(torch.zeros(channels))
        self.spade = SPADENorm(channels, planes, norm=norm, kernel=kernel, hidden=hidden)
        self.param_free_norm = param_free_norm("syncbatch", channels)
        self.style = StyleConvs(channels, style_dim, regions) if style_dim else None

    def affine(self, planes: Tensor, classes: Tensor | None = None, table: Tensor | None = None) -> Affine:
        """Scale and shift of the map alone, as `SPADENorm.affine`."""
        return self.spade.affine(planes, classes, table)

    def normalized(self, x: Tensor, noise: Tensor) -> Tensor:
        """The norm of x with its noise; batch statistics in training."""
        return self.param_free_norm(x + noise.to(x.dtype) * self.noise_var[:, None, None].to(x.dtype))

    def forward(self, x: Tensor, given: NormInput) -> Tensor:
        normalized = self.normalized(x, given.noise)
        gamma, beta = given.affine
        if given.style is not None:
            style_gamma, style_beta = (t.to(normalized.dtype) for t in given.style.affine())
            a, b = torch.sigmoid(self.blending_gamma), torch.sigmoid(self.blending_beta)
            gamma, beta = a * style_gamma + (1 - a) * gamma, b * style_beta + (1 - b) * beta
        return normalized * (1 + gamma) + beta


class SEANBlock(SPADEResnetBlock):
    """SPADE's residual block with SEAN's norms."""

    def __init__(
        self, c_in: int, c_out: int, planes: int, *, norm: str, hidden: int, style_dim: int = 0, regions: int = 0
    ) -> None:
        self._style = {"style_dim": style_dim, "regions": regions}
        super().__init__(c_in, c_out, planes, norm=norm, hidden=hidden)

    def make_norm(self, channels: int, label_channels: int, spec: NormSpec, hidden: int) -> Any:
        return SEANNorm(channels, label_channels, norm=spec.kind, kernel=spec.kernel, hidden=hidden, **self._style)

    def noisy_norms(self) -> dict[str, Any]:
        """The norms by name, in the order in which they draw noise: the shortcut runs first."""
        return {name: getattr(self, name) for name in ("norm_s", "norm_0", "norm_1") if hasattr(self, name)}

    def forward(self, x: Tensor, plan: BlockInput) -> Tensor:  # type: ignore[override]
        given: dict[str, Any] = {"norm_s": None}
        for name, affine in zip(("norm_0", "norm_1", "norm_s"), plan.of_map, strict=True):
            if affine is not None:
                given[name] = NormInput(affine, plan.noise[name], plan.styles[name])
        return super().forward(x, (given["norm_0"], given["norm_1"], given["norm_s"]))
