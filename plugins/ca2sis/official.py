"""The authors' checkpoint `checkpoints/CA2SIS/RGB_model_no_bg/latest_net_G.pth` (docs/papers/ca2sis.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from math import gcd, isqrt
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.plugin import Match, WeightsError
from zoo_plugins.ca2sis.config import CA2SISConfig

# (theirs, ours, what is taken off their number); their first block is res2, cross2
_HEADS = (
    ("encs.encs.0.", "generator.layout.", 0),
    ("reshape_conv.", "generator.in_conv.", 0),
    ("out_conv.", "generator.out_conv.", 0),
    ("style_encoder.Encoder.first_layer.", "encoder.first.", 0),
    ("style_encoder.Encoder.enc_layer_{}.", "encoder.down.{}.", 0),
    ("style_encoder.Decoder.dec_layer_{}.", "encoder.up.{}.", 0),
    ("style_encoder.out.out_{}.0.", "encoder.heads.{}.", 0),
    ("res{}.", "generator.blocks.{}.", 2),
    ("cross{}.", "generator.attention.{}.", 2),
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


def rename(key: str) -> str | None:
    """Our name of an official key, or None if CA2SIS has no such key."""
    for theirs, ours, first in _HEADS:
        if parts := _head(key, theirs, ours, -first):
            head, rest = parts
            layers = _layers(head)
            if layers is None:
                return head + rest if rest in ("weight", "bias") else None
            return next((head + b + rest[len(a) :] for a, b in layers if rest.startswith(a)), None)
    return None


def official_name(key: str) -> str:
    """The official name of one of our keys; the inverse of `rename`. Raises WeightsError for a key that the code has not."""
    for theirs, ours, first in _HEADS:
        if parts := _head(key, ours, theirs, first):
            head, rest = parts
            layers = _layers(key[: len(key) - len(rest)]) or (("", ""),)
            for a, b in layers:
                if rest.startswith(b):
                    return head + a + rest[len(b) :]
    raise WeightsError(f"{key!r} is no key of CA2SIS.")


def _head(key: str, source: str, target: str, shift: int) -> tuple[str, str] | None:
    """(the block's name in the other form, the rest of the key), or None if `source` does not stand at the key's beginning."""
    match = re.match(re.escape(source).replace(r"\{\}", r"(\d{1,4})"), key, re.ASCII)
    if match is None:
        return None
    return (target.format(int(match[1]) + shift) if match.groups() else target), key[match.end() :]


def _layers(head: str) -> tuple[tuple[str, str], ...] | None:
    """(official, ours) of the layers inside a block of ours; None if it is a layer itself."""
    return next((layers for start, layers in _LAYERS.items() if head.startswith(start)), None)


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
    """Does this file hold CA2SIS? The config is read off the shapes.

    Not in the file: heads (assumed as in the demo: 8, 4 where the attention is narrower than 512), groups (the largest
    number that divides all widths, officially 32), class names, the tanh.
    """
    if not has(shapes, r"style_encoder\..*|reshape_conv\..*|cross\d+\.transformer_blocks\..*"):
        return None
    config, classes = _read_config(shapes)

    def build() -> nn.Module:
        from zoo_plugins.ca2sis.generator import Generator
        from zoo_plugins.ca2sis.style_encoder import StyleEncoder

        read = CA2SISConfig(**config)
        generator = Generator(read, tuple(range(1, classes)))
        return nn.ModuleDict({"generator": generator, "encoder": StyleEncoder(read, classes)})

    ambiguous = ("groups", "heads", "head_sizes", "label_space", "channels", "tanh")
    return compare("generator", shapes, build, _official_names, config, CA2SISConfig, ambiguous)


def _official_names(keys: Collection[str]) -> dict[str, str]:
    return {key: official_name(key) for key in keys}


def _read_config(shapes: Shapes) -> tuple[dict[str, Any], int]:
    """Config fields, and the number of classes."""
    default = CA2SISConfig
    parts = vote(shapes, (r"reshape_conv\.weight", 1, 1))
    first, head = (
        r"style_encoder\.Encoder\.first_layer\.[01]\.(?:weight|bias)",
        r"style_encoder\.out\.out_\d+\.0\.(?:weight|bias)",
    )
    classes = parts + 1 if parts else 19
    blocks = numbers(shapes, r"res(\d+)\..*") or [2, 3, 4, 5, 6]
    widths = tuple(
        vote(shapes, (rf"res{i}\.(?:in_layers\.2|out_layers\.3)\.(?:weight|bias)", 0, 1)) or 32 for i in blocks
    )
    inner = [
        vote(shapes, (rf"cross{i}\.proj_in\.(?:weight|bias)", 0, 1), (rf"cross{i}\.proj_out\.weight", 1, 1))
        for i in blocks
    ]
    heads = tuple(8 if n >= 512 or not n else gcd(n, 4) for n in inner)
    latent = vote(shapes, (r"encs\.encs\.0\.(?:weight|bias)", 0, 1)) or default.latent
    width = vote(shapes, (r"reshape_conv\.(?:weight|bias)", 0, 1)) or default.width
    config: dict[str, Any] = {
        "resolution": isqrt(latent) << (len(widths) - 1),
        "layout_side": isqrt(vote(shapes, (r"encs\.encs\.0\.weight", 1, 1))) or default.layout_side,
        "latent": latent,
        "width": width,
        "widths": widths,
        "groups": gcd(default.groups, width, *widths),
        "heads": heads,
        "head_sizes": tuple(n // h or 64 for n, h in zip(inner, heads, strict=True)),
        "self_attention": len(numbers(shapes, r"cross(\d+)\.transformer_blocks\.0\.(?:norm1|attn1)\..*")),
        "style_features": vote(shapes, (first, 0, classes)) or default.style_features,
        "style_layers": len(numbers(shapes, r"style_encoder\.Encoder\.enc_layer_(\d+)\..*")) or default.style_layers,
        "style_dim": vote(shapes, (head, 0, classes)) or default.style_dim,
    }
    if classes != 19:
        config |= numbered(classes)  # names are not in the file
    return config, classes
