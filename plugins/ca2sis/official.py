"""The authors' checkpoint `checkpoints/CA2SIS/RGB_model_no_bg/latest_net_G.pth` (dossier mask_vae, sections 7 and 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from zoo.errors import WeightsError
from zoo.registry import Match
from zoo_plugins.ca2sis.config import CA2SISConfig

Shapes = Mapping[str, tuple[int, ...]]

_RULES = (
    (r"encs\.encs\.0\.", "generator.layout."),
    (r"reshape_conv\.", "generator.in_conv."),
    (r"out_conv\.", "generator.out_conv."),
    (r"style_encoder\.Encoder\.first_layer\.", "encoder.first."),
    (r"style_encoder\.Encoder\.enc_layer_(\d+)\.", r"encoder.down.\1."),
    (r"style_encoder\.Decoder\.dec_layer_(\d+)\.", r"encoder.up.\1."),
    (r"style_encoder\.out\.out_(\d+)\.0\.", r"encoder.heads.\1."),
    (r"res(\d+)\.", "generator.blocks.{}."),
    (r"cross(\d+)\.", "generator.attention.{}."),
)
_LAYERS = {
    "encoder.first.": (("0.", "conv."), ("1.", "norm.")),
    "encoder.down.": (("0.", "conv."), ("1.", "norm.")),
    "encoder.up.": (("1.", "conv."), ("2.", "norm.")),  # their layer 0 is the upsampling
    "generator.blocks.": (
        ("in_layers.0.", "norm1."), ("in_layers.2.", "conv1."), ("out_layers.0.", "norm2."), ("out_layers.3.", "conv2."),
        ("skip_connection.", "skip."),
    ),
    "generator.attention.": (
        ("norm.", "norm."), ("proj_in.", "inward."), ("proj_out.", "outward."),
        ("transformer_blocks.0.attn1.to_out.0.", "attend_self.out."), ("transformer_blocks.0.attn2.to_out.0.", "attend_cross.out."),
        ("transformer_blocks.0.attn1.to_q.", "attend_self.query."), ("transformer_blocks.0.attn2.to_q.", "attend_cross.query."),
        ("transformer_blocks.0.attn1.to_k.", "attend_self.key."), ("transformer_blocks.0.attn2.to_k.", "attend_cross.key."),
        ("transformer_blocks.0.attn1.to_v.", "attend_self.value."), ("transformer_blocks.0.attn2.to_v.", "attend_cross.value."),
        ("transformer_blocks.0.ff.net.0.proj.", "feed_forward.expand."), ("transformer_blocks.0.ff.net.2.", "feed_forward.reduce."),
        ("transformer_blocks.0.norm1.", "norm_self."), ("transformer_blocks.0.norm2.", "norm_cross."),
        ("transformer_blocks.0.norm3.", "norm_forward."),
    ),
}  # fmt: skip
FIRST = 2
"""The number of their first block: res2, cross2."""


def rename(key: str) -> str | None:
    """Our name of an official key, or None if CA2SIS has no such key."""
    for pattern, ours in _RULES:
        match = re.match(pattern, key)
        if match is None:
            continue
        if "{}" in ours:
            head = ours.format(int(match[1]) - FIRST)
        else:
            head = match.expand(ours) if match.groups() else ours
        return _within(head, key[match.end() :])
    return None


def _within(head: str, rest: str) -> str | None:
    """The layer inside a block: head is our name of the block, rest the official name of the layer."""
    layers = next((v for k, v in _LAYERS.items() if head.startswith(k)), None)
    if layers is None:
        return head + rest if rest in ("weight", "bias") else None
    return next((head + ours + rest[len(theirs) :] for theirs, ours in layers if rest.startswith(theirs)), None)


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """The state dict of `CA2SIS` from {"generator": official state dict}; config is not needed.

    Raises WeightsError for a missing role or unknown keys; shapes are checked by the strict load that follows.
    """
    if "generator" not in parts:
        raise WeightsError(
            f"CA2SIS converts the file of role 'generator' (latest_net_G.pth); got roles {sorted(parts)}."
        )
    renamed = {key: rename(key) for key in parts["generator"]}
    unknown = sorted(k for k, name in renamed.items() if name is None)
    if unknown:
        hint = (
            " It is of the authors' separate repository, which differs from the bundled model."
            if any(k.startswith("noise_encoder.") for k in unknown)
            else " Try: zoo identify FILE"
        )
        raise WeightsError(f"No checkpoint of CA2SIS: {len(unknown)} unknown keys, the first {unknown[:3]}.{hint}")
    return {name: parts["generator"][key] for key, name in renamed.items() if name is not None}


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold CA2SIS? The config is read off the shapes; heads, groups and class names are not in the file."""
    if "style_encoder.Encoder.first_layer.0.weight" not in shapes or "reshape_conv.weight" not in shapes:
        return None
    config = _read_config(shapes)
    unknown = tuple(sorted(k for k in shapes if rename(k) is None))
    return Match(
        role="generator", config=config, ambiguous=("groups", "heads", "head_sizes", "channels", "tanh"),
        missing=_missing(shapes, config), unknown=unknown,
    )  # fmt: skip


def _read_config(shapes: Shapes) -> dict[str, Any]:
    latent, pixels = shapes["encs.encs.0.weight"]
    width, parts = shapes["reshape_conv.weight"][:2]
    classes = parts + 1
    blocks = sorted(int(m[1]) for k in shapes if (m := re.fullmatch(r"res(\d+)\.in_layers\.2\.weight", k)))
    widths = tuple(shapes[f"res{i}.in_layers.2.weight"][0] for i in blocks)
    inner = [shapes[f"cross{i}.proj_in.weight"][0] for i in blocks if f"cross{i}.proj_in.weight" in shapes]
    config: dict[str, Any] = {
        "resolution": isqrt(latent) << (len(widths) - 1),
        "layout_side": isqrt(pixels),
        "latent": latent,
        "width": width,
        "widths": widths,
        "self_attention": sum(f"cross{i}.transformer_blocks.0.norm1.weight" in shapes for i in blocks),
        "style_features": shapes["style_encoder.Encoder.first_layer.0.weight"][0] // classes,
        "style_layers": sum(
            k.startswith("style_encoder.Encoder.enc_layer_") and k.endswith(".0.weight") for k in shapes
        ),
        "style_dim": shapes["style_encoder.out.out_0.0.weight"][0] // classes,
    }
    if len(inner) == len(widths):
        # as in the demo: 8 heads, 4 where the attention is narrower than 512
        config["heads"] = tuple(8 if n >= 512 else 4 for n in inner)
        config["head_sizes"] = tuple(n // h for n, h in zip(inner, config["heads"], strict=True))
    if classes != 19:
        config["channels"] = tuple(f"label_{i}" for i in range(classes))  # names are not in the file
    return config


def _missing(shapes: Shapes, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Keys that a network of this config would have and the file has not."""
    import torch

    from zoo.labels import numbered_space
    from zoo_plugins.ca2sis.model import CA2SIS

    values = {k: v for k, v in config.items() if k != "channels"}
    count = shapes["reshape_conv.weight"][1] + 1
    with torch.device("meta"):
        model = CA2SIS(CA2SISConfig(label_space="numbered", **values), numbered_space(count, background=True))
    ours = {rename(k) for k in shapes}
    return tuple(sorted(k for k in model.state_dict() if k not in ours))
