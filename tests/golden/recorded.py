"""What a case holds, and what it does not: a replay leaves out the results whose inputs were not recorded.

Loaded by file path, as all modules of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

NETWORK = {
    "crop_size": "resolution", "aspect_ratio": "aspect_ratio", "ngf": "ngf", "z_dim": "z_dim", "num_upsampling_layers": "upsampling",
    "norm_G": "norm", "norm_E": "encoder_norm",
}  # fmt: skip
"""Options of the SPADE family's code -> fields of our configs."""
TRAINING = {
    "lr": "lr", "beta1": "beta1", "beta2": "beta2", "gan_mode": "gan_mode", "lambda_feat": "lambda_feat", "lambda_kld": "lambda_kld",
    "lambda_vgg": "lambda_perceptual", "ndf": "ndf", "n_layers_D": "n_layers_d", "num_D": "num_d", "norm_D": "norm_d",
}  # fmt: skip
"""The same of its training options."""


class Lacking(KeyError):
    """The case does not hold this tensor (or file), so what is computed from it is not due."""


class Recorded(dict[str, Tensor]):
    """The tensors of a case by name. Raises Lacking for one that it does not hold."""

    def __missing__(self, name: str) -> Tensor:
        raise Lacking(name)


def load(file: Path) -> Recorded:
    """The tensors of a file. Raises Lacking where there is no such file."""
    if not file.exists():
        raise Lacking(file.name)
    return Recorded(load_file(file))


def where_held() -> AbstractContextManager[None]:
    """A block that ends early, without an error, at the first tensor that the case lacks."""
    return suppress(Lacking)


def held(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights under a prefix, without it. Raises Lacking where there are none."""
    found = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
    if not found:
        raise Lacking(prefix)
    return found


def options(opt: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Our fields from the authors' options {theirs: ours}; those that the case does not tell keep their official defaults."""
    return {ours: opt[theirs] for theirs, ours in names.items() if theirs in opt}


def stand_ins(case: Mapping[str, Any]) -> set[str]:
    """Recorded results of layers whose weights were cut from a travelling case: there they are inputs (`travel.py`)."""
    return set(case.get("cut", {}).get("stand_ins", ()))


def complete(
    case: Mapping[str, Any], weights: Mapping[str, Tensor], state: Mapping[str, Tensor], name: Callable[[str], str]
) -> dict[str, Tensor]:
    """The official weights of a network whose state dict is `state` (name: its keys -> the official ones).

    A case that says `cut` may lack some. NaN takes their place: no number that depends on them can be right by chance.
    """
    if "cut" not in case:
        return dict(weights)
    lacking: Iterable[tuple[str, Tensor]] = ((name(key), value) for key, value in state.items())
    filled = {
        key: torch.full_like(value, float("nan")) if value.is_floating_point() else torch.zeros_like(value)
        for key, value in lacking
        if key not in weights
    }
    return dict(weights) | filled
