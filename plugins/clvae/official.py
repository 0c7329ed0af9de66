"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: detection and key mapping (dossier section 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ConfigError, WeightsError
from zoo.labels import numbered_space
from zoo.registry import Match
from zoo_plugins.clvae.config import CLVAEConfig

ROLES = ("generator", "encoder", "discriminator")
_BLOCKS = r"head_0|G_middle_[01]|up_[0-4]"
_NORM = r"param_free_norm\.(?:running_mean|running_var|num_batches_tracked)|mlp_(?:shared|gamma|beta)\.(?:weight|bias)"
_CONV = r"conv_[01s]\.(?:weight|bias|weight_u|weight_v)"
_OURS: dict[str, str] = {
    "generator": rf"cse\.embedding\.weight|(?:fc|conv_img)\.(?:weight|bias)|(?:{_BLOCKS})\.(?:{_CONV}|norm_[01s]\.(?:{_NORM}))",
    "encoder": r"layers\.\d\.0\.weight(?:_[uv])?|(?:fc_mu|fc_var|local_mu\.\d|local_var\.\d)\.(?:weight|bias)",
    "discriminator": r"discriminators\.\d+\.layers\.\d+\.(?:0|0\.0)\.(?:weight|bias|weight_u|weight_v)",
}
_SPACES = {151: "ade20k", 16: "deepfashion", 20: "gta5"}


def rename(role: str, key: str) -> str | None:
    """Our name (without the role's prefix) of an official key, or None if CLVAE has no such key."""
    new = re.sub(r"\.weight_orig$", ".weight", key)
    if role == "generator":
        new = re.sub(r"^embedding\.", "cse.embedding.", new.replace(".mlp_shared.0.", ".mlp_shared."))
    elif role == "encoder":
        new = re.sub(r"^layer(\d+)\.", lambda m: f"layers.{int(m[1]) - 1}.", new)
        new = re.sub(r"^fc_(mu|var)(\d)\.", r"local_\1.\2.", new)
    else:
        new = re.sub(r"^discriminator_(\d+)\.model(\d+)\.", r"discriminators.\1.layers.\2.", new)
    return new if re.fullmatch(_OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ROLES:
            raise WeightsError(f"Unknown role {role!r}: expected one of {', '.join(ROLES)}.")
        renamed = {key: rename(role, key) for key in state}
        unknown = sorted(k for k, name in renamed.items() if name is None)
        if unknown:
            raise WeightsError(
                f"No CLVAE {role}: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
            )
        lacking = [k for k in state if k.endswith(".weight_u") and k[:-1] + "v" not in state]
        if lacking:
            raise WeightsError(
                f"The {role} was saved by torch < 1.1: {len(lacking)} spectral-norm layers have no weight_v (first: {lacking[0]})."
                " Load and save it once with a newer torch and the authors' code."
            )
        out |= {f"{role}.{name}": state[key] for key, name in renamed.items()}
    return out


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Does this file hold CLVAE's generator or encoder? The config is read off the shapes.

    Not in the files: class names (told by their number: 151 ADE20K, 20 GTA-5, 16 DeepFashion; else numbered), the norm's kind where
    it has no buffers, and the image size, which follows from the start grid and the number of doublings, itself open
    between "normal" and "more" (8 pixels high: normal).
    """
    if {"embedding.weight", "fc.weight", "up_3.norm_0.mlp_shared.0.weight"} <= set(shapes):
        config, ambiguous = _read_generator(shapes)
        return _match("generator", shapes, config, ambiguous)
    if {"fc_mu1.weight", "fc_mu.weight", "layer1.0.weight_orig"} <= set(shapes) or {
        "fc_mu1.weight", "fc_mu.weight", "layer1.0.weight",
    } <= set(shapes):  # fmt: skip
        first = shapes.get("layer1.0.weight_orig", shapes.get("layer1.0.weight", (0,)))[0]
        taps = len([k for k in shapes if re.fullmatch(r"fc_mu\d\.weight", k)])
        config = {
            "nef": first,
            "ngf": first,
            "z_dim": shapes["fc_mu.weight"][0],
            "z_dim_local": shapes["fc_mu1.weight"][0],
            "layers": taps + 1,
        }
        return _match(
            "encoder", shapes, config, ("channels", "label_space", "upsampling", "resolution", "aspect_ratio")
        )
    return None


def _read_generator(shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[str, Any], tuple[str, ...]]:
    classes, n_local = shapes["embedding.weight"]
    head = shapes["head_0.norm_0.mlp_gamma.weight"][0]
    pixels = shapes["fc.weight"][0] // head
    # square, or twice as wide as high
    aspect = 1.0 if round(pixels**0.5) ** 2 == pixels else 2.0
    width = round((pixels * aspect) ** 0.5)
    most = "up_4.conv_0.bias" in shapes
    upsampling = "most" if most else "normal" if round(width / aspect) >= 8 else "more"
    kernel = shapes["up_3.norm_0.mlp_shared.0.weight"][-1]
    spectral = "spectral" if "head_0.conv_0.weight_orig" in shapes else ""
    kind = "syncbatch" if "head_0.norm_0.param_free_norm.running_mean" in shapes else "instance"
    config: dict[str, Any] = {
        "label_space": _SPACES.get(classes, "numbered"),
        "channels": () if classes in _SPACES else tuple(f"label_{i}" for i in range(classes)),
        "resolution": width << {"normal": 5, "more": 6, "most": 7}[upsampling],
        "aspect_ratio": aspect,
        "ngf": head // 16,
        "z_dim": shapes["fc.weight"][1],
        "z_dim_local": n_local,
        "upsampling": upsampling,
        "norm": f"{spectral}spade{kind}{kernel}x{kernel}",
        "spade_hidden": shapes["up_3.norm_0.mlp_shared.0.weight"][0],
    }
    return config, ("channels", "label_space", "nef", "encoder_norm", *(() if most else ("upsampling", "resolution")))


def _match(
    role: str, shapes: Mapping[str, tuple[int, ...]], config: dict[str, Any], ambiguous: tuple[str, ...]
) -> Match | None:
    """What a network of this config would have, against what the file has; None for sizes that no such network has."""
    from zoo_plugins.clvae.model import CLVAE

    classes = shapes["embedding.weight"][0] if role == "generator" else config["z_dim_local"]
    try:
        with torch.device("meta"):
            whole = CLVAEConfig(**(config | {"label_space": "numbered", "channels": ()}))
            expected = set(getattr(CLVAE(whole, numbered_space(classes)), role).state_dict())
    except ConfigError:
        return None
    renamed = {key: rename(role, key) for key in shapes}
    found = {name for name in renamed.values() if name is not None}
    fields = {k: v for k, v in config.items() if v != getattr(CLVAEConfig, k)}
    return Match(
        role=role,
        config=fields,
        ambiguous=ambiguous,
        missing=tuple(sorted(expected - found)),
        unknown=tuple(sorted(k for k, name in renamed.items() if name is None or name not in expected)),
    )
