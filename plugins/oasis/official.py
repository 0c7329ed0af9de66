"""The authors' checkpoints `{best,latest,<iteration>}_{G,D,EMA}.pth`, bare state dicts: detection and key mapping (docs/papers/oasis.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, vote
from zoo.families.spade import official_keys
from zoo.plugin import Match
from zoo_plugins.oasis.config import BLOCKS, OasisConfig

_RULES: dict[str, official_keys.Rules] = {
    "generator": ((r"\.mlp_shared\.0\.", ".mlp_shared."), (r"\.first_norm\.", ".param_free_norm.")),
    "discriminator": (
        (r"^body_(down|up)\.", r"\1."),
        (r"^layer_up_last\.", "last."),
        (r"\.conv1\.\d\.", ".conv_0."),
        (r"\.conv2\.\d\.", ".conv_1."),
    ),
}
_PARAMETER = r"(?:weight|bias|weight_u|weight_v)"
_NORM = r"param_free_norm\.(?:running_mean|running_var|num_batches_tracked)|mlp_(?:shared|gamma|beta)\.(?:weight|bias)"
_BLOCK = rf"[0-{BLOCKS - 1}]"
_OURS = {
    "generator": rf"(?:fc|conv_img)\.(?:weight|bias)|body\.{_BLOCK}\.(?:conv_[01s]\.{_PARAMETER}|norm_[01s]\.(?:{_NORM}))",
    "discriminator": rf"(?:down|up)\.{_BLOCK}\.conv_[01s]\.{_PARAMETER}|last\.(?:weight|bias)",
}
_SPACES = {151: "ade20k", 183: "coco-stuff", 35: "cityscapes", 19: "celebamask-hq", 20: "gta5"}
"""Classes -> the label space that has so many."""
_Z_DIM = OasisConfig.z_dim
_GENERATOR = r"body\.\d\.(?:conv_[01s]|norm_[01s])\..*"
_SHARED = r"body\.\d\.norm_[01s]\.mlp_shared\.0"


def rename(role: str, key: str) -> str | None:
    """Our name (without the role's prefix) of an official key, or None if OASIS has no such key."""
    new = official_keys.apply(_RULES[role], re.sub(r"\.weight_orig$", ".weight", key))
    return new if re.fullmatch(_OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(
        parts, lambda role, key, _keys: rename(role, key), "OASIS", ("generator", "discriminator")
    )


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    names = {key: official_keys.spectral_name(key, keys) for key in keys}
    if role == "generator":
        rules = ((r"\.mlp_shared\.", ".mlp_shared.0."), (r"\.param_free_norm\.", ".first_norm."))
        return {key: official_keys.apply(rules, name) for key, name in names.items()}
    return {key: _of_discriminator(name) for key, name in names.items()}


def _of_discriminator(name: str) -> str:
    """The index inside a Sequential says how much stands in front of the convolution: an activation, and in the way up a doubling."""
    match = re.match(r"(down|up)\.(\d)\.conv_([01])\.", name)
    if match:
        before = 1 if match[3] == "1" or match[1] == "down" else 2
        first = match[1] == "down" and match[2] == "0" and match[3] == "0"
        return f"body_{match[1]}.{match[2]}.conv{int(match[3]) + 1}.{0 if first else before}.{name[match.end() :]}"
    return re.sub(r"^(down|up)\.", r"body_\1.", re.sub(r"^last\.", "layer_up_last.", name))


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold OASIS's generator (G or EMA: the same keys) or its discriminator? The config is read off the shapes.

    Not in the files: class names and the image size (told by the number of classes: 151 ADE20K, 183 COCO-Stuff, 35 Cityscapes, 20
    GTA-5, 19 CelebAMask-HQ; else numbered classes), and how many of the input planes are noise: all official models have 64 or none.
    """
    if has(shapes, _GENERATOR) and has(shapes, r"body\.\d\.norm_[01s]\.(?:mlp_|first_norm).*"):
        return _match_generator(shapes)
    if has(shapes, r"body_(?:down|up)\.\d\.conv[12]\.\d\..*"):
        return _match_discriminator(shapes)
    return None


def _fields(classes: int) -> dict[str, Any]:
    """Label space fields that the number of classes tells, or makes likely."""
    if classes not in _SPACES:
        return numbered(classes)
    space = _SPACES[classes]
    sizes = {"resolution": 512, "aspect_ratio": 2.0} if space == "cityscapes" else {}
    return {"label_space": space, **sizes}


def _noise(planes: int) -> dict[str, Any]:
    """How many of the input planes are noise, as the known numbers of classes make likely."""
    if planes in _SPACES:
        return {"use_noise": False}
    likely = next((z for z in (_Z_DIM, 8, 16, 32, 128, 256) if planes - z in _SPACES), None)
    if likely is None:
        return {} if planes > _Z_DIM else {"use_noise": False}
    return {"z_dim": likely}


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.oasis.generator import Generator

    planes = vote(shapes, (rf"{_SHARED}\.weight", 1, 1), (r"fc\.weight", 1, 1)) or 1
    config = _noise(planes)
    noise = 0 if config.get("use_noise") is False else config.get("z_dim", _Z_DIM)
    classes = max(1, planes - noise)
    kernel = vote(shapes, (rf"{_SHARED}\.weight", 3, 1)) or 3
    spectral = "spectral" if has(shapes, r"body\.\d\.conv_[01s]\.weight_orig") else ""
    kind = "syncbatch" if has(shapes, r"body\.\d\.norm_[01s]\.first_norm\.running_mean") else "instance"
    widths = [(rf"body\.{i}\.conv_[01]\.bias", 0, 16 >> max(0, i - 1)) for i in range(2)]
    widths += [(rf"body\.{i}\.conv_1\.bias", 0, 16 >> (i - 1)) for i in range(2, BLOCKS)]
    config |= _fields(classes) | {
        "ngf": vote(shapes, *widths) or OasisConfig.ngf,
        "norm": f"{spectral}spade{kind}{kernel}x{kernel}",
        "spade_hidden": vote(shapes, (rf"{_SHARED}\.(?:weight|bias)", 0, 1)) or OasisConfig.spade_hidden,
    }
    return compare(
        "generator",
        shapes,
        lambda: Generator(OasisConfig(**config), classes),
        lambda keys: official_names("generator", keys),
        config,
        OasisConfig,
        ("label_space", "channels", "resolution", "aspect_ratio", "use_noise", "z_dim", "noise"),
    )


def _match_discriminator(shapes: Shapes) -> Match | None:
    from zoo_plugins.oasis.discriminator import SegmentingDiscriminator

    outputs = vote(shapes, (r"layer_up_last\.(?:weight|bias)", 0, 1)) or 2
    width = vote(shapes, (r"body_down\.[01]\.conv[12]\.\d\.bias", 0, 1)) or 128
    return compare(
        "discriminator",
        shapes,
        lambda: SegmentingDiscriminator(max(1, outputs - 1), width),
        lambda keys: official_names("discriminator", keys),
        _fields(outputs - 1),
        OasisConfig,
        ("label_space", "channels", "resolution", "aspect_ratio"),
    )
