"""The authors' checkpoints `<epoch>_net_{G,D}.pth`, each a bare state dict (docs/papers/sean.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import match_multiscale, space_fields
from zoo.plugin import Match, WeightsError
from zoo_plugins.sean.config import SEANConfig

LAYERS = 3
"""Of the official discriminators, before the output convolution."""
# (theirs, ours)
_GENERATOR = (
    (r"^Zencoder\.model\.1\.", "encoder.first."),
    (r"^Zencoder\.model\.4\.", "encoder.down.0."),
    (r"^Zencoder\.model\.7\.", "encoder.down.1."),
    (r"^Zencoder\.model\.10\.", "encoder.up."),
    (r"^Zencoder\.model\.14\.", "encoder.last."),
    (r"\.ace_([01s])\.", r".norm_\1."),
    (r"\.Spade\.mlp_shared\.0\.", ".spade.mlp_shared."),
    (r"\.Spade\.", ".spade."),
    (r"\.(norm_[01s])\.fc_mu(\d+)\.", r".\1.style.regions.\2."),
    (r"\.(norm_[01s])\.conv_(gamma|beta)\.", r".\1.style.conv_\2."),
)
_BACK = (
    (r"^encoder\.first\.", "Zencoder.model.1."),
    (r"^encoder\.down\.0\.", "Zencoder.model.4."),
    (r"^encoder\.down\.1\.", "Zencoder.model.7."),
    (r"^encoder\.up\.", "Zencoder.model.10."),
    (r"^encoder\.last\.", "Zencoder.model.14."),
    (r"\.style\.regions\.(\d+)\.", r".fc_mu\1."),
    (r"\.style\.conv_", ".conv_"),
    (r"\.spade\.mlp_shared\.", ".Spade.mlp_shared.0."),
    (r"\.spade\.", ".Spade."),
    (r"\.norm_([01s])\.", r".ace_\1."),
    (r"^generator\.", ""),
)
_NORM = r"param_free_norm\.(?:running_mean|running_var|num_batches_tracked)"
_LAYER = r"(?:weight|bias)"
_OURS = re.compile(
    rf"encoder\.(?:first|down\.[01]|up|last)\.{_LAYER}|generator\.(?:(?:fc|conv_img)\.{_LAYER}"
    rf"|{BLOCKS}\.(?:conv_[01s]\.(?:weight|bias|weight_u|weight_v)"
    rf"|norm_[01s]\.(?:blending_gamma|blending_beta|noise_var|{_NORM}|spade\.{_NORM}|spade\.mlp_(?:shared|gamma|beta)\.{_LAYER}"
    rf"|style\.(?:conv_gamma|conv_beta|regions\.\d+)\.{_LAYER})))"
)


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name of an official key of the role's file (keys: all of it), the role's prefix included; None if SEAN has no such key.

    The generator's file holds the style encoder too (`encoder.*`).
    """
    if role == "discriminator":
        new = official_keys.rename(role, key, keys)
        return f"discriminator.{new}" if re.fullmatch(official_keys.OURS[role], new) else None
    new = official_keys.apply(_GENERATOR, re.sub(r"\.weight_orig$", ".weight", key))
    new = new if new.startswith("encoder.") else f"generator.{new}"
    return new if _OURS.fullmatch(new) else None


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of a file -> their official names; the inverse of `rename`. Keys of the discriminator's file without their prefix."""
    if role == "discriminator":
        return official_keys.official_names(role, keys)
    names = {}
    for key in keys:
        names[key] = official_keys.spectral_name(key, keys)
        for pattern, replacement in _BACK:
            names[key] = re.sub(pattern, replacement, names[key])
    return names


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, discriminator) -> our state dict.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for an
    unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ("generator", "discriminator"):
            raise WeightsError(
                f"SEAN has files of the roles generator (with the style encoder) and discriminator, got {role!r}."
            )
        official_keys.check_spectral(role, state)
        renamed = {key: rename(role, key, state) for key in state}
        if unknown := sorted(k for k, name in renamed.items() if name is None):
            raise WeightsError(
                f"No SEAN {role}: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
            )
        out |= {name: state[key] for key, name in renamed.items() if name is not None}
    return out


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold SEAN's generator (with its style encoder) or discriminator? The config is read off the shapes.

    Not in the files: class names and whether the last plane shows edges (19 planes: CelebAMask-HQ; else numbered classes without
    edges), the image size, whether the start grid is doubled five or six times ("normal" is assumed). The official discriminator
    is SPADE's with three layers, for at most 19 planes: SPADE, SC-GAN and CLVAE may have the same.
    """
    if has(shapes, rf"Zencoder\.model\..*|{BLOCKS}\.ace_[01s]\..*"):
        return _match_generator(shapes)
    layers = len(numbers(shapes, r"discriminator_\d+\.model(\d+)\..*")) - 1
    inputs = vote(shapes, (r"discriminator_\d+\.model0\.0\.weight", 1, 1))
    if layers != LAYERS or not 3 < inputs <= SEANConfig.style_regions + 3:
        return None
    return match_multiscale(shapes, lambda channels: space_fields(channels - 3), SEANConfig)


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.sean.generator import Generator
    from zoo_plugins.sean.style_encoder import StyleEncoder

    config, planes = _read_config(shapes)

    def build() -> nn.Module:
        read = SEANConfig(**config)
        return nn.ModuleDict({"generator": Generator(read, planes), "encoder": StyleEncoder(read)})

    ambiguous = ("label_space", "channels", "edges", "resolution", "aspect_ratio", "upsampling", "style_regions")
    return compare(
        "generator", shapes, build, lambda keys: official_names("generator", keys), config, SEANConfig, ambiguous
    )


def _read_config(shapes: Shapes) -> tuple[dict[str, Any], int]:
    """Config fields, and the number of planes."""
    norm, shared = rf"{BLOCKS}\.ace_[01s]", rf"{BLOCKS}\.ace_[01s]\.Spade\.mlp_shared\.0"
    planes = vote(shapes, (rf"{shared}\.weight", 1, 1)) or 1
    kernel = vote(shapes, (rf"{shared}\.weight", 3, 1)) or 3
    spectral = "spectral" if has(shapes, rf"{BLOCKS}\.conv_[01s]\.weight_orig") else ""
    kind = "syncbatch" if has(shapes, rf"{norm}\.Spade\.param_free_norm\.running_mean") else "instance"
    counts = [
        (r"(?:head_0|G_middle_[01])\.(?:ace_[01]\.noise_var|conv_[01]\.bias)", 0, 16),
        *((rf"up_{i}\.conv_[01]\.bias", 0, 8 >> i) for i in range(4)),
    ]
    regions = len({m[1] for key in shapes if (m := re.fullmatch(rf"{norm}\.fc_mu(\d{{1,4}})\..*", key))})
    config: dict[str, Any] = space_fields(planes) | {
        "ngf": vote(shapes, *counts) or SEANConfig.ngf,
        "norm": f"{spectral}spade{kind}{kernel}x{kernel}",
        "spade_hidden": vote(shapes, (rf"{shared}\.(?:weight|bias)", 0, 1)) or SEANConfig.spade_hidden,
        "style_dim": vote(shapes, (rf"{norm}\.fc_mu\d+\.(?:weight|bias)", 0, 1), (r"Zencoder\.model\.14\.bias", 0, 1))
        or SEANConfig.style_dim,
        "style_width": vote(shapes, (r"Zencoder\.model\.1\.(?:weight|bias)", 0, 1), (r"Zencoder\.model\.4\.bias", 0, 2))
        or SEANConfig.style_width,
        "style_regions": max(regions, planes) or SEANConfig.style_regions,
    }
    return config, planes
