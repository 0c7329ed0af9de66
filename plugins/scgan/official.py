"""Checkpoints of the authors: key mapping for `<epoch>_net_G.pth`, `_net_E.pth`, `_net_D.pth` (dossier section 9)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from zoo.errors import WeightsError

ROLES = ("generator", "encoder", "discriminator")

_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "generator": (
        (r"^pyramid_spaital_routing\.toRGB\.0\.", "svg.to_rgb_0."),  # their spelling
        (r"^pyramid_spaital_routing\.toRGB\.2\.", "svg.to_rgb_1."),
        (r"\.conv_bases\.", ".bases."),
        (r"\.affine_params_groups$", ".table"),
        (r"\.mlp_shared\.0\.", ".mlp_shared."),
        (r"\.norm_([01])\.(weight|bias|running_mean|running_var|num_batches_tracked)$", r".norm_\1.norm.\2"),
    ),
    "encoder": ((r"^layer(\d+)\.", "layers.{}."),),
    "discriminator": ((r"^discriminator_(\d+)\.model(\d+)\.", r"discriminators.\1.layers.\2."),),
}
_SPECTRAL = re.compile(r"\.weight_orig$")


def rename(role: str, key: str) -> str:
    """Our name (without the role's prefix) of an official key."""
    new = _SPECTRAL.sub(".weight", key)
    for pattern, replacement in _RULES[role]:
        match = re.search(pattern, new)
        if match and "{}" in replacement:  # layers counted from 1
            replacement = replacement.format(int(match[1]) - 1)
        new = re.sub(pattern, replacement, new)
    match = re.match(r"pyramid_spaital_routing\.labelDec(\d+)\.(\d)\.", new)
    if match:  # the first block has no leading activation, so its convolutions are 0 and 2 instead of 1 and 3
        new = f"svg.blocks.{int(match[1]) - 1}.conv_{int(match[2]) // 2}." + new[match.end() :]
    return new


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role and for spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in ROLES:
            raise WeightsError(f"Unknown role {role!r}: expected one of {', '.join(ROLES)}.")
        _check_spectral(role, state)
        for key, value in state.items():
            out[f"{role}.{rename(role, key)}"] = value
    return out


def _check_spectral(role: str, state: Mapping[str, Tensor]) -> None:
    lacking = [k for k in state if k.endswith(".weight_u") and k[:-1] + "v" not in state]
    if lacking:
        raise WeightsError(
            f"The {role} was saved by torch < 1.1: {len(lacking)} spectral-norm layers have no weight_v (first: {lacking[0]})."
            " Load and save it once with a newer torch and the authors' code."
        )
