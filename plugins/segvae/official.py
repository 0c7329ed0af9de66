"""The authors' checkpoints (`model_<epoch>.pth`: the state dicts of four networks, and the epoch): detection and key mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from zoo.errors import ConfigError, WeightsError
from zoo.labels import numbered_space
from zoo.registry import Match
from zoo_plugins.segvae.config import CELEBA, HUMAN_PARSING, SegVAEConfig

NETWORKS = ("shapeE", "shapeD", "prior", "posterior")
_TELLING = (
    "shapeE.embed_label_set.0.weight",
    "shapeE.embed_label_set.2.weight",
    "shapeE.layer1.net.0.weight",
    "shapeE.layer_out.weight",
    "shapeD.layer_in.weight",
    "prior.fc_mu.weight",
)
_SPACES = {CELEBA: "celebamask-hq", HUMAN_PARSING: "atr"}


def _pairs(stages: int) -> tuple[tuple[str, str], ...]:
    """(official prefix, ours) of every layer; the decoder's last block is a convolution and a sigmoid of its own."""
    pairs = [
        ("shapeE.embed.", "context.target_map.layers."),
        ("shapeE.embed_label_set.", "context.label_map.layers."),
        ("shapeE.layer_out.", "context.encoder.out."),
        ("prior.embed.", "prior.embed."),
        ("posterior.embed.", "posterior.target_map.layers."),
        ("posterior.final_conv.", "posterior.encoder.out."),
        ("shapeD.layer_in.", "decoder.input."),
        (f"shapeD.layer{stages}.0.", "decoder.out."),
    ]
    for head in ("prior", "posterior"):
        pairs += [
            (f"{head}.lstm.0.", f"{head}.lstm."),
            (f"{head}.fc_mu.", f"{head}.heads.mu."),
            (f"{head}.fc_var.", f"{head}.heads.log_var."),
        ]
    for i in range(stages):
        pairs += [
            (f"shapeE.layer{i + 1}.net.", f"context.encoder.blocks.{i}."),
            (f"posterior.layer{i + 1}.net.", f"posterior.encoder.blocks.{i}."),
        ]
    pairs += [(f"shapeD.layer{i + 1}.net.", f"decoder.blocks.{i}.") for i in range(stages - 1)]
    return tuple(pairs)


def rename(key: str, stages: int = 5) -> str | None:
    """Our name of an official key (`shapeE.layer1.net.0.weight`), or None if SegVAE has no such key."""
    return next((ours + key[len(a) :] for a, ours in _pairs(stages) if key.startswith(a)), None)


def official_name(key: str, stages: int = 5) -> str:
    """The official name of one of our keys; the inverse of `rename`. Raises WeightsError for a key that the code has not."""
    for theirs, ours in _pairs(stages):
        if key.startswith(ours):
            return theirs + key[len(ours) :]
    raise WeightsError(f"{key!r} is no key of the authors' SegVAE.")


def flatten(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The file's tensors under `<network>.<key>`; the epoch, and whatever is no tensor, is left out."""
    flat: dict[str, Tensor] = {}
    for name, value in checkpoint.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{key}": tensor for key, tensor in value.items() if isinstance(tensor, Tensor)}
        elif isinstance(value, Tensor) and name != "epoch":
            flat[name] = value
    return flat


def convert(roles: Mapping[str, Any], config: SegVAEConfig) -> dict[str, Tensor]:
    """The state dict of `SegVAE` from the official file.

    roles: the file as it is loaded, {"shapeE", "shapeD", "prior", "posterior": state dicts, "epoch": int}; or the same under
    the role "checkpoint", nested or flat (`shapeE.embed.0.weight`). Raises WeightsError for missing networks and unknown
    keys; shapes are checked by the strict load that follows.
    """
    if "checkpoint" in roles:
        roles = roles["checkpoint"]
    flat = flatten(roles)
    lacking = [n for n in NETWORKS if not any(key.startswith(n + ".") for key in flat)]
    if lacking:
        raise WeightsError(
            f"No SegVAE checkpoint: it has no {', '.join(lacking)}; expected {', '.join(NETWORKS)}, got {sorted(roles)[:8]}."
        )
    renamed = {key: rename(key, len(config.stages)) for key in flat}
    unknown = sorted(k for k, name in renamed.items() if name is None)
    if unknown:
        raise WeightsError(
            f"No SegVAE checkpoint: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
        )
    return {name: flat[key] for key, name in renamed.items() if name is not None}


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Does this file hold SegVAE? Keys are `<network>.<key>`. The config is read off the shapes.

    Not in the file: the order (the code knows order-1 alone), the class names (told by their number: 19 faces, 18 people;
    else numbered), the background rule, epsilons; and whether blocks without batch norm have instance norm or none.
    """
    if not set(shapes) >= set(_TELLING):
        return None
    config = _read_config(shapes)
    try:
        expected = _expected(SegVAEConfig(**config))
    except ConfigError:  # sizes that no such network has
        return None
    ambiguous = ["order", "channels", "label_space", "background", "sn_eps"]
    if config["norm"] == "in":
        ambiguous.append("norm")
    fields = {k: v for k, v in config.items() if v != getattr(SegVAEConfig, k)}
    found = set(shapes) - {"epoch"}
    return Match(
        role="checkpoint",
        config=fields,
        ambiguous=tuple(ambiguous),
        missing=tuple(sorted(expected - found)),
        unknown=tuple(sorted(found - expected)),
    )


def _read_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    width, classes = shapes["shapeE.embed_label_set.0.weight"]
    config: dict[str, Any] = {
        "size": isqrt(shapes["shapeE.embed_label_set.2.weight"][0]),
        "ngf": shapes["shapeE.layer1.net.0.weight"][0],
        "shape_dim": shapes["shapeE.layer_out.weight"][0],
        "hidden_dim": width,
        "z_dim": shapes["prior.fc_mu.weight"][0],
        "norm": "bn" if any(k.endswith("running_mean") for k in shapes) else "in",
        "spectral": any(k.endswith(".u0") for k in shapes),
    }
    names = next((c for c in _SPACES if len(c) == classes - 1), None)
    if names is None:
        names = tuple(f"label_{i}" for i in range(1, classes))
        return config | {"channels": names, "label_space": "numbered", "order": names}
    return config | {"channels": names, "label_space": _SPACES[names]}


def _expected(config: SegVAEConfig) -> set[str]:
    """The official keys of a network of this config."""
    from zoo_plugins.segvae.model import SegVAE

    classes = len(config.channels) + 1
    names = tuple(f"label_{i}" for i in range(1, classes))
    with torch.device("meta"):
        model = SegVAE(
            replace(config, channels=names, order=names, label_space="numbered"),
            numbered_space(classes, background=True),
        )
    return {official_name(key, len(config.stages)) for key in model.state_dict()}
