"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (docs/papers/clade.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_encoder, match_multiscale, read_generator, space_fields
from zoo.plugin import Match
from zoo_plugins.clade.config import CladeConfig

_NORM = rf"{BLOCKS}\.norm_[01s]\."
_OURS = {
    **official_keys.OURS,
    "generator": rf"{official_keys.OURS['generator']}|{_NORM}(?:(?:(?:scale|shift)_position|edge_conv)\.)?(?:weight|bias)",
}
_RULES = (
    (r"\.class_specified_affine\.dist_conv_w\.", ".scale_position."),
    (r"\.class_specified_affine\.dist_conv_b\.", ".shift_position."),
    (r"\.inst_conv\.", ".edge_conv."),
    (r"\.class_specified_affine\.", "."),
)
_BACK = (
    (r"\.scale_position\.", ".class_specified_affine.dist_conv_w."),
    (r"\.shift_position\.", ".class_specified_affine.dist_conv_b."),
    (r"\.edge_conv\.", ".inst_conv."),
    (rf"^({_NORM})(weight|bias)$", r"\1class_specified_affine.\2"),
)


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if CLADE has no such key."""
    new = official_keys.rename(role, key, keys)
    if role == "generator":
        new = official_keys.apply(_RULES, new)
    return new if re.fullmatch(_OURS[role], new) and ".mlp_" not in new else None


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    names = official_keys.official_names(role, keys)
    return {k: official_keys.apply(_BACK, n) for k, n in names.items()} if role == "generator" else names


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "CLADE")


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold CLADE's generator, encoder or discriminator? The config is read off the shapes.

    Edges and positions (ICPE) have keys of their own. Not in the files: class names (told by the rows of the tables: 151 ADE20K,
    183 COCO-Stuff, 35 Cityscapes, 19 CelebAMask-HQ; else numbered classes), the kind of a norm without buffers, the K of the norm's
    text, and the image size: without VAE nothing of it (the data set's own is assumed), with VAE the start grid alone, so "normal"
    and "more" stay open. A generator with VAE is not complete without its encoder's file. SPADE and SC-GAN have the same encoder and
    discriminator, CLVAE and INADE the latter.
    """
    if has(shapes, rf"{_NORM}class_specified_affine\..*"):
        return _match_generator(shapes)
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(shapes, lambda channels: space_fields(channels - 3), CladeConfig)
    return match_encoder(shapes, CladeConfig, {"use_vae": True})


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.clade.generator import Generator

    classes = vote(shapes, (rf"{_NORM}class_specified_affine\.(?:weight|bias)", 0, 1)) or 1
    edges = has(shapes, rf"{_NORM}inst_conv\.(?:weight|bias)")
    config: dict[str, Any] = space_fields(classes) | {
        "edges": edges,
        "positions": has(shapes, rf"{_NORM}class_specified_affine\.dist_conv_[wb]\..*"),
    }
    if config["label_space"] == "cityscapes":
        config |= {"resolution": 512, "aspect_ratio": 2.0, "upsampling": "more"}
    read = read_generator(shapes)
    del read["spade_hidden"]
    config |= {k: v for k, v in read.items() if k != "upsampling" or "z_dim" in read or v == "most"}
    ambiguous = ["label_space", "channels", "resolution", "aspect_ratio", "norm"]
    if config.get("upsampling") != "most":
        ambiguous.append("upsampling")
    if len(shapes.get("fc.weight", ())) == 2:
        config["use_vae"] = True
        ambiguous += ["nef", "encoder_norm", "encoder_size"]
    return compare(
        "generator",
        shapes,
        lambda: Generator(CladeConfig(**config), classes + edges),
        lambda keys: official_names("generator", keys),
        config,
        CladeConfig,
        tuple(ambiguous),
    )
