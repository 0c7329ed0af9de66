"""Tensors in safetensors files: written atomically, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from zoo.errors import WeightsError, few
from zoo.files.headers import SUFFIX, check_finite, damaged, read_header
from zoo.files.writing import cannot_write, write_atomic

DTYPES = {"float32": torch.float32, "float16": torch.float16}


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write tensors atomically (contiguous copies on the CPU, sorted by name, no metadata: equal content, equal bytes).

    Raises DataError if the file cannot be written.
    """
    plain = {k: tensors[k].detach().cpu().contiguous().clone() for k in sorted(tensors)}
    try:
        write_atomic(path, lambda part: save_file(plain, part))
    except SafetensorError as error:  # its way of reporting a full disk
        raise cannot_write(path, error) from error


def stored_state(network: nn.Module, dtype: str = "float32") -> dict[str, Tensor]:
    """The state dict as it is stored: parameters in `dtype`, buffers (running statistics, singular vectors) as they are."""
    parameters = {n for n, _ in network.named_parameters()}
    return {
        k: v.to(DTYPES[dtype]) if k in parameters and v.is_floating_point() else v
        for k, v in network.state_dict().items()
    }


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, whose header agrees with its bytes and whose numbers are finite.

    Raises WeightsError for a missing, damaged or foreign file.
    """
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}.")
    if path.suffix != SUFFIX:
        raise WeightsError(
            f"{path}: only safetensors files are loaded; bring other checkpoints in with the authors' converter (official.py)."
        )
    check_finite(path, read_header(path))
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, error, path.stat().st_size) from error


def load_strict(network: nn.Module, path: Path, known: Mapping[str, Tensor] | None = None) -> None:
    """Load a file into a network; keys and shapes must agree exactly. known: tensors by name that the file may lack. Raises WeightsError that tells
    the differences."""
    tensors = {**(known or {}), **read_tensors(path)}
    state = network.state_dict()
    expected = {k: tuple(v.shape) for k, v in state.items()}
    found = {k: tuple(v.shape) for k, v in tensors.items()}
    missing = [k for k in expected if k not in found]
    unknown = [k for k in found if k not in expected]
    shapes = [f"{k} {found[k]} instead of {expected[k]}" for k in expected if k in found and found[k] != expected[k]]
    if not shapes:  # a copy would cut fractions off without a word
        shapes = [
            f"{k} {_type(tensors[k])} instead of {_type(v)}"
            for k, v in state.items()
            if k in found and tensors[k].is_floating_point() != v.is_floating_point()
        ]
        shapes += [
            f"{k} has numbers that float32 does not hold"
            for k, v in tensors.items()
            if v.dtype == torch.float64 and k in state and not bool(torch.isfinite(v.to(state[k].dtype)).all())
        ]
    if missing or unknown or shapes:
        matched = len(expected) - len(missing) - len(shapes)
        parts = [
            f"missing: {few(missing)}" if missing else "",
            f"unknown: {few(unknown)}" if unknown else "",
            f"shapes: {few(shapes)}" if shapes else "",
        ]
        raise WeightsError(
            f"{path} does not fit {type(network).__name__}: {matched} of {len(expected)} tensors match; "
            + "; ".join(p for p in parts if p)
            + ". These are weights of another architecture or config."
        )
    network.load_state_dict(tensors, strict=True)


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def count_parameters(path: Path) -> int:
    """Elements of all tensors in a safetensors file, from its header alone. Raises WeightsError as `read_header` does."""
    return sum(stored.numel for stored in read_header(path).values())
