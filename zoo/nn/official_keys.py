"""Checkpoints of SPADE's family (`<epoch>_net_{G,E,D}.pth`, bare state dicts): what their key names have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from zoo.errors import WeightsError

ROLES = ("generator", "encoder", "discriminator")

_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "generator": ((r"\.mlp_shared\.0\.", ".mlp_shared."),),
    "encoder": ((r"^layer(\d+)\.(?=weight|bias)", r"layer\1.0."), (r"^layer(\d+)\.", "layers.{}.")),
    "discriminator": (
        (r"^(discriminator_\d+\.model[123]\.0)\.(?=weight|bias)", r"\1.0."),
        (r"^discriminator_(\d+)\.model(\d+)\.", r"discriminators.\1.layers.\2."),
    ),
}


def rename(role: str, key: str) -> str:
    """Our name (without the role's prefix) of an official key of SPADE's modules; other keys stay as they are.

    A convolution without a norm behind it has no inner Sequential officially (`norm_E`, `norm_D` = "spectral").
    """
    new = re.sub(r"\.weight_orig$", ".weight", key)
    for pattern, replacement in _RULES[role]:
        match = re.search(pattern, new)
        if match and "{}" in replacement:  # layers counted from 1
            replacement = replacement.format(int(match[1]) - 1)
        new = re.sub(pattern, replacement, new)
    return new


def convert_parts(
    parts: Mapping[str, Mapping[str, Tensor]], rename: Callable[[str, str], str | None], title: str
) -> dict[str, Tensor]:
    """Official state dicts by role -> our state dict, keys prefixed with the role.

    rename: (role, key) -> our name, or None for a key that the system does not have. Raises WeightsError for an unknown role,
    unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ROLES:
            raise WeightsError(f"Unknown role {role!r}: expected one of {', '.join(ROLES)}.")
        check_spectral(role, state)
        renamed = {key: rename(role, key) for key in state}
        unknown = sorted(k for k, name in renamed.items() if name is None)
        if unknown:
            raise WeightsError(
                f"No {title} {role}: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
            )
        out |= {f"{role}.{name}": state[key] for key, name in renamed.items()}
    return out


def check_spectral(role: str, state: Mapping[str, Tensor]) -> None:
    """Raise WeightsError for spectral-norm keys without `weight_v`."""
    lacking = [k for k in state if k.endswith(".weight_u") and k[:-1] + "v" not in state]
    if lacking:
        raise WeightsError(
            f"The {role} was saved by torch < 1.1: {len(lacking)} spectral-norm layers have no weight_v (first: {lacking[0]})."
            " Load and save it once with a newer torch and the authors' code."
        )
