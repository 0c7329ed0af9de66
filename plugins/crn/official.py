"""The authors' checkpoints `result_*/model.ckpt` of TensorFlow 1: detection and key mapping (docs/papers/crn.md, "Checkpoints")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, numbered
from zoo.families.crn import official_keys
from zoo.families.crn.generator import CascadedGenerator
from zoo.plugin import Match
from zoo_plugins.crn.config import CRNConfig

rename, official_name = official_keys.rename, official_keys.official_name


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Variables (role "generator") -> our state dict. Adam's slots are left out. config is not needed. Raises WeightsError."""
    return official_keys.convert(parts, "CRN")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold a CRN? The widths, the height and the number of pictures are read off the shapes.

    Not in the file: class names (20 are taken for the training classes of Cityscapes with void), and that the picture is twice as wide
    as high, as all of the authors' are. cIMLE's network has a noise encoder too, and a code in every module.
    """
    network = official_keys.network_shapes(shapes)
    if network is None or any("g_noise" in k for k in network):
        return None
    fields, planes = official_keys.read_cascade(network), official_keys.read_first(network)
    if not fields or not planes:
        return None
    config: dict[str, Any] = fields | {"outputs": max(official_keys.read_outputs(network) // 3, 1)}
    config |= {"label_space": "gta5"} if planes == 20 else numbered(planes)
    return compare(
        "generator",
        network,
        lambda: CascadedGenerator(planes, config["widths"], config["resolution"] // 2, outputs=config["outputs"]),
        lambda keys: _names(network, list(keys)),
        config,
        CRNConfig,
        ("label_space", "channels", "aspect_ratio", "resolution"),
    )


def _names(network: Shapes, keys: list[str]) -> dict[str, str]:
    """Our keys -> the file's: its variables' names, or ours where it has those."""
    plain = not any("/" in k for k in network)
    return {k: k if plain else official_name(k) for k in keys}
