"""The authors' checkpoints `gta_demo/*/model.ckpt` of TensorFlow 1: detection, key mapping, and how a CRN becomes a start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, numbered
from zoo.families.crn import official_keys
from zoo.plugin import Match
from zoo_plugins.cimle.config import CIMLEConfig

rename, official_name = official_keys.rename, official_keys.official_name
START_GAIN = 5.0
"""Of the noise that stands in for weights of the code, times the root mean square of the layer's weights."""


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Variables (role "generator") -> our state dict. Adam's slots are left out. config is not needed. Raises WeightsError."""
    return official_keys.convert(parts, "cIMLE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold cIMLE's network? Widths, height and noise are read off the shapes.

    Not in the file: class names (20 are taken for GTA-5's), and that the picture is twice as wide as high. Checkpoints of the first epochs
    have no noise encoder: those are no complete network.
    """
    from zoo_plugins.cimle.generator import Generator

    network = official_keys.network_shapes(shapes)
    named = {} if network is None else {rename(k): s for k, s in network.items()}
    if network is None or not any("g_noise" in k for k in network):
        return None
    fields, inputs = official_keys.read_cascade(network), official_keys.read_first(network)
    noise = next((s[0] for s in [named.get("g_noise_conv3.bias", ())] if s), 10)
    width = next((s[0] for s in [named.get("g_noise_conv2.norm.bias", ())] if s), 100)
    if not fields or inputs <= noise:
        return None
    planes = inputs - noise
    config: dict[str, Any] = fields | {"noise": noise, "encoder_width": width}
    config |= {"label_space": "gta5"} if planes == 20 else numbered(planes)
    plain = not any("/" in k for k in network)
    return compare(
        "generator",
        network,
        lambda: Generator(CIMLEConfig(**config), planes),
        lambda keys: {k: k if plain else official_name(k) for k in keys},
        config,
        CIMLEConfig,
        ("label_space", "channels", "aspect_ratio", "resolution"),
    )


def from_crn(
    state: Mapping[str, Tensor], noise: int, draw: Callable[[str, tuple[int, ...]], Tensor]
) -> dict[str, Tensor]:
    """A CRN's cascade as cIMLE starts from it: the first of its pictures, and `noise` more input channels in every module.

    state: keys `g_…` of torch. draw: standard normal numbers for the new weights of a key, by key and shape. The noise encoder's keys are
    not among the result.
    """
    out = dict(state)
    for key, value in state.items():
        if "conv100" in key:
            outputs = len(value) // 3
            out[key] = value[::outputs].clone()  # channel c is plane c // outputs of picture c % outputs
        elif key.endswith("_conv1.weight"):
            size = float(value.double().square().mean().sqrt())
            new = draw(key, (len(value), noise, *value.shape[2:])).to(value) * START_GAIN * size
            out[key] = torch.cat([value, new], 1)
    return out
