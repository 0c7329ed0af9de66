"""The authors' checkpoints (`latest_net_G.pth`, a bare state dict; `latest_net_D.pth` for training): detection and key mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt

from torch import Tensor

from zoo.errors import WeightsError
from zoo.registry import Match
from zoo_plugins.mask_vae.config import MaskVaeConfig

# official prefix -> ours; the first that fits is taken
_PREFIXES = (
    ("encs.encs.", "encoder.layers."),
    ("encs.", "encoder."),
    ("lstm.", "generator.lstm."),
    ("decs.decs.", "generator.feed_forward."),
    ("resh_lin.", "generator.shortcut."),
    ("decs_conv.decs.", "generator.convs.blocks."),
    ("decs_conv.", "generator.convs."),
)
_BLOCK = (
    (".in_layers.0.", ".norm1."),
    (".in_layers.2.", ".conv1."),
    (".out_layers.0.", ".norm2."),
    (".out_layers.3.", ".conv2."),
    (".skip_connection.", ".skip."),
)


def rename(key: str) -> str | None:
    """Our name of an official generator key, or None if mask-vae has no such key."""
    for theirs, ours in _PREFIXES:
        if key.startswith(theirs):
            key = ours + key[len(theirs) :]
            for a, b in _BLOCK:
                key = key.replace(a, b)
            return key
    return None


def official_name(key: str) -> str:
    """The official name of one of our generator keys; the inverse of `rename`."""
    for theirs, ours in _PREFIXES:
        if key.startswith(ours):
            key = theirs + key[len(ours) :]
            for a, b in _BLOCK:
                key = key.replace(b, a)
            return key
    raise WeightsError(f"{key!r} is no key of mask-vae.")


def convert(roles: Mapping[str, Mapping[str, Tensor]], config: MaskVaeConfig) -> dict[str, Tensor]:
    """The state dict of `SemanticVAE` from `{"generator": official state dict}`.

    Raises WeightsError for a missing role or unknown keys; shapes are checked by the strict load that follows.
    """
    if "generator" not in roles:
        raise WeightsError(
            f"mask-vae converts the file of role 'generator' (latest_net_G.pth); got roles {sorted(roles)}."
        )
    renamed = {key: rename(key) for key in roles["generator"]}
    unknown = sorted(k for k, name in renamed.items() if name is None)
    if unknown:
        raise WeightsError(
            f"No mask-vae checkpoint: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
        )
    return {name: roles["generator"][key] for key, name in renamed.items() if name is not None}


def convert_discriminator(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `zoo.nn.discriminators.MultiscaleDiscriminator` from the official `latest_net_D.pth` (training only)."""
    ours = {}
    for key, value in theirs.items():
        match = re.fullmatch(r"discriminator_(\d+)\.model(\d+)\.(.+)", key)
        if match is None:
            raise WeightsError(
                f"No mask-vae discriminator: unknown key {key!r}; expected discriminator_<i>.model<j>.…."
            )
        name = f"discriminators.{match[1]}.layers.{match[2]}.{match[3]}"
        ours[name.removesuffix("_orig")] = value
    return ours


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Does this file hold mask-vae? The config is read off the shapes; group count and class names are not in the file."""
    if "decs_conv.in_conv.weight" not in shapes or "encs.mu.weight" not in shapes:
        return None
    config = _read_config(shapes)
    unknown = tuple(sorted(k for k in shapes if rename(k) is None))
    ambiguous = ("groups", "channels", "background", "swap_first_parts", "random_state")
    return Match(
        role="generator", config=config, ambiguous=ambiguous, missing=_missing(shapes, config), unknown=unknown
    )


def _read_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, object]:
    encoder = sorted(
        (int(k.split(".")[2]), s) for k, s in shapes.items() if k.startswith("encs.encs.") and k.endswith("weight")
    )
    blocks = sorted((int(k.split(".")[2]), s[0]) for k, s in shapes.items() if k.endswith(".skip_connection.weight"))
    layers = len([k for k in shapes if k.startswith("lstm.weight_ih_l") and "reverse" not in k])
    config: dict[str, object] = {
        "latent": shapes["encs.mu.weight"][0],
        "encoder_side": isqrt(encoder[0][1][1]),
        "encoder_widths": tuple(s[0] for _, s in encoder[:-1]),
        "lstm_layers": layers,
        "bidirectional": "lstm.weight_ih_l0_reverse" in shapes,
        "decoder_width": shapes["decs_conv.in_conv.weight"][0],
        "decoder_widths": tuple(width for _, width in blocks),
    }
    if (parts := shapes["decs_conv.in_conv.weight"][1]) != len(MaskVaeConfig.channels):
        config["channels"] = tuple(f"part_{i + 1}" for i in range(parts))  # names are not in the file
    return config


def _missing(shapes: Mapping[str, tuple[int, ...]], config: dict[str, object]) -> tuple[str, ...]:
    """Keys that a network of this config would have and the file has not."""
    expected = {f"encs.{head}.{kind}" for head in ("mu", "log_var") for kind in ("weight", "bias")}
    expected |= {f"decs_conv.{conv}.{kind}" for conv in ("in_conv", "out_conv") for kind in ("weight", "bias")}
    expected |= {f"decs.decs.{i}.{kind}" for i in (0, 2) for kind in ("weight", "bias")}
    if config["bidirectional"]:
        expected |= {"resh_lin.weight", "resh_lin.bias"}
    return tuple(sorted(expected - set(shapes)))
