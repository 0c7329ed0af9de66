"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/inade.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_multiscale, read_generator
from zoo.plugin import Match
from zoo_plugins.inade.config import InadeConfig

_NORM = rf"{BLOCKS}\.norm_[01s]\."
_OURS = {
    "generator": rf"{official_keys.OURS['generator']}|{_NORM}(?:(?:fc_noise|sketch_conv|merge_conv)\.)?(?:weight|bias)",
    "encoder": r"(?:layers\.[0-3]|middle|ups\.[0-2]|heads\.(?:scale|shift)_(?:mu|logvar))\.(?:weight|bias)",
    "discriminator": official_keys.OURS["discriminator"],
}
_ENCODER = {
    **{f"layer{i + 1}": f"layers.{i}" for i in range(4)},
    **{f"up{i + 1}": f"ups.{i}" for i in range(3)},
    "scale_conv_mu": "heads.scale_mu", "scale_conv_var": "heads.scale_logvar",
    "bias_conv_mu": "heads.shift_mu", "bias_conv_var": "heads.shift_logvar",
}  # fmt: skip
"""The authors' layers of the encoder -> ours; `middle` is the same."""
_OFFICIAL = {ours: theirs for theirs, ours in _ENCODER.items()}
_SPACES = {151: "ade20k", 19: "celebamask-hq", 35: "cityscapes", 8: "deepfashion-8"}


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if INADE has no such key."""
    if role == "encoder":
        layer, _, rest = key.rpartition(".")
        new = f"{_ENCODER.get(layer, layer)}.{rest}"
    else:
        new = official_keys.rename(role, key, keys)
    return new if re.fullmatch(_OURS[role], new) and ".mlp_" not in new else None


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    if role != "encoder":
        return official_keys.official_names(role, keys)
    parts = {key: key.rpartition(".") for key in keys}
    return {key: f"{_OFFICIAL.get(layer, layer)}.{rest}" for key, (layer, _, rest) in parts.items()}


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "INADE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold INADE's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names (told by the rows of the tables: 151 ADE20K, 19 CelebAMask-HQ, 35 Cityscapes, 8 DeepFashion; else
    numbered classes), how many instances of a class are told apart, the kind of a norm without buffers, and the number of doublings, which
    the start grid makes likely. SPADE, CLADE, SC-GAN and CLVAE have the same discriminator.
    """
    if has(shapes, rf"{_NORM}fc_noise\.(?:weight|bias)"):
        return _match_generator(shapes)
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(
            shapes, lambda channels: _space(channels - 4), InadeConfig, ambiguous=("label_space", "channels")
        )
    return _match_encoder(shapes) if has(shapes, r"(?:scale|bias)_conv_(?:mu|var)\.(?:weight|bias)") else None


def _space(classes: int) -> dict[str, Any]:
    return {"label_space": _SPACES[classes]} if classes in _SPACES else numbered(max(classes, 0))


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.inade.generator import Generator

    classes = vote(shapes, (rf"{_NORM}(?:weight|bias)", 0, 1)) or 1
    config: dict[str, Any] = read_generator(shapes) | _space(classes)
    del config["spade_hidden"]
    config["noise_dim"] = vote(shapes, (rf"{_NORM}fc_noise\.weight", 1, 1)) or InadeConfig.noise_dim
    config["sketch"] = has(shapes, rf"{_NORM}(?:sketch|merge)_conv\..*")
    if config["label_space"] == "cityscapes":
        config["instances"] = 32
    ambiguous = ("label_space", "channels", "instances", "resolution", "aspect_ratio", "norm", "use_vae")
    return compare(
        "generator",
        shapes,
        lambda: Generator(InadeConfig(**config), classes),
        lambda keys: official_names("generator", keys),
        config,
        InadeConfig,
        ambiguous if config["upsampling"] == "most" else (*ambiguous, "upsampling"),
    )


def _match_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.inade.encoder import InstanceEncoder

    head = r"(?:scale|bias)_conv_(?:mu|var)"
    width = vote(shapes, (r"layer1\.(?:weight|bias)", 0, 1), (rf"{head}\.weight", 1, 1)) or 1
    noise = vote(shapes, (rf"{head}\.(?:weight|bias)", 0, 1)) or 1
    return compare(
        "encoder",
        shapes,
        lambda: InstanceEncoder(width, noise),
        lambda keys: official_names("encoder", keys),
        {"ngf": width, "noise_dim": noise},
        InadeConfig,
    )
