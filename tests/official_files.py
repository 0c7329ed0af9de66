"""Checkpoints as authors write them: made from tiny models, and the recorded key lists of full-size ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from fixtures_models import PARSER, shake
from torch import Tensor

import zoo

Shapes = dict[str, tuple[int, ...]]


def parser_state(seed: int = 0) -> dict[str, Tensor]:
    """The face parser's official state dict, tiny: our keys without their prefix."""
    model = zoo.create("face-parser/celeba-128", side=PARSER["side"], feature_scale=PARSER["feature_scale"])
    shake(model, 2.0, seed)
    return {k.removeprefix("unet."): v.clone() for k, v in model.state_dict().items()}


def official_lists(file: Path) -> dict[str, Shapes]:
    """Key lists of an `official_keys*.json`, flattened: name of config and file -> {key: shape}."""
    found: dict[str, Shapes] = {}
    _flatten("", json.loads(file.read_text()), found)
    return found


def _flatten(name: str, value: Any, found: dict[str, Shapes]) -> None:
    if not isinstance(value, dict):
        return
    if any(_same_as(v) for v in value.values()):  # two networks in one file, told once
        parts = {k: value[other] if (other := _same_as(v)) else v for k, v in value.items()}
        found[name] = {
            f"{k}.{key}": s for k, part in parts.items() for key, v in part.items() if (s := _shape(v)) is not None
        }
        return
    shapes = {k: s for k, v in value.items() if (s := _shape(v)) is not None}
    if shapes:
        found[name] = shapes
    for key, inner in value.items():
        if key not in shapes:
            _flatten(f"{name}/{key}".strip("/"), inner, found)


def _same_as(value: Any) -> str:
    """The entry that another one stands for (`same as a`), or ""."""
    return value.removeprefix("same as ") if isinstance(value, str) and value.startswith("same as ") else ""


def _shape(value: Any) -> tuple[int, ...] | None:
    """A shape as the lists write it: [..], [[..], dtype], {"torch_shape": [..]}."""
    if isinstance(value, dict) and "torch_shape" in value:
        value = value["torch_shape"]
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], list) and isinstance(value[1], str):
        value = value[0]
    return tuple(value) if isinstance(value, list) and all(isinstance(n, int) for n in value) else None


def save_shapes(shapes: Shapes, path: Path) -> Path:
    """A file with these keys and shapes whose tensors share one number, so that it is small: as an expanded tensor is saved."""
    torch.save({k: torch.zeros(()).expand(s) for k, s in shapes.items()}, path)
    return path
