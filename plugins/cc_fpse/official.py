"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/cc_fpse.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, vote
from zoo.families.spade import fpse_keys, official_keys
from zoo.families.spade.fpse_keys import is_fpse, match_fpse
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_encoder, norm_kind, space_fields, start_grid
from zoo.families.spade.sizes import DOUBLINGS
from zoo.plugin import Match
from zoo_plugins.cc_fpse.config import CCFPSEConfig

PARTS = {
    "norm_0": "unused", "norm_1": "conv_0.norm", "norm_2": "conv_1.norm",
    "gen_weights1": "conv_0.kernels", "gen_weights2": "conv_1.kernels",
    "gen_se_weights1": "conv_0.attention", "gen_se_weights2": "conv_1.attention",
    "conv_0.norm_layer": "conv_0.unused", "conv_2.norm_layer": "conv_1.unused",
    "conv_1": "conv_0.pointwise", "conv_3": "conv_1.pointwise",
}  # fmt: skip
"""Parts of a block: theirs -> ours. The shortcut's have the same names."""
_BACK = {ours: theirs for theirs, ours in PARTS.items()}
_PYRAMID = {"enc": "encoders", "lat": "laterals", "dec": "decoders"}
_LAYER = re.compile(r"^label(enc|lat|dec)(\d)\.0\.(?:(0|1)\.)?(\w+)$")
_LEAF = r"(?:weight|bias|weight_u|weight_v|running_mean|running_var|num_batches_tracked)"
_NORMED = rf"0\.[01]\.{_LEAF}"
_OURS = {
    "generator": rf"(?:fc|conv_img)\.(?:weight|bias)|pyramid\.(?:encoders|laterals|decoders)\.\d\.{_NORMED}|{BLOCKS}\.(?:"
    rf"conv_s\.{_LEAF}|norm_s\.(?:param_free_norm|mlp_(?:shared|gamma|beta))\.{_LEAF}|unused\.{_LEAF}|"
    rf"conv_[01]\.(?:(?:norm|unused|pointwise)|(?:kernels|attention)\.[02])\.{_LEAF})",
    "encoder": official_keys.OURS["encoder"],
    "discriminator": rf"{official_keys.OURS['discriminator']}|{fpse_keys.OURS}",
}


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if CC-FPSE has no such key."""
    new = official_keys.rename(role, key, keys)
    if role == "discriminator":
        new = fpse_keys.rename(new, keys)
    elif role == "generator":
        new = _generator_name(new)
    return new if re.fullmatch(_OURS[role], new) else None


def _generator_name(key: str) -> str:
    if match := _LAYER.match(key):  # counted from 1; without a norm there is no inner Sequential
        kind, number, inner, leaf = match.groups()
        return f"pyramid.{_PYRAMID[kind]}.{int(number) - 1}.0.{inner or 0}.{leaf}"
    match = re.match(rf"({BLOCKS})\.({'|'.join(map(re.escape, sorted(PARTS, key=len, reverse=True)))})\.(.+)$", key)
    return f"{match[1]}.{PARTS[match[2]]}.{match[3]}" if match else key


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    names = official_keys.official_names(role, keys)
    if role == "discriminator":
        return fpse_keys.official_names(names, keys)
    if role != "generator":
        return names
    return official_keys.unwrapped(
        {key: _official_name(name) for key, name in names.items()},
        re.compile(r"^(label(?:enc|lat|dec)\d\.0)\.0(\.\w+)$"),
    )


def _official_name(key: str) -> str:
    if match := re.match(r"pyramid\.(\w{3})\w*\.(\d)\.(.+)$", key):
        return f"label{match[1]}{int(match[2]) + 1}.{match[3]}"
    match = re.match(rf"({BLOCKS})\.({'|'.join(map(re.escape, _BACK))})\.(.+)$", key)
    return f"{match[1]}.{_BACK[match[2]]}.{match[3]}" if match else key


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "CC-FPSE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold CC-FPSE's generator, encoder or discriminator? The config is read off the shapes.

    Not in the files: class names and whether the last plane shows edges (told by the number of planes: 151 ADE20K, 184
    COCO-Stuff, 36 Cityscapes), an instance norm of the pyramid (no keys), and the image size: of a generator with VAE the start grid
    alone. Such a generator is not complete without its encoder's file. SPADE has the same encoder, SC-GAN the same discriminator.
    """
    if has(shapes, rf"label(?:enc|lat|dec)\d\.0\..*|{BLOCKS}\.gen_(?:se_)?weights[12]\..*"):
        return _match_generator(shapes)
    if is_fpse(shapes) and not has(shapes, r"(?:lat6|enc\d\.conv_bases|blur)\..*"):
        return match_fpse(shapes, lambda keys: official_names("discriminator", keys), space_fields, CCFPSEConfig)
    return match_encoder(shapes, CCFPSEConfig, {})


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.cc_fpse.generator import Generator

    first = r"labelenc1\.0(?:\.0)?\.weight(?:_orig)?"
    read = vote(shapes, (first, 1, 1), (r"fc\.weight", 1, 1 if len(shapes.get("fc.weight", ())) == 4 else 1 << 40))
    ngf = vote(shapes, (r"label(?:enc|lat|dec)\d\.0(?:\.0)?\.weight(?:_orig)?", 0, 1)) or CCFPSEConfig.ngf
    inputs = vote(shapes, (rf"{BLOCKS}\.gen_(?:se_)?weights[12]\.0\.weight", 1, 1))
    planes = read or max(inputs - ngf, 1)
    config: dict[str, Any] = space_fields(planes) | {
        "ngf": ngf,
        "hidden": vote(shapes, (rf"{BLOCKS}\.gen_(?:se_)?weights[12]\.0\.(?:weight|bias)", 0, 1))
        or CCFPSEConfig.hidden,
        "norm": norm_kind(shapes, r"label(?:enc|lat|dec)\d\.0\.0", r"label(?:enc|lat|dec)\d\.0"),
        "upsampling": "more" if has(shapes, r"label(?:enc7|lat6|dec6)\..*") else "normal",
        "use_vae": len(shapes.get("fc.weight", (0, 0))) == 2,
    }
    ambiguous = ("label_space", "channels", "edges", "resolution", "aspect_ratio")
    if config["use_vae"]:
        height, width = start_grid(shapes.get("fc.weight", (16 * ngf * 64,))[0] // (16 * ngf))
        config |= {
            "z_dim": vote(shapes, (r"fc\.weight", 1, 1)) or CCFPSEConfig.z_dim,
            "aspect_ratio": width / height,
            "resolution": width << DOUBLINGS[config["upsampling"]],
        }
        ambiguous = (*ambiguous, "nef", "encoder_norm", "encoder_size")
    elif config.get("label_space") == "cityscapes":
        config |= {"resolution": 512, "aspect_ratio": 2.0}
    return compare(
        "generator",
        shapes,
        lambda: Generator(CCFPSEConfig(**config), planes),
        lambda keys: official_names("generator", keys),
        config,
        CCFPSEConfig,
        ambiguous,
    )
