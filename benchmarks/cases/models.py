"""The models that are measured: official configs with random weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import zoo
from benchmarks.cases.maps import scene
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.sims.bank import bank_tensors
from zoo_plugins.sims.segments import find_segments


@torch.no_grad()
def build(reference: str, changes: dict[str, Any]) -> Any:
    """A model with random weights; norms have statistics of their own, zero convolutions are none."""
    torch.manual_seed(0)
    model: Any = zoo.create(reference, **changes).eval()
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        elif isinstance(part, nn.Conv1d | nn.Conv2d) and not part.weight.any():
            nn.init.normal_(part.weight, 0, 0.02)
    if reference.startswith("sg2im"):
        model.generator.box_net[-2].bias.copy_(torch.tensor([0.2, 0.2, 0.8, 0.8]))  # boxes that have a size
    if reference.startswith("segvae"):
        for parameter in model.decoder.parameters():
            parameter.mul_(50)  # from the official gain of .02 to 1: shapes that are neither flat nor hard
    if reference.startswith("sean"):
        for name, parameter in model.named_parameters():
            if name.endswith(("noise_var", "blending_gamma", "blending_beta")):
                parameter.normal_(0, 0.3)
        codes = torch.randn(model.label_input.channels, model.config.style_dim).tanh()
        model.assets = {"mean_style": {"codes": codes, "photos": torch.ones(len(codes), dtype=torch.int64)}}
    if reference.startswith("maskgan/"):
        size = 4 * model.config.style_width
        model.assets = {"latent_prior": {"mean": torch.zeros(size), "factor": torch.eye(size)}}
    if reference.startswith("sims"):
        model.assets = {"bank": _bank(model)}
    return model.requires_grad_(False)


def _bank(model: Any, photos: int = 20) -> dict[str, Tensor]:
    """A bank of drawn scenes, in which every class has a shade of its own."""
    high, low = model.resolution, model.config.low
    labels = torch.stack([torch.from_numpy(scene(high, model.roles.classes, 100 + i)) for i in range(photos)])
    small = SemanticMap(labels, model.label_space).resize(low).labels
    shades = torch.rand(model.roles.classes, 3, generator=torch.Generator().manual_seed(0))
    pictures = [shades[part].permute(0, 3, 1, 2) for part in (labels, small)]
    segments = find_segments(small, model.roles.classes, model.roles.thin)
    return bank_tensors(segments, labels, pictures[0], pictures[1], [f"scene-{i}" for i in range(photos)])


def style_of(model: Any, maps: SemanticMap, rng: Rng) -> Any:
    """A drawn style for maps; None of a model without styles."""
    if not model.styles:
        return None
    style = model.sample_style(maps, rng)
    return model.complete_style(style, maps, rng) if hasattr(model, "complete_style") else style
