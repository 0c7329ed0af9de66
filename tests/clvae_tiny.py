"""CLVAE at toy sizes, with maps and photos to feed it: for all tests of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from gan_tiny import SPACE, block_maps
from torch import Tensor

from zoo.maps import SemanticMap
from zoo.nn.spectral import recompute_spectral
from zoo_plugins.clvae.config import CLVAEConfig, CLVAEOptions
from zoo_plugins.clvae.model import CLVAE
from zoo_plugins.clvae.regions import find_regions

TINY = CLVAEConfig(
    label_space="celebamask-hq", resolution=32, ngf=2, max_width=8, spade_hidden=4, z_dim=6, z_dim_local=4, nef=2, encoder_size=128
)  # fmt: skip
OPTIONS = CLVAEOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3, flip=False)


def model_of(**changes: Any) -> CLVAE:
    """With weights and running statistics as training would leave them."""
    torch.manual_seed(0)
    model = CLVAE(replace(TINY, **changes), SPACE)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p) * (0.1 if p.dim() == 1 else 1 / p[0].numel() ** 0.5))
        recompute_spectral(model)
        channels = model.channel_map(maps_of(4, model.resolution))
        for _ in range(10):
            codes = torch.randn(4, len(SPACE), len(model.config.layer_names), model.n_local)
            model.generator(find_regions(channels), codes, torch.randn(4, model.config.z_dim))
    return model.eval()


def maps_of(count: int, size: tuple[int, int] = (32, 32), seed: int = 0) -> SemanticMap:
    return block_maps(count, size, seed, classes=8)


def photos_of(count: int, size: tuple[int, int] = (32, 32), seed: int = 1) -> Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed))
