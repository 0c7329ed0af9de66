"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/pix2pixhd.md, "Checkpoints").

Keys of generator and encoder are ours. Discriminators are written in two ways: layer by layer with feature matching, else one row each.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.families.pix2pixhd.official_discriminator import (
    discriminator_names,
    is_discriminator,
    match_discriminator,
    rename_discriminator,
)
from zoo.families.spade.official_keys import convert_parts
from zoo.families.spade.official_networks import SPACES, space_fields
from zoo.plugin import Match
from zoo_plugins.pix2pixhd.config import Pix2PixHDConfig

_PART = r"(?:conv_block\.)?\d{1,3}\.(?:conv_block\.\d{1,3}\.)?\w+"
_OURS = {"generator": rf"model(?:\d_[12])?\.{_PART}", "encoder": rf"model\.{_PART}"}
DATA = ("label_space", "channels", "input", "edges")
OPEN = (
    *DATA,
    "resolution",
    "aspect_ratio",
    "features",
    "feat_num",
    "instances",
    "nef",
    "n_downsample_e",
    "encoder_halvings",
)
"""Fields that no shape of a generator tells."""


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if pix2pixHD has no such key."""
    if role != "discriminator":
        return key if re.fullmatch(_OURS[role], key) else None
    return rename_discriminator(key, keys)


def official_names(role: str, keys: Collection[str], *, rows: bool = False) -> dict[str, str]:
    """Our keys of a network -> their official names; the inverse of `rename`. rows: a discriminator without feature matching."""
    return discriminator_names(keys, rows=rows) if role == "discriminator" else {key: key for key in keys}


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role or unknown keys.
    """
    return convert_parts(parts, rename, "pix2pixHD")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold pix2pixHD's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names, the image size, and what the input planes are: 36 are taken for Cityscapes with edges, 39 for that with
    features, 3 for a coloured map, others by the sets that the authors of SPADE used. A generator with features is not complete
    without an encoder's file (the 1024p models have none: give that of the 512p model, and encoder_halvings=1).
    """
    if has(shapes, r"model(?:\d_2)?\.\d+\.conv_block\..*"):
        return _match_generator(shapes)
    if is_discriminator(shapes):
        return match_discriminator(shapes, _of_planes, Pix2PixHDConfig, DATA)
    return _match_encoder(shapes) if has(shapes, r"model\.1\.weight") else None


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.pix2pixhd.generator import Generator

    enhancers = len(numbers(shapes, r"model(\d)_[12]\..*"))
    blocks = numbers(shapes, r"model\.(\d+)\.conv_block\..*")
    default = Pix2PixHDConfig()
    inputs = vote(shapes, (r"model(?:\d_1)?\.1\.weight", 1, 1)) or 1
    config: dict[str, Any] = read_inputs(inputs) | {
        "generator": "local" if enhancers else "global",
        "ngf": max(1, vote(shapes, (r"model\.1\.(?:weight|bias)", 0, 1), (r"model\.4\.weight", 1, 1)) >> enhancers),
        "norm": "batch" if has(shapes, r"model\.2\.running_mean") else "instance",
        "n_downsample_global": min(8, max(1, (blocks[0] - 4) // 3)) if blocks else default.n_downsample_global,
        "n_blocks_global": len(blocks) or default.n_blocks_global,
    }
    if enhancers:
        config["n_local_enhancers"] = enhancers
        config["n_blocks_local"] = len(numbers(shapes, r"model1_2\.(\d+)\.conv_block\..*")) or default.n_blocks_local
    if config["generator"] == "local" and config["label_space"] == "cityscapes":
        config["resolution"] = 2048
    return compare(
        "generator",
        shapes,
        lambda: Generator(Pix2PixHDConfig(**config), inputs - (3 if config["features"] != "none" else 0)),
        lambda keys: official_names("generator", keys),
        config,
        Pix2PixHDConfig,
        OPEN,
    )


def read_inputs(inputs: int) -> dict[str, Any]:
    """Config fields that the number of a generator's input planes makes likely."""
    if inputs == 3:
        return {"input": "colours", "edges": False, "features": "none", "label_space": "cityscapes"}
    if inputs not in SPACES and inputs - 3 in SPACES:
        return space_fields(inputs - 3) | {"features": "instance"}
    fields = space_fields(inputs) if inputs in SPACES else numbered(inputs) | {"edges": False}
    return fields | {"features": "none"}


def _match_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.pix2pixhd.encoder import Encoder

    places = numbers(shapes, r"model\.(\d+)\.(?:weight|bias)")
    last = places[-1] if places else 29
    config: dict[str, Any] = {
        "features": "instance",
        "feat_num": vote(shapes, (rf"model\.{last}\.(?:weight|bias)", 0, 1)) or 3,
        "nef": vote(shapes, (r"model\.1\.(?:weight|bias)", 0, 1), (r"model\.4\.weight", 1, 1)) or 16,
        "n_downsample_e": min(8, max(0, (last - 5) // 6)),
        "norm": "batch" if has(shapes, r"model\.2\.running_mean") else "instance",
    }
    side = 4 << config["n_downsample_e"]
    size: dict[str, Any] = {"resolution": max(4096 // side, 1) * side if side > 1024 else 1024}
    return compare(
        "encoder",
        shapes,
        lambda: Encoder(Pix2PixHDConfig(**config, **size)),
        lambda keys: official_names("encoder", keys),
        config,
        Pix2PixHDConfig,
        ("norm",) if config["norm"] == "instance" else (),
    )


def _of_planes(planes: int) -> dict[str, Any]:
    """What the number of a discriminator's planes makes likely of the data."""
    return {k: v for k, v in read_inputs(planes).items() if k in DATA}
