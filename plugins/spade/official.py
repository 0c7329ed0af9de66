"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/spade.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import (
    match_encoder,
    match_multiscale,
    read_generator,
    read_planes,
    space_fields,
)
from zoo.plugin import Match
from zoo_plugins.spade.config import SpadeConfig


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if SPADE has no such key."""
    new = official_keys.rename(role, key, keys)
    return new if re.fullmatch(official_keys.OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "SPADE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold SPADE's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names and whether the last plane shows edges (told by the number of planes: 151 ADE20K, 184
    COCO-Stuff, 36 Cityscapes, 13 facades, 19 CelebAMask-HQ; else numbered classes without edges), the kind of a norm without
    buffers, and the image size: without VAE nothing of it (the data set's own is assumed), with VAE the start grid alone, so
    "normal" and "more" stay open. A generator with VAE is not complete without its encoder's file, and
    the encoder's width need not be the generator's. SC-GAN has the same encoder and discriminator, CLVAE the latter.
    """
    if has(shapes, rf"{BLOCKS}\.(?:conv|norm)_[01s]\..*"):
        return _match_generator(shapes)
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(shapes, lambda channels: space_fields(channels - 3), SpadeConfig)
    return match_encoder(shapes, SpadeConfig, {"use_vae": True})


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.spade.generator import Generator

    planes = read_planes(shapes) or 1
    config: dict[str, Any] = space_fields(planes)
    if config["label_space"] == "cityscapes":
        config |= {"resolution": 512, "aspect_ratio": 2.0, "upsampling": "more"}
    read = read_generator(shapes)
    config |= {k: v for k, v in read.items() if k != "upsampling" or "z_dim" in read or v == "most"}
    ambiguous = ["label_space", "channels", "edges", "resolution", "aspect_ratio"]
    if config.get("upsampling") != "most":
        ambiguous.append("upsampling")
    if len(shapes.get("fc.weight", ())) == 2:
        config["use_vae"] = True
        ambiguous += ["nef", "encoder_norm", "encoder_size"]
    return compare(
        "generator",
        shapes,
        lambda: Generator(SpadeConfig(**config), planes),
        lambda keys: official_keys.official_names("generator", keys),
        config,
        SpadeConfig,
        tuple(ambiguous),
    )
