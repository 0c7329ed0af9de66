"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/clvae.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_multiscale, read_encoder, read_generator, read_planes
from zoo.plugin import Match
from zoo_plugins.clvae.config import CLVAEConfig

_OURS = {
    "generator": rf"cse\.embedding\.weight|{official_keys.OURS['generator']}",
    "encoder": rf"{official_keys.OURS['encoder']}|local_(?:mu|var)\.\d\.(?:weight|bias)",
    "discriminator": official_keys.OURS["discriminator"],
}
_SPACES = {151: "ade20k", 16: "deepfashion", 20: "gta5"}
_OPEN = ("label_space", "channels", "resolution", "aspect_ratio", "upsampling")


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if CLVAE has no such key."""
    new = official_keys.rename(role, key, keys)
    if role == "generator":
        new = re.sub(r"^embedding\.", "cse.embedding.", new)
    elif role == "encoder":
        new = re.sub(r"^fc_(mu|var)(\d)\.", r"local_\1.\2.", new)
    return new if re.fullmatch(_OURS[role], new) else None


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    names = official_keys.official_names(role, keys)
    return {
        key: re.sub(r"^local_(mu|var)\.(\d)\.", r"fc_\1\2.", name.removeprefix("cse.")) for key, name in names.items()
    }


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "CLVAE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold CLVAE's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names (told by their number: 151 ADE20K, 20 GTA-5, 16 DeepFashion; else numbered), the norm's kind where
    it has no buffers, and the image size, which follows from the start grid and the number of doublings, itself open
    between "normal" and "more" (8 pixels high: normal); of the generator's latents how many layers and whether classes
    have their own. SPADE and SC-GAN have the same discriminator.
    """
    if has(shapes, rf"{BLOCKS}\.norm_[01s]\.mlp_(?:shared\.0|gamma|beta)\.weight"):
        return _match_generator(shapes)
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(shapes, lambda channels: _space(channels - 3), CLVAEConfig, ambiguous=_OPEN[:2])
    return _match_encoder(shapes) if has(shapes, r"fc_(?:mu|var)\d\.weight") else None


def _space(classes: int) -> dict[str, Any]:
    return {"label_space": _SPACES[classes]} if classes in _SPACES else numbered(classes)


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.clvae.generator import Generator

    classes = vote(shapes, (r"embedding\.weight", 0, 1)) or read_planes(shapes, "up_[34]") or 1
    n_local = (
        read_planes(shapes, r"(?:head_0|G_middle_[01]|up_[012])") or vote(shapes, (r"embedding\.weight", 1, 1)) or 1
    )
    config: dict[str, Any] = (
        _space(classes) | read_generator(shapes) | {"z_dim_local": 0 if n_local == classes else n_local}
    )
    ambiguous = (*_OPEN, "layers", "layerwise", "classwise", "nef", "encoder_norm", "encoder_size")
    return compare(
        "generator",
        shapes,
        lambda: Generator(CLVAEConfig(**config), classes, n_local),
        lambda keys: official_names("generator", keys),
        config,
        CLVAEConfig,
        ambiguous if config["upsampling"] != "most" else tuple(f for f in ambiguous if f != "upsampling"),
    )


def _match_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.clvae.encoder import ClassEncoder

    n_local = vote(shapes, (r"fc_(?:mu|var)\d\.(?:weight|bias)", 0, 1)) or 1
    layers = len(numbers(shapes, r"layer(\d+)\..*")) or 6
    config: dict[str, Any] = read_encoder(shapes) | {"layers": layers, "z_dim_local": n_local}
    # the last map, whose side is 1/64 of the encoder's, is flattened
    pixels = vote(shapes, (r"fc_(?:mu|var)\.weight", 1, config["nef"] * min(1 << (layers - 1), 8)))
    config["encoder_size"] = round(pixels**0.5) << 6 if pixels else CLVAEConfig.encoder_size
    taps = numbers(shapes, r"fc_(?:mu|var)(\d)\..*")
    if layers > 2 and len(taps) == 1:
        config["layerwise"] = False
    return compare(
        "encoder",
        shapes,
        lambda: ClassEncoder(CLVAEConfig(**config), n_local),
        lambda keys: official_names("encoder", keys),
        config,
        CLVAEConfig,
        ("classwise",),
    )
