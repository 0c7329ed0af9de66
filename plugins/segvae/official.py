"""The authors' checkpoints (`model_<epoch>.pth`: the state dicts of four networks, and the epoch): detection and key mapping."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isqrt
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.plugin import Match, WeightsError
from zoo_plugins.segvae.config import CELEBA, HUMAN_PARSING, SegVAEConfig

NETWORKS = ("shapeE", "shapeD", "prior", "posterior")
# keys that tell a network whose file is by itself, without `<network>.`
_TELLING = {
    "shapeE": r"embed_label_set\.[02]\..*|layer_out\..*",
    "posterior": r"final_conv\..*",
    "shapeD": r"layer_in\..*",
    "prior": r"embed\.(?:weight|u0)|lstm\.0\..*",
}
_SPACES = {CELEBA: "celebamask-hq", HUMAN_PARSING: "atr"}
# config fields that the file of one network leaves to the others
_ELSEWHERE = {
    "shapeE": ("z_dim",),
    "posterior": (),
    "shapeD": ("hidden_dim", "spectral"),
    "prior": ("size", "ngf", "norm"),
}


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


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold SegVAE? Keys are `<network>.<key>` (role "checkpoint"), or those of one network alone, which is the role
    then. The config is read off the shapes.

    Not in the file: the order (the code knows order-1 alone), the class names (told by their number: 19 faces, 18 people;
    else numbered), the background rule, epsilons; and whether blocks without batch norm have instance norm or none.
    """
    whole = {key: shape for key, shape in shapes.items() if key != "epoch"}
    if has(whole, rf"(?:{'|'.join(NETWORKS)})\..*"):
        return _match("checkpoint", whole)
    alone = next((name for name, pattern in _TELLING.items() if has(whole, pattern)), None)
    return _match(alone, whole) if alone else None


def _match(role: str, shapes: Shapes) -> Match | None:
    alone = role != "checkpoint"
    config = _read_config({f"{role}.{k}": s for k, s in shapes.items()} if alone else shapes)
    stages = (config["size"] // 4).bit_length() - 1

    def names(keys: Collection[str]) -> dict[str, str]:
        theirs = {key: official_name(key, stages) for key in keys}
        return {key: name.removeprefix(f"{role}.") for key, name in theirs.items()}

    ambiguous = ["order", "channels", "label_space", "background", "sn_eps"]
    if config["norm"] == "in":
        ambiguous.append("norm")
    if alone:
        ambiguous += [field for field in _ELSEWHERE[role] if field not in ambiguous]
    return compare(
        role, shapes, lambda: _build(role, SegVAEConfig(**config)), names, config, SegVAEConfig, tuple(ambiguous)
    )


def _build(role: str, config: SegVAEConfig) -> nn.Module:
    """The networks of a file, under our names."""
    from zoo_plugins.segvae.networks import ContextEncoder, Posterior, Prior, ShapeDecoder

    ours = {"shapeE": "context", "shapeD": "decoder", "prior": "prior", "posterior": "posterior"}
    made = {"shapeE": ContextEncoder, "shapeD": ShapeDecoder, "prior": Prior, "posterior": Posterior}
    return nn.ModuleDict({ours[n]: made[n](config) for n in NETWORKS if role in (n, "checkpoint")})


def _read_config(shapes: Shapes) -> dict[str, Any]:
    """Fields from the sizes that several layers agree on; what no layer tells has its default."""
    default, conv = SegVAEConfig, r"(?:shapeE|posterior)\.layer"
    width = r"(?:weight|bias)"
    pixels = vote(shapes, (rf"shapeE\.embed(?:_label_set)?\.2\.{width}|posterior\.embed\.2\.{width}", 0, 1))
    side = isqrt(pixels) or 4 << max(len(numbers(shapes, r"shapeD\.layer(\d+)\..*")), 1)
    hidden = rf"(?:shapeE\.embed(?:_label_set)?|posterior\.embed)\.0\.{width}|prior\.embed\.{width}"
    config: dict[str, Any] = {
        "size": side if has(shapes, r"(?:shapeE|shapeD|posterior)\..*") else default.size,
        "ngf": vote(shapes, *((rf"{conv}{i + 1}\.net\.0\.{width}", 0, min(1 << i, 8)) for i in range(5)))
        or _decoder_width(shapes),
        "shape_dim": vote(shapes, (rf"shapeE\.layer_out\.{width}", 0, 1), (r"prior\.embed\.weight", 1, 1)),
        "hidden_dim": vote(shapes, (hidden, 0, 1)) or default.hidden_dim,
        "z_dim": vote(shapes, (rf"(?:prior|posterior)\.fc_(?:mu|var)\.{width}", 0, 1)),
        "norm": "bn" if has(shapes, r".*\.running_mean") else "in",
        "spectral": has(shapes, r".*\.u0") if has(shapes, r"(?:shapeE|prior|posterior)\..*") else default.spectral,
    }
    _fill_codes(shapes, config)
    classes = vote(shapes, (r"(?:shapeE\.embed(?:_label_set)?|posterior\.embed)\.0\.weight", 1, 1)) or len(CELEBA) + 1
    names = next((c for c in _SPACES if len(c) == classes - 1), None)
    if names is None:
        names = tuple(f"label_{i}" for i in range(1, max(classes, 2)))
        return config | {"channels": names, "label_space": "numbered", "order": names}
    return config | {"channels": names, "label_space": _SPACES[names]}


def _decoder_width(shapes: Shapes) -> int:
    """ngf from the decoder alone: its last block gives it."""
    last = max(numbers(shapes, r"shapeD\.layer(\d+)\..*"), default=0)
    return vote(shapes, (rf"shapeD\.layer{last}\.0\.weight", 0, 1)) or SegVAEConfig.ngf


def _fill_codes(shapes: Shapes, config: dict[str, Any]) -> None:
    """Context code and latent are told one by the other where a network shows their sum, else they have their defaults."""
    both = vote(shapes, (r"shapeD\.layer_in\.weight", 0, 1))
    context = vote(shapes, (r"posterior\.lstm\.0\.weight_ih", 1, 1)) - config["hidden_dim"]
    config["shape_dim"] = config["shape_dim"] or max(context, 0)
    z_dim = config["z_dim"] or SegVAEConfig.z_dim
    config["shape_dim"] = config["shape_dim"] or (both - z_dim if both > z_dim else SegVAEConfig.shape_dim)
    config["z_dim"] = config["z_dim"] or (both - config["shape_dim"] if both > config["shape_dim"] else z_dim)
