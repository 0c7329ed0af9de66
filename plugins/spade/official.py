"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (dossier section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ConfigError
from zoo.labels import numbered_space
from zoo.nn import official_keys
from zoo.registry import Match
from zoo_plugins.spade.config import SpadeConfig

_BLOCKS = r"head_0|G_middle_[01]|up_[0-4]"
_NORM = r"param_free_norm\.(?:running_mean|running_var|num_batches_tracked)|mlp_(?:shared|gamma|beta)\.(?:weight|bias)"
_CONV = r"conv_[01s]\.(?:weight|bias|weight_u|weight_v)"
_OURS: dict[str, str] = {
    "generator": rf"(?:fc|conv_img)\.(?:weight|bias)|(?:{_BLOCKS})\.(?:{_CONV}|norm_[01s]\.(?:{_NORM}))",
    "encoder": r"layers\.\d\.[01]\.\w+|fc_(?:mu|var)\.(?:weight|bias)",
    "discriminator": r"discriminators\.\d+\.layers\.\d+\.(?:0\.)?[01]\.\w+",
}
# planes of the map -> label space and edge plane
_SPACES = {
    151: ("ade20k", False), 184: ("coco-stuff", True), 183: ("coco-stuff", False), 36: ("cityscapes", True),
    35: ("cityscapes", False), 13: ("facades", False), 19: ("celebamask-hq", False),
}  # fmt: skip


def rename(role: str, key: str) -> str | None:
    """Our name (without the role's prefix) of an official key, or None if SPADE has no such key."""
    new = official_keys.rename(role, key)
    return new if re.fullmatch(_OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, rename, "SPADE")


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Does this file hold SPADE's generator or encoder? The config is read off the shapes.

    Not in the files: class names and whether the last plane shows edges (told by the number of planes: 151 ADE20K, 184
    COCO-Stuff, 36 Cityscapes, 13 facades, 19 CelebAMask-HQ; else numbered classes without edges), the kind of a norm without
    buffers, and the image size: without VAE nothing of it (the data set's own is assumed), with VAE the start grid alone, so
    "normal" and "more" stay open. A generator with VAE is not complete without its encoder's file, and
    the encoder's width need not be the generator's.
    """
    keys = set(shapes)
    if {"fc.weight", "conv_img.weight", "up_3.norm_0.mlp_shared.0.weight"} <= keys and "embedding.weight" not in keys:
        return _match("generator", shapes, *_read_generator(shapes))
    first = shapes.get("layer1.0.weight_orig") or shapes.get("layer1.weight_orig")
    if first and "fc_var.weight" in keys and "fc_mu1.weight" not in keys:
        depth = len([k for k in keys if re.fullmatch(r"layer\d(?:\.0)?\.weight_orig", k)])
        norm = "" if "layer1.weight_orig" in keys else "batch" if "layer1.1.running_mean" in keys else "instance"
        config = {
            "use_vae": True, "nef": first[0], "ngf": first[0], "z_dim": shapes["fc_mu.weight"][0],
            "encoder_size": 4 << depth, "encoder_norm": "spectral" + norm,
        }  # fmt: skip
        return _match(
            "encoder", shapes, config, ("label_space", "channels", "edges", "upsampling", "resolution", "aspect_ratio")
        )
    return None


def _read_generator(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    head, fc, shared = (
        shapes[k] for k in ("head_0.norm_0.mlp_gamma.weight", "fc.weight", "up_3.norm_0.mlp_shared.0.weight")
    )
    spectral = "spectral" if "head_0.conv_0.weight_orig" in shapes else ""
    kind = "syncbatch" if "head_0.norm_0.param_free_norm.running_mean" in shapes else "instance"
    space, edges = _SPACES.get(shared[1], ("numbered", False))
    wide, most = space == "cityscapes", "up_4.conv_0.bias" in shapes
    config: dict[str, Any] = {
        "label_space": space,
        "channels": tuple(f"label_{i}" for i in range(shared[1])) if space == "numbered" else (),
        "edges": edges,
        "ngf": head[0] // 16,
        "norm": f"{spectral}spade{kind}{shared[-1]}x{shared[-1]}",
        "spade_hidden": shared[0],
        "use_vae": len(fc) == 2,
        "aspect_ratio": 2.0 if wide else 1.0,
        "upsampling": "most" if most else "more" if wide else "normal",
        "resolution": 512 if wide else 256,
    }
    ambiguous = ("label_space", "channels", "edges", "resolution", *(() if most else ("upsampling",)))
    if len(fc) == 2:
        pixels = fc[0] // head[0]
        aspect = 1.0 if round(pixels**0.5) ** 2 == pixels else 2.0  # square, or twice as wide as high
        width = round((pixels * aspect) ** 0.5)
        up = "most" if most else "normal" if round(width / aspect) >= 8 else "more"
        size = width << {"normal": 5, "more": 6, "most": 7}[up]
        config |= {"z_dim": fc[1], "aspect_ratio": aspect, "upsampling": up, "resolution": size}
        return config, (*ambiguous, "nef", "encoder_norm", "encoder_size")
    return config, (*ambiguous, "aspect_ratio")


def _match(
    role: str, shapes: Mapping[str, tuple[int, ...]], config: dict[str, Any], ambiguous: tuple[str, ...]
) -> Match | None:
    """What a network of this config would have, against what the file has; None for sizes that no such network has."""
    from zoo_plugins.spade.model import SPADE

    planes = shapes["up_3.norm_0.mlp_shared.0.weight"][1] if role == "generator" else 2
    try:
        read = SpadeConfig(**config)
        with torch.device("meta"):
            model = SPADE(replace(read, label_space="numbered", channels=(), edges=False), numbered_space(planes))
            expected = set(getattr(model, role).state_dict())
    except ConfigError:
        return None
    renamed = {key: rename(role, key) for key in shapes}
    found = {name for name in renamed.values() if name is not None}
    return Match(
        role=role,
        config={k: v for k, v in config.items() if v != getattr(SpadeConfig, k)},
        ambiguous=ambiguous,
        missing=tuple(sorted(expected - found)),
        unknown=tuple(sorted(k for k, name in renamed.items() if name is None or name not in expected)),
    )
