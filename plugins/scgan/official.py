"""Checkpoints of the authors: key mapping for `<epoch>_net_G.pth`, `_net_E.pth`, `_net_D.pth` (dossier section 9)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from zoo.errors import WeightsError
from zoo.nn.official_keys import ROLES, check_spectral

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
    "discriminator": (
        (r"^discriminator_(\d+)\.model(\d+)\.", r"discriminators.\1.layers.\2."),
        (r"\.conv_bases\.", ".bases."),  # from here on FPSE and its relatives
        (r"^((?:enc|lat|final)\d\.0)\.(weight|bias)", r"\1.0.\2"),  # without a norm they have no inner Sequential
        (r"^enc(\d)\.", "encoders.{}."),
        (r"^r_adjust(\d)\.", "heads.{}."),
        (r"^tf1?\.", "score."),
        (r"^seg\.", "segment."),
    ),
}
_PYRAMID = re.compile(r"^(lat|final)(\d)\.")
_SPECTRAL = re.compile(r"\.weight_orig$")


def _is_fpsem(keys: Iterable[str]) -> bool:
    return any(k.startswith("lat6.") for k in keys)


def rename(role: str, key: str, keys: Iterable[str] = ()) -> str:
    """Our name (without the role's prefix) of an official key. keys: all of the file (they tell fpsem from fpse)."""
    new = _SPECTRAL.sub(".weight", key)
    for pattern, replacement in _RULES[role]:
        match = re.search(pattern, new)
        if match and "{}" in replacement:  # layers counted from 1
            replacement = replacement.format(int(match[1]) - 1)
        new = re.sub(pattern, replacement, new)
    if match := _PYRAMID.match(new):  # counted from the scale, which fpsem begins at 3 for `lat`
        first = 3 if match[1] == "lat" and _is_fpsem(keys) else 2
        new = f"{'laterals' if match[1] == 'lat' else 'finals'}.{int(match[2]) - first}." + new[match.end() :]
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
        check_spectral(role, state)
        for key, value in state.items():
            if key != "blur.weight":  # a constant
                out[f"{role}.{rename(role, key, state)}"] = value
    return out
