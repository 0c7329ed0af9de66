"""State dicts of the authors' class VAE (they released no weights of it): detection and key mapping (docs/papers/maskgan.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.plugin import Match, WeightsError
from zoo_plugins.maskgan.vae_config import GRID, MaskVAEConfig

_KEY = re.compile(r"(e|d|bn|fc)(\d{1,2})\.(\w+)", re.ASCII)
CLASSES = 19


def rename(key: str, halvings: int) -> str | None:
    """Our name of an official key of a network with so many halvings, or None if MaskVAE has no such key."""
    if not (match := _KEY.fullmatch(key)):
        return None
    kind, number, name = match[1], int(match[2]), match[3]
    place = {
        **{("e", i + 1): f"encoder.layers.{i}.0" for i in range(halvings)},
        **{("bn", i + 1): f"encoder.layers.{i}.1" for i in range(halvings)},
        **{("d", i + 2): f"decoder.layers.{i}.0" for i in range(halvings - 1)},
        **{("bn", halvings + i + 1): f"decoder.layers.{i}.1" for i in range(halvings - 1)},
        ("fc", 1): "encoder.mu",
        ("fc", 2): "encoder.log_var",
        ("d", 1): "decoder.start",
        ("d", halvings + 1): "decoder.out",
    }.get((kind, number))
    return None if place is None else f"{place}.{name}"


def halvings_of(keys: Collection[str]) -> int:
    """Halvings of the network that has these official keys."""
    return max((int(m[2]) for k in keys if (m := _KEY.fullmatch(k)) and m[1] == "e"), default=0)


def official_names(keys: Collection[str]) -> dict[str, str]:
    """Our keys -> their official names; the inverse of `rename`."""
    layers = [int(m[1]) for k in keys if (m := re.match(r"encoder\.layers\.(\d+)\.", k))]
    halvings, names = max(layers, default=0) + 1, {}
    for key in keys:
        part, _, name = key.rpartition(".")
        if match := re.fullmatch(r"(encoder|decoder)\.layers\.(\d+)\.([01])", part):
            coding, at = match[1] == "encoder", int(match[2])
            if match[3] == "0":
                names[key] = f"{'e' if coding else 'd'}{at + 1 if coding else at + 2}.{name}"
            else:
                names[key] = f"bn{at + 1 if coding else halvings + at + 1}.{name}"
        else:
            fixed = {
                "encoder.mu": "fc1",
                "encoder.log_var": "fc2",
                "decoder.start": "d1",
                "decoder.out": f"d{halvings + 1}",
            }
            names[key] = f"{fixed[part]}.{name}"
    return names


def convert(roles: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """The state dict of `MaskVAE` from `{"generator": official state dict}`; config is not needed.

    Raises WeightsError for another role or unknown keys; shapes are checked by the strict load that follows.
    """
    if set(roles) != {"generator"}:
        raise WeightsError(f"MaskVAE converts one file, of role 'generator'; got roles {sorted(roles)}.")
    state = roles["generator"]
    halvings = halvings_of(state)
    renamed = {key: rename(key, halvings) for key in state}
    if unknown := sorted(k for k, name in renamed.items() if name is None):
        raise WeightsError(f"No MaskVAE: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE")
    return {name: state[key] for key, name in renamed.items() if name is not None}


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold a MaskVAE? The config is read off the shapes; not in the file: class names."""
    if not has(shapes, r"e\d+\.weight") or not has(shapes, r"fc[12]\.weight"):
        return None
    halvings = min(10, max([*numbers(shapes, r"e(\d+)\..*"), 1]))
    classes = vote(shapes, (r"e1\.weight", 1, 1), (rf"d{halvings + 1}\.(?:weight|bias)", 0, 1)) or CLASSES
    default = MaskVAEConfig()
    config: dict[str, Any] = {
        "ngf": vote(shapes, (rf"d{halvings + 1}\.weight", 1, 1), (r"d1\.(?:weight|bias)", 0, GRID**2 << (halvings - 1))) or default.ngf,
        "ndf": vote(shapes, (r"(?:e1|bn1)\.(?:weight|bias)", 0, 1)) or default.ndf,
        "latent": vote(shapes, (r"fc[12]\.(?:weight|bias)", 0, 1), (r"d1\.weight", 1, 1)) or default.latent,
        "halvings": halvings,
    } | ({} if classes == CLASSES else numbered(classes))  # fmt: skip

    def build() -> nn.Module:
        from zoo_plugins.maskgan.vae_networks import MapDecoder, MapEncoder

        read = MaskVAEConfig(**config)
        return nn.ModuleDict({"encoder": MapEncoder(read, classes), "decoder": MapDecoder(read, classes)})

    return compare("generator", shapes, build, official_names, config, MaskVAEConfig, ("label_space", "channels"))
