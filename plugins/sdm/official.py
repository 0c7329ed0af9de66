"""The authors' checkpoints `model{step}.pt` and `ema_0.9999_{step}.pt`, bare state dicts: detection and key mapping (docs/papers/sdm.md,
"Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, vote
from zoo.families.spade import official_keys
from zoo.plugin import Match
from zoo_plugins.sdm.config import SDMConfig

ROLE = "unet"
_SHARED = r"(?:middle_block\.[02]|output_blocks\.\d+\.[0-2])\.(?:in|out)_norm\.mlp_shared\.0"
_NORM = r"(?:in|out)_norm\.mlp_(?:shared|gamma|beta)"
_BLOCK = rf"(?:in_layers\.[0-2]|emb_layers\.1|out_layers\.[0-3]|skip_connection|{_NORM})"
_OTHER = r"norm|qkv|proj_out|op|conv"
_OURS = (
    rf"(?:time_embed\.[02]|out\.[02]|input_blocks\.0\.0|(?:(?:input|output)_blocks\.\d+|middle_block)\.\d\.(?:{_BLOCK}|{_OTHER}))"
    r"\.(?:weight|bias)"
)
_SPACES: dict[int, dict[str, Any]] = {
    151: {"label_space": "ade20k"},
    20: {"label_space": "celebamask-hq", "edges": "labels"},
    19: {"label_space": "celebamask-hq"},
    36: {"label_space": "cityscapes", "edges": "instances", "resolution": 512, "aspect_ratio": 2.0},
    35: {"label_space": "cityscapes", "resolution": 512, "aspect_ratio": 2.0},
    183: {"label_space": "coco-stuff"},
    184: {"label_space": "coco-stuff", "edges": "instances"},
}
"""Planes of the map -> what they make likely."""
_SIDES = {7: 512, 6: 256, 5: 128, 4: 64}
"""Levels -> the official side."""


def rename(role: str, key: str) -> str | None:
    """Our name (without the role's prefix) of an official key, or None if SDM has no such key."""
    new = re.sub(r"\.mlp_shared\.0\.", ".mlp_shared.", key)
    return new if role == ROLE and re.fullmatch(_OURS, new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dict (role "unet") -> our state dict, keys prefixed with the role. config is not needed. Raises WeightsError for an
    unknown role and unknown keys."""
    return official_keys.convert_parts(parts, lambda role, key, _keys: rename(role, key), "SDM", (ROLE,))


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys -> their official names; the inverse of `rename`."""
    del role
    return {key: key.replace(".mlp_shared.", ".mlp_shared.0.") for key in keys}


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold SDM's U-Net? Widths, levels, attention and planes are read off the shapes.

    Not in the file: class names and the picture's size (151 planes are taken for ADE20K, 20 for CelebAMask-HQ with borders, 36 for
    Cityscapes with borders, 183 for COCO-Stuff; else numbered classes), the heads of attention and the order of their channels, groups of
    norms, the process, and whether noise or the picture is told.
    """
    if not has(shapes, _SHARED + r"\.(?:weight|bias)"):
        return None
    from zoo_plugins.sdm.unet import UNet

    planes = vote(shapes, (rf"{_SHARED}\.weight", 1, 1)) or 1
    config = _sizes(shapes) | _SPACES.get(planes, numbered(planes))
    levels = len(config["channel_mult"])
    config.setdefault("resolution", _SIDES.get(levels, 32 << max(0, levels - 1)))
    return compare(
        ROLE,
        shapes,
        lambda: UNet(SDMConfig(**config), planes),
        lambda keys: official_names(ROLE, keys),
        config,
        SDMConfig,
        (
            "label_space", "channels", "edges", "instance_limit", "resolution", "aspect_ratio", "head_channels", "heads", "heads_up", "groups",
            "new_attention_order", "dropout", "predict_xstart", "diffusion_steps", "noise_schedule", "rescale_timesteps", "sampling_steps",
        ),
    )  # fmt: skip


def _sizes(shapes: Shapes) -> dict[str, Any]:
    """Config fields of the network's build."""
    found = (re.match(r"output_blocks\.([0-9]{1,3})\.", key) for key in shapes)
    stages = 1 + max((int(m[1]) for m in found if m), default=0)
    doublings = {
        m[1] for key in shapes if (m := re.match(r"output_blocks\.([0-9]{1,3})\.[12]\.(?:in_norm|conv)\.", key))
    }
    levels = min(10, 1 + len(doublings))
    blocks = max(1, round(stages / levels))
    # the decoder begins with the coarsest level
    groups = [_alternatives((levels - 1 - level) * blocks, blocks) for level in range(levels)]
    width = vote(shapes, (r"time_embed\.0\.weight", 1, 1), (r"time_embed\.[02]\.bias", 0, 4)) or SDMConfig.width
    wide = r"output_blocks\.{}\.0\.(?:out_norm\.mlp_gamma|out_norm\.mlp_beta|in_layers\.1|out_layers\.2)\.bias"
    widths = [vote(shapes, (wide.format(group), 0, 1)) or width for group in groups]
    timed = vote(shapes, (rf"output_blocks\.{groups[0]}\.0\.emb_layers\.1\.bias", 0, 1))
    heads = [64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1]
    return {
        "width": width,
        "channel_mult": tuple(w / width for w in widths),
        "res_blocks": max(1, blocks - 1),
        "attention": tuple(
            1 << level for level, group in enumerate(groups) if has(shapes, rf"output_blocks\.{group}\.1\.qkv\..*")
        ),
        "head_channels": next(h for h in heads if not any(w % h for w in widths)),
        "groups": next(g for g in (32, 16, 8, 4, 2, 1) if not any(w % g for w in widths)),
        "spade_hidden": vote(shapes, (rf"{_SHARED}\.(?:weight|bias)", 0, 1)) or SDMConfig.spade_hidden,
        "scale_shift": timed != widths[0],
        "resblock_updown": not has(
            shapes, r"(?:input_blocks\.\d+\.0\.op|output_blocks\.\d+\.[12]\.conv)\.(?:weight|bias)"
        ),
        "learn_sigma": vote(shapes, (r"out\.2\.(?:weight|bias)", 0, 1)) != 3,
    }


def _alternatives(first: int, count: int) -> str:
    """A pattern of the numbers of `count` stages from `first` on."""
    return f"(?:{'|'.join(map(str, range(first, first + count)))})"
