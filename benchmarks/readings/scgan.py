"""SC-GAN and its unpaired reading."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.readings.spade import painted, spade_norm
from zoo.maps import SemanticMap
from zoo_plugins.scgan.svg import pool_channels, semantic_vectors


def scc(layer: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCC: all candidates side by side in one tensor [B, n, C, H, W], then the weighted sum."""
    stack = torch.stack([F.conv2d(x, kernel, padding=1) for kernel in layer.kernels()], 1)
    return (stack * v[:, :, None]).sum(1)


def scn(norm: Any, x: Tensor, v: Tensor) -> Tensor:
    """SCN: every pixel's row of the table by a matrix product [B H W, m] x [m, 2 C]."""
    normalized = norm.param_free_norm(x)
    rows = v.permute(0, 2, 3, 1).reshape(-1, v.shape[1]) @ norm.table
    gamma, beta = rows.view(len(v), *v.shape[2:], -1).permute(0, 3, 1, 2).chunk(2, 1)
    return normalized * (1 + gamma) + beta


def scgan(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """SC-GAN: images [B, 3, H, W] in [0, 1]."""
    return scgan_of_planes(model, model.planes(maps), None if style is None else style.tensors["z"])


def scgan_of_planes(model: Any, planes: Tensor, z: Tensor | None) -> Tensor:
    """Semantic vectors, then the blocks; the learned shortcut is a SPADE over all planes."""
    generator = model.generator
    config = generator.config
    _, features = generator.svg(planes)
    vectors = [
        [semantic_vectors(pool_channels(f, n), config.temperature, config.weight_type) for f in features]
        for n in (config.n_conv, config.n_norm)
    ]

    def block(module: Any, step: Any, x: Tensor) -> Tensor:
        v_conv, v_norm = (v[step.scale] for v in vectors)
        shortcut = module.conv_s(spade_norm(module.norm_s, x, planes)) if module.learned else x
        for norm, conv in ((module.norm_0, module.conv_0), (module.norm_1, module.conv_1)):
            modulated = scn(norm, x, v_norm) if hasattr(norm, "table") else spade_norm(norm, x, planes)
            x = scc(conv, F.leaky_relu(modulated, 0.2), v_conv)
        return shortcut + x

    start = generator.start(z) if z is not None else generator.start_from_map(planes)
    return (painted(generator, start, block) + 1) / 2


def scgan_unpaired(model: Any, photos: Tensor, styles: Tensor) -> Tensor:
    """Unpaired SC-GAN (our reading): a photo in the map's place."""
    return scgan_of_planes(model, photos * 2 - 1, styles)
