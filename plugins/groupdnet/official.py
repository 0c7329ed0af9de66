"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/groupdnet.md, "Checkpoints")."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_multiscale, norm_kind
from zoo.plugin import ConfigError, Match
from zoo_plugins.groupdnet.config import GroupDNetConfig

SPACES = {8: ("deepfashion-8", "deepfashion"), 16: ("deepfashion", "deepfashion"), 35: ("cityscapes", "cityscapes"), 151: ("ade20k", "ade20k")}  # fmt: skip
"""Number of classes -> label space and network of the authors' data sets (16: CLVAE's comparison)."""
_OURS = official_keys.OURS | {
    "generator": rf"{official_keys.OURS['generator']}|{BLOCKS}\.norm_[01s]\.param_free_norm\.(?:weight|bias)"
}
official_names = official_keys.official_names


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if GroupDNet has no such key."""
    new = official_keys.rename(role, key, keys)
    return new if re.fullmatch(_OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "GroupDNet")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold GroupDNet's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names (8 classes are DeepFashion's, 35 Cityscapes', 151 ADE20K's), the image size (the data set's own is
    assumed), and of a generator the encoder's width, without whose file it is not complete. The discriminator is SPADE's.
    """
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(shapes, lambda channels: _fields(channels - 3), GroupDNetConfig, ambiguous=_SPACE)
    if len(shapes.get("fc_mu.weight", shapes.get("fc_var.weight", ()))) == 4:
        return _match_encoder(shapes)
    if has(shapes, rf"{BLOCKS}\.(?:conv|norm)_[01s]\..*"):
        return _match_generator(shapes)
    return None


_SPACE = ("label_space", "channels", "network", "resolution", "aspect_ratio", "ngf", "encoder_width")


def _fields(planes: int) -> dict[str, Any]:
    """What the number of classes (36: with edges) makes likely."""
    classes = 35 if planes == 36 else planes
    if classes not in SPACES:
        return numbered(classes) | {"network": "ade20k"}
    space, network = SPACES[classes]
    size = {"resolution": 512, "aspect_ratio": 2.0} if network == "cityscapes" else {}
    return {"label_space": space, "network": network} | size


def _width(classes: int, network: str) -> int:
    """The official width of an encoder, or for other class counts a multiple of them."""
    return {"cityscapes": 10 * classes, "ade20k": 4 * classes}.get(network, math.lcm(256, classes))


def _match_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.groupdnet.encoder import GroupEncoder

    code = GroupDNetConfig.code_width
    classes = vote(shapes, (r"fc_(?:mu|var)\.(?:weight|bias)", 0, code)) or 8
    first, second = r"layer1(?:\.0)?\.weight(?:_orig)?", r"layer2(?:\.0)?\.weight(?:_orig)?"
    width = vote(shapes, (first, 0, 1), (second, 0, 2)) or classes
    depth = len(numbers(shapes, r"layer(\d+)\..*"))
    norm = norm_kind(shapes, r"layer\d+\.0", r"layer\d+")
    if width % classes or width > 1 << 14 or not depth:
        return None
    config = _fields(classes) | {
        "encoder_width": width, "encoder_norm": norm, "upsampling": "normal" if depth == 5 else "more",
    }  # fmt: skip
    return compare(
        "encoder",
        shapes,
        lambda: GroupEncoder(classes, width, depth, code, norm),
        lambda keys: official_names("encoder", keys),
        config,
        GroupDNetConfig,
        ("label_space", "channels", "network", "resolution", "aspect_ratio", "ngf", "norm"),
    )


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.groupdnet.generator import Generator

    shared = shapes.get("head_0.norm_0.mlp_shared.0.weight", (0, 0, 3, 3))
    first = shapes.get("fc.weight", ())
    if len(shared) != 4 or shared[1] not in (0, 1, 2) or len(first) != 4:  # other systems' layers see all planes
        return None
    network = "ade20k" if has(shapes, r"up_4\..*") else "cityscapes" if shared[1] == 2 else "deepfashion"
    classes = {
        "ade20k": first[0] // 16, "cityscapes": round(shared[0] ** 0.5), "deepfashion": first[1],
    }[network]  # fmt: skip
    last = vote(shapes, (r"conv_img\.weight", 1, 2 if network == "ade20k" else 1))
    spectral = "spectral" if has(shapes, rf"{BLOCKS}\.conv_[01s]\.weight_orig") else ""
    kind = (
        "group" if has(shapes, rf"{BLOCKS}\.norm_[01s]\.param_free_norm\.weight")
        else "syncbatch" if has(shapes, rf"{BLOCKS}\.norm_[01s]\.param_free_norm\.running_mean") else "instance"
    )  # fmt: skip
    if not 1 <= classes <= 1024 or not last:
        return None
    config = (_fields(classes) if classes in SPACES and SPACES[classes][1] == network else numbered(classes)) | {
        "network": network,
        "ngf": last,
        "encoder_width": _width(classes, network),
        "norm": f"{spectral}spade{kind}{shared[2]}x{shared[3]}",
    }
    if network == "deepfashion":
        config["hidden"] = shared[0] or GroupDNetConfig.hidden
    try:
        GroupDNetConfig(**config)
        return compare(
            "generator",
            shapes,
            lambda: Generator(GroupDNetConfig(**config), classes),
            lambda keys: official_names("generator", keys),
            config,
            GroupDNetConfig,
            ("label_space", "channels", "resolution", "aspect_ratio", "encoder_width", "encoder_norm", "upsampling"),
        )
    except ConfigError:  # widths that fit no groups: another network
        return None
