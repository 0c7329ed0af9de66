"""The authors' checkpoints `gen_<iteration>.pt` and `dis_<iteration>.pt`, `{"a": state, "b": state}` each: detection and key mapping
(docs/papers/munit.md, "Checkpoints"). Our keys are theirs behind the name of the network."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.plugin import Match, WeightsError
from zoo_plugins.munit.blocks import AdaptiveNorm
from zoo_plugins.munit.config import MunitConfig, MunitOptions
from zoo_plugins.munit.discriminator import MultiscaleDiscriminator
from zoo_plugins.munit.generator import Generator
from zoo_plugins.munit.model import NAMES

ROLES = {"generator": "generators", "discriminator": "discriminator"}
"""Role -> what our keys begin with."""
_CONV = r"conv\.(?:weight|bias|module\.(?:bias|weight_(?:bar|u|v)))"
_NORM = r"norm\.(?:gamma|beta|weight|bias|running_mean|running_var|num_batches_tracked)|activation\.weight"
_BLOCK = rf"(?:{_CONV}|{_NORM})"
_RES = rf"model\.\d+\.model\.\d+\.model\.[01]\.{_BLOCK}"
_OURS = {
    "generator": rf"enc_style\.model\.\d+\.(?:{_BLOCK}|weight|bias)|(?:enc_content|dec)\.(?:model\.\d+\.{_BLOCK}|{_RES})"
    r"|mlp\.model\.\d+\.(?:fc\.(?:weight|bias)|activation\.weight)",
    "discriminator": rf"cnns\.\d+\.\d+\.(?:{_BLOCK}|weight|bias)",
}
_UNREAD = re.compile(
    r"(?:dec\.model\.0|enc_content)\.model\..*\bnorm\.running_(?:mean|var)|enc_content\..*\bnorm\.running_(?:mean|var)",
    re.ASCII,
)
"""What lies in generator files and nothing reads: statistics of adaptive norms, and of instance norms from PyTorch 0.3."""
OPEN = ("label_space", "channels", "resolution", "pad_type")
"""Fields that no shape of a generator tells; `activ` neither, but for prelu."""


def rename(role: str, key: str) -> str | None:
    """Our name (without the network's prefix) of an official key `a.…` or `b.…`; "" for one that nothing reads, None for one that MUNIT
    has not."""
    name, _, rest = key.partition(".")
    if name not in NAMES or not re.fullmatch(_OURS[role], rest, re.ASCII):
        return None
    return "" if role == "generator" and _UNREAD.fullmatch(rest) else key


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of a network -> their official names: the same."""
    del role
    return {key: key for key in keys}


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, discriminator), keys `a.…` and `b.…` -> our state dict.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for an unknown
    role or key.
    """
    converted: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ROLES:
            raise WeightsError(f"MUNIT has no network {role!r}: expected one of {', '.join(ROLES)}.")
        for key, value in state.items():
            ours = rename(role, key)
            if ours is None:
                raise WeightsError(f"MUNIT's {role} has no tensor {key!r}: the checkpoint is of another system.")
            if ours:
                converted[f"{ROLES[role]}.{ours}"] = value
    return converted


def written(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of a domain's generator as the authors' program writes it: with the statistics of adaptive norms, which stay 0 and 1."""
    found = dict(state)
    for name, module in network.named_modules():
        if isinstance(module, AdaptiveNorm):
            bias = state[f"{name.removesuffix('.norm')}.conv.bias"]
            found |= {
                f"{name}.running_mean": bias.new_zeros(len(bias)),
                f"{name}.running_var": bias.new_ones(len(bias)),
            }
    return found


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold the generators or the discriminators of both domains? The config is read off the shapes.

    One domain's networks alone (the entry `a` of a file) are no model: all that the other domain has is missing.
    """
    if has(shapes, r"(?:enc_content|mlp)\.model\.\d+\..*|cnns\.\d+\.\d+\..*"):
        shapes = {f"{NAMES[0]}.{key}": shape for key, shape in shapes.items()}
    if has(shapes, r"[ab]\.(?:enc_content|mlp)\.model\.\d+\..*") and has(shapes, r"[ab]\.mlp\..*"):
        return _match_generators(shapes)
    if has(shapes, r"[ab]\.cnns\.\d+\.\d+\..*"):
        return _match_discriminators(shapes)
    return None


def _match_generators(shapes: Shapes) -> Match | None:
    d = MunitConfig()
    layers = numbers(shapes, r"[ab]\.enc_content\.model\.(\d+)\.conv\.weight")
    halvings = min(max(1, len(layers) - 1), 6)
    config: dict[str, Any] = {
        "dim": vote(shapes, (r"[ab]\.enc_(?:content|style)\.model\.0\.conv\.(?:weight|bias)", 0, 1)) or d.dim,
        "mlp_dim": vote(shapes, (r"[ab]\.mlp\.model\.[01]\.fc\.(?:weight|bias)", 0, 1)) or d.mlp_dim,
        "style_dim": vote(
            shapes, (r"[ab]\.enc_style\.model\.6\.(?:weight|bias)", 0, 1), (r"[ab]\.mlp\.model\.0\.fc\.weight", 1, 1)
        )
        or d.style_dim,
        "n_downsample": halvings,
        "n_res": max(1, len(numbers(shapes, r"[ab]\.(?:enc_content\.model\.\d+|dec\.model\.0)\.model\.(\d+)\..*"))),
        "activ": "prelu" if has(shapes, r"[ab]\.mlp\.model\.0\.activation\.weight") else "relu",
    }
    # a resolution that such a network takes, where the default does not do
    config["resolution"] = d.resolution if d.resolution % (1 << halvings) == 0 else 1 << max(halvings, 4)
    unread = dict.fromkeys(_statistics("dec.model.0", halvings, config["n_res"]), (config["dim"] << halvings,))
    old = _statistics("enc_content", halvings, config["n_res"])
    if any(key in shapes for key in old):
        unread |= {key: (config["dim"] << min(_depth(key), halvings),) for key in old}
    return compare(
        "generator",
        shapes,
        lambda: nn.ModuleDict({name: Generator(MunitConfig(**config)) for name in NAMES}),
        lambda keys: official_names("generator", keys),
        config,
        MunitConfig,
        OPEN if config["activ"] == "prelu" else (*OPEN, "activ"),
        constants=unread,
    )


def _statistics(part: str, halvings: int, blocks: int) -> list[str]:
    """Names of the unread statistics of a decoder or content encoder, of both domains."""
    if part == "enc_content":
        places = [f"{part}.model.{i}.norm" for i in range(halvings + 1)]
        places += [f"{part}.model.{halvings + 1}.model.{i}.model.{k}.norm" for i in range(blocks) for k in (0, 1)]
    else:
        places = [f"{part}.model.{i}.model.{k}.norm" for i in range(blocks) for k in (0, 1)]
    return [f"{name}.{place}.running_{what}" for name in NAMES for place in places for what in ("mean", "var")]


def _depth(key: str) -> int:
    """How often the features were halved at a layer of the content encoder."""
    return int(key.split(".")[3])


def _match_discriminators(shapes: Shapes) -> Match | None:
    o = MunitOptions()
    last = numbers(shapes, r"[ab]\.cnns\.0\.(\d+)\.(?:weight|bias)")
    norm = next(
        (
            kind
            for kind, pattern in (
                ("sn", r".*\.conv\.module\.weight_bar"),
                ("bn", r".*\.norm\.running_mean"),
                ("ln", r".*\.norm\.gamma"),
            )
            if has(shapes, pattern)
        ),
        "none",
    )
    width = vote(shapes, (r"[ab]\.cnns\.\d+\.0\.conv\.(?:weight|bias)", 0, 1)) or o.ndf
    layers, scales = (last[-1] if last else o.n_layer), len(numbers(shapes, r"[ab]\.cnns\.(\d+)\..*"))
    activ = "prelu" if has(shapes, r".*\.activation\.weight") else "lrelu"
    return compare(
        "discriminator",
        shapes,
        lambda: nn.ModuleDict(
            {
                n: MultiscaleDiscriminator(
                    width, min(max(1, layers), 8), max(1, min(scales, 6)), norm=norm, activ=activ
                )
                for n in NAMES
            }
        ),
        lambda keys: official_names("discriminator", keys),
        {},
        MunitConfig,
        OPEN,
    )
