"""Synthesizers with a course of their own: SEAN, SDM, pix2pixHD, CRN, cIMLE, MaskGAN."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.readings.spade import painted
from zoo.maps import SemanticMap


def sean_norm(norm: Any, x: Tensor, planes: Tensor, codes: Tensor, noise: Tensor) -> Tensor:
    """SEAN: noise, norm, the map of each pixel's style vector through two convolutions, mixed with SPADE's. codes: [B, planes, S]."""
    normalized = norm.param_free_norm(x + noise * norm.noise_var[:, None, None])
    small = F.interpolate(planes, size=x.shape[2:], mode="nearest")
    hidden = F.relu(norm.spade.mlp_shared(small))
    gamma, beta = norm.spade.mlp_gamma(hidden), norm.spade.mlp_beta(hidden)
    if norm.style is not None:
        seen = x.new_zeros(len(x), codes.shape[2], *x.shape[2:])
        for k in small.flatten(2).any(2).any(0).nonzero()[:, 0].tolist():
            vector = F.relu(norm.style.regions[k](codes[:, k]))
            seen = torch.where(small[:, k : k + 1] > 0, vector[:, :, None, None], seen)
        a, b = torch.sigmoid(norm.blending_gamma), torch.sigmoid(norm.blending_beta)
        gamma = a * norm.style.conv_gamma(seen) + (1 - a) * gamma
        beta = b * norm.style.conv_beta(seen) + (1 - b) * beta
    return normalized * (1 + gamma) + beta


def sean(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SEAN: style codes of all classes, the same for all blocks (without the loop over images)."""
    planes, generator = model.planes(maps), model.generator
    codes, noise = style.tensors["codes"][:, :, 0], iter(generator.split_noise(model.noise(style.rng)))

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        drawn = next(noise)
        shortcut = module.conv_s(sean_norm(module.norm_s, x, planes, codes, drawn["norm_s"])) if module.learned else x
        dx = module.conv_0(F.leaky_relu(sean_norm(module.norm_0, x, planes, codes, drawn["norm_0"]), 0.2))
        return shortcut + module.conv_1(F.leaky_relu(sean_norm(module.norm_1, dx, planes, codes, drawn["norm_1"]), 0.2))

    start = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    return (painted(generator, start, block) + 1) / 2


def sdm(model: Any, maps: SemanticMap, style: Any, times: Tensor) -> Tensor:
    """SDM, one guided step: the whole network twice, with the map and without it, every norm making its scale and shift anew. Both outputs."""
    planes, noise = model.planes(maps), style.tensors["noise"]
    return torch.cat([model.unet(noise, times, planes), model.unet(noise, times, torch.zeros_like(planes))])


def pix2pixhd(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """pix2pixHD: planes of all classes through every stem, in front of the style's, each scale's pooled from the finer one."""
    planes, generator = model.planes(maps), model.generator
    if style is not None:
        rows, regions = model.style_rows(style), model.regions(maps)
        seen = rows[torch.arange(len(rows))[:, None, None], regions].permute(0, 3, 1, 2)
        planes = torch.cat([planes, seen], 1)
    return (generator(planes) + 1) / 2


def crn(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CRN: planes of all classes, as shares of area, into every module; all pictures are made, and one is taken."""
    made = model.generator(model.planes(maps))
    if style is not None:
        made = made[torch.arange(len(made)), style.tensors["mixture"].argmax(1)]
    return ((made.view(len(made), *made.shape[-3:]) + 1) / 2).clamp(0, 1)


def cimle(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """cIMLE: planes and noise through the noise encoder, planes and codes into every module."""
    made = model.generator(model.planes(maps), style.tensors["noise"])[:, 0]
    return ((made + 1) / 2).clamp(0, 1)


def maskgan(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """MaskGAN: a convolution over all planes, the whole backbone for every style; each modulated norm is a norm and its two numbers."""
    x, params = model.planes(maps), iter(style.tensors["adain"].unbind(1))

    def normed(block: Any, x: Tensor) -> Tensor:
        x = F.instance_norm(F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), block.conv.weight, block.conv.bias))
        shift, scale = next(params)[:, :, None, None].chunk(2, 1)
        return x * scale + shift

    for layer in model.generator.model:
        if hasattr(layer, "conv_block"):
            first, second = layer.conv_block
            x = x + normed(second, F.relu(normed(first, x)))
        else:
            x = layer(x)
    return (x + 1) / 2
