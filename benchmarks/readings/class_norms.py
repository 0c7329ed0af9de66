"""Systems whose norms read a row a class or an instance: CLADE, INADE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from benchmarks.readings.spade import painted
from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.nn.positions import class_positions


def class_block(block: Any, x: Tensor, norm: Callable[[Any, Tensor], Tensor]) -> Tensor:
    """The residual block around another norm, `norm(module, x)`."""
    shortcut = block.conv_s(norm(block.norm_s, x)) if block.learned else x
    dx = block.conv_0(F.leaky_relu(norm(block.norm_0, x), 0.2))
    return shortcut + block.conv_1(F.leaky_relu(norm(block.norm_1, dx), 0.2))


def clade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """CLADE: planes of all classes are resized in every norm, their largest picks rows of the tables; position maps are there already
    (the authors read them from files)."""
    generator, planes = model.generator, model.planes(maps)
    positions = class_positions(planes[:, : generator.classes].argmax(1)) if model.config.positions else None

    def norm(layer: Any, x: Tensor) -> Tensor:
        normalized, size = layer.param_free_norm(x), x.shape[2:]
        seen = F.interpolate(planes, size=size, mode="nearest")
        classes = seen[:, : generator.classes].argmax(1)
        gamma, beta = (table[classes].permute(0, 3, 1, 2) for table in (layer.weight, layer.bias))
        if positions is not None:
            here = F.interpolate(positions, size=size, mode="nearest")
            gamma, beta = gamma * (1 + layer.scale_position(here)), beta * (1 + layer.shift_position(here))
        out = normalized * gamma + beta
        return out if layer.edge_conv is None else torch.cat([out, layer.edge_conv(seen[:, -1:])], 1)

    if style is None:
        x = generator.fc(F.interpolate(planes, size=generator.grid, mode="nearest"))
    else:
        x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2


def inade(model: Any, maps: SemanticMap, style: Any) -> Tensor:
    """INADE: planes of all classes and of all instances are resized in every norm, scales and shifts are sums over them."""
    generator, planes = model.generator, model.planes(maps)[:, :-1]
    places = model.places(maps)
    shown = places.unique()
    instances = one_hot(torch.searchsorted(shown, places), len(shown))
    noise = torch.stack([style.tensors[k] for k in ("scale", "shift")], 3).flatten(1, 2)[:, shown]

    def norm(layer: Any, x: Tensor) -> Tensor:
        size = x.shape[2:]
        here = [F.interpolate(p, size=size, mode="nearest") for p in (planes, instances)]
        scale, shift = layer.soft_affine(*here, noise)
        return layer.param_free_norm(x) * scale + shift

    x = generator.start(style.tensors["z"])
    return (painted(generator, x, lambda module, _, x: class_block(module, x, norm)) + 1) / 2
