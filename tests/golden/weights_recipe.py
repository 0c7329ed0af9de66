"""Weights that a case gives by a formula (`weights_recipe` in case.json) and not by value. Loaded by file path."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def uniform(key: str, count: int, seed: int) -> np.ndarray:
    """`count` numbers in [0, 1) of a key: splitmix64 of a counter, the upper 24 bits."""
    base = ((zlib.crc32(key.encode()) * 256) | seed) % 2**32
    with np.errstate(over="ignore"):
        x = np.uint64(base) * np.uint64(2**32) + np.arange(count, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(40)).astype(np.float64) / 2**24


def value(key: str, shape: Sequence[int], recipe: Mapping[str, Any]) -> Tensor:
    """One weight, float32."""
    u = uniform(key, int(np.prod(shape)), recipe["seed"])
    if len(shape) > 1:
        gain = next(g for part, g in recipe["recipe_gain"] if part in key)
        numbers = (u - 0.5) * 2 * gain * np.sqrt(3 / np.prod(shape[1:]))
    elif key.endswith(".running_var"):
        numbers = u * 1.5 + 0.5
    else:
        numbers = (u - 0.5) * (0.6 if key.endswith(".running_mean") else 0.3)
    return torch.from_numpy(numbers.astype(np.float32)).reshape(tuple(shape))


def made(case: Mapping[str, Any]) -> dict[str, Tensor]:
    """All weights that the case gives by its formula."""
    recipe = case.get("weights_recipe", {})
    return {key: value(key, shape, recipe) for key, shape in recipe.get("shapes", {}).items()}
