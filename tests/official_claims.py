"""What the tests of detection share: who claims a file, and the recorded key lists and weights of every system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch
from official_files import Shapes, official_lists
from safetensors import safe_open

from zoo.registry import Match, import_string, registry


def officials() -> dict[str, ModuleType]:
    """Our plugins' official modules by architecture."""
    found = {}
    for name, architecture in registry().architectures.items():
        if architecture.official and architecture.official.startswith("zoo_plugins."):
            found[name] = import_string(architecture.official, name)
    return found


def claims(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Match]:
    """Who has something of it in these shapes."""
    found = {name: module.detect(shapes) for name, module in officials().items()}
    return {name: match for name, match in found.items() if match is not None}


def owners(shapes: Mapping[str, tuple[int, ...]]) -> frozenset[str]:
    """Who claims all of it."""
    return frozenset(name for name, match in claims(shapes).items() if match.complete)


def key_lists(golden: Path, system: str) -> dict[str, Shapes]:
    """Every official network of a system at full size, by where it is listed."""
    files = [f for f in sorted((golden / system).glob("D*/*keys*.json")) if "fid" not in f.name]
    return {f"{f.stem}/{name}": shapes for f in files for name, shapes in official_lists(f).items()}


def file_shapes(path: Path) -> Shapes:
    """Keys and shapes of a safetensors file or an official pickle."""
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
    state = torch.load(path, weights_only=True, map_location="meta")
    nested = {k: v if isinstance(v, dict) else {"": v} for k, v in state.items()}
    flat = {f"{a}.{b}".strip("."): v for a, part in nested.items() for b, v in part.items()}
    return {k: tuple(v.shape) for k, v in flat.items() if isinstance(v, torch.Tensor)}


def networks(shapes: Shapes) -> dict[str, Shapes]:
    """A recorded weights file apart by its networks (`netG.`, `netE.`, `netD.`), or as one."""
    if not any(key.startswith("netG.") for key in shapes):
        return {"": shapes}
    found: dict[str, Shapes] = {}
    for key, shape in shapes.items():
        name, _, rest = key.partition(".")
        found.setdefault(name, {})[rest] = shape
    return found
