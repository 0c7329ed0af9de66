"""The authors' checkpoints `latest_net_{G,D,B}.pth`, each a bare state dict: detection and key mapping (docs/papers/maskgan.md, "Checkpoints").

Keys of the generator are ours but for the transforms' and for two buffers per modulated norm, which hold zeros and ones and
are never read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.families.pix2pixhd.official_discriminator import (
    discriminator_names,
    is_discriminator,
    match_discriminator,
    rename_discriminator,
)
from zoo.families.spade.official_keys import convert_parts
from zoo.plugin import Match
from zoo_plugins.maskgan.config import MaskGANConfig, MaskGANOptions

ROLES = ("generator", "blender", "discriminator")
_BACKBONE = r"model\.\d{1,3}\.(?:conv_block\.[01]\.conv\.)?(?:weight|bias)"
_ENCODERS = (
    r"enc_(?:style|label)\.model\.[012]\.conv\.(?:weight|bias)|enc_label\.model_last\.[123]\.conv\.(?:weight|bias)|"
    r"enc_style\.(?:model_middle\.[012]\.conv|model_last\.1|sft[12]\.(?:scale|shift)\.[02])\.(?:weight|bias)"
)
_OURS = {"generator": rf"{_BACKBONE}|{_ENCODERS}", "blender": _BACKBONE}
_TRANSFORM = re.compile(r"(enc_style\.sft\d)\.SFT_(scale|shift)_conv([12])\.(\w+)", re.ASCII)
_UNREAD = re.compile(r"model\.\d{1,3}\.conv_block\.[01]\.norm\.running_(?:mean|var)", re.ASCII)
OPEN = ("label_space", "channels", "resolution", "aspect_ratio")
"""Fields that no shape of a generator tells."""
PLANES = 19
"""Classes of CelebAMask-HQ, the only ones that the authors' code has."""


def rename(role: str, key: str, keys: Collection[str] = ()) -> str | None:
    """Our name (without the role's prefix) of an official key (keys: all of the file), or None if MaskGAN has no such key."""
    if role == "discriminator":
        return rename_discriminator(key, keys)
    if match := _TRANSFORM.fullmatch(key):
        key = f"{match[1]}.{match[2]}.{2 * int(match[3]) - 2}.{match[4]}"
    return key if re.fullmatch(_OURS[role], key) else None


def official_names(role: str, keys: Collection[str], *, rows: bool = False) -> dict[str, str]:
    """Our keys of a network -> their official names; the inverse of `rename`. rows: a discriminator without feature matching."""
    if role == "discriminator":
        return discriminator_names(keys, rows=rows)
    pattern = re.compile(r"(enc_style\.sft\d)\.(scale|shift)\.([02])\.(\w+)")
    return {
        key: f"{m[1]}.SFT_{m[2]}_conv{int(m[3]) // 2 + 1}.{m[4]}" if (m := pattern.fullmatch(key)) else key
        for key in keys
    }


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, blender, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator and the blender belong to training; a model has the generator's alone. config is not needed.
    Raises WeightsError for an unknown role or unknown keys.
    """
    read = {
        role: {k: v for k, v in state.items() if role != "generator" or not _UNREAD.fullmatch(k)}
        for role, state in parts.items()
    }
    return convert_parts(read, rename, "MaskGAN", ROLES)


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold MaskGAN's generator, its blender or its discriminator? The config is read off the shapes.

    Not in the files: class names and the image size. A discriminator is taken for MaskGAN's where it sees 19 planes and a photo.
    """
    if has(shapes, r"enc_(?:style|label)\..*"):
        return _match_generator(shapes)
    if is_discriminator(shapes):
        seen = vote(shapes, (r"scale\d+_layer0\.0\.weight|layer\d\.0\.weight", 1, 1))
        if seen != PLANES + 3 or has(shapes, r".*\.running_mean"):
            return None
        return match_discriminator(shapes, lambda _: {}, MaskGANConfig, OPEN[:2])
    return _match_blender(shapes) if has(shapes, r"model\.\d+\.conv_block\.[01]\.conv\.weight") else None


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.maskgan.generator import Generator

    default = MaskGANConfig()
    planes = vote(shapes, (r"model\.1\.weight|enc_label\.model\.0\.conv\.weight", 1, 1)) or PLANES
    blocks = numbers(shapes, r"model\.(\d+)\.conv_block\..*")
    config: dict[str, Any] = {
        "ngf": _width(shapes) or default.ngf,
        "n_downsample_global": min(8, max(1, (blocks[0] - 4) // 3)) if blocks else default.n_downsample_global,
        "n_blocks_global": len(blocks) or default.n_blocks_global,
        "style_width": vote(shapes, (r"enc_(?:style|label)\.model\.0\.conv\.(?:weight|bias)", 0, 1))
        or default.style_width,
    } | ({} if planes == PLANES else numbered(planes))
    buffers = {k: tuple(v) for k, v in shapes.items() if _UNREAD.fullmatch(k)}
    return compare(
        "generator",
        shapes,
        lambda: Generator(MaskGANConfig(**config), planes),
        lambda keys: official_names("generator", keys),
        config,
        MaskGANConfig,
        OPEN,
        buffers,
    )


def _match_blender(shapes: Shapes) -> Match | None:
    from zoo_plugins.maskgan.generator import Blender

    width = _width(shapes) or MaskGANOptions.blender_width
    return compare(
        "blender", shapes, lambda: Blender(width), lambda keys: official_names("blender", keys), {}, MaskGANConfig
    )


def _width(shapes: Shapes) -> int:
    """Channels of a backbone at the finest scale; 0 if nothing tells."""
    return vote(shapes, (r"model\.1\.(?:weight|bias)", 0, 1), (r"model\.4\.weight", 1, 1))
