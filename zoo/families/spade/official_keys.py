"""Checkpoints of SPADE's family (`<epoch>_net_{G,E,D}.pth`, bare state dicts): what their key names have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from torch import Tensor

from zoo.errors import WeightsError

ROLES = ("generator", "encoder", "discriminator")

BLOCKS = r"(?:head_0|G_middle_[01]|up_[0-4])"
"""The residual blocks of a generator."""
_NORM = r"param_free_norm\.(?:running_mean|running_var|num_batches_tracked)|mlp_(?:shared|gamma|beta)\.(?:weight|bias)"
_CONV = r"conv_[01s]\.(?:weight|bias|weight_u|weight_v)"
OURS = {
    "generator": rf"(?:fc|conv_img)\.(?:weight|bias)|{BLOCKS}\.(?:{_CONV}|norm_[01s]\.(?:{_NORM}))",
    "encoder": r"layers\.\d\.[01]\.\w+|fc_(?:mu|var)\.(?:weight|bias)",
    "discriminator": r"discriminators\.\d+\.layers\.\d+\.(?:0\.)?[01]\.\w+",
}
"""By role, a pattern of all keys of ours that SPADE's networks have."""
Rules = tuple[tuple[str, str], ...]
"""Pattern and replacement, one after the other; "{}" in a replacement takes the first group, a number, less 1."""

_RULES: dict[str, Rules] = {
    "generator": ((r"\.mlp_shared\.0\.", ".mlp_shared."),),
    "encoder": ((r"^layer(\d+)\.(?=weight|bias)", r"layer\1.0."), (r"^layer(\d+)\.", "layers.{}.")),
    "discriminator": ((r"^discriminator_(\d+)\.model(\d+)\.", r"discriminators.\1.layers.\2."),),
}
_MIDDLE = re.compile(r"^(discriminator_\d+\.model([1-9]\d*)\.0)\.(weight|bias)")


def rename(role: str, key: str, keys: Iterable[str] = ()) -> str:
    """Our name (without the role's prefix) of an official key of SPADE's modules; other keys stay as they are.

    A convolution without a norm behind it has no inner Sequential officially (`norm_E`, `norm_D` = "spectral"). keys: all of
    the file, which tell the number of a discriminator's last layer (without them: the official 4).
    """
    new = re.sub(r"\.weight_orig$", ".weight", key)
    if role == "discriminator" and (match := _MIDDLE.match(new)) and int(match[2]) < _last(keys):
        new = f"{match[1]}.0.{new[match.start(3) :]}"
    return apply(_RULES[role], new)


def apply(rules: Rules, key: str) -> str:
    """The key after all rules."""
    for pattern, replacement in rules:
        match = re.search(pattern, key)
        if match and "{}" in replacement:  # layers counted from 1
            replacement = replacement.format(int(match[1]) - 1)
        key = re.sub(pattern, replacement, key)
    return key


def _last(keys: Iterable[str]) -> int:
    matches = (re.match(r"discriminator_\d+\.model(\d{1,4})\.", key) for key in keys)
    return max((int(match[1]) for match in matches if match), default=4)


_BACK: dict[str, tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]] = {
    "generator": ((r"\.mlp_shared\.", ".mlp_shared.0."),),
    "encoder": ((r"^layers\.(\d+)\.", lambda m: f"layer{int(m[1]) + 1}."),),
    "discriminator": ((r"^discriminators\.(\d+)\.layers\.(\d+)\.", r"discriminator_\1.model\2."),),
}
# where a convolution of ours always stands in a Sequential, and theirs only with a norm behind it: before, between, after
_WRAPPED = {
    "encoder": re.compile(r"^(layer\d+)\.0(\.\w+)$"),
    "discriminator": re.compile(r"^(.+\.0)\.0(\.\w+)$"),
}


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one of SPADE's networks -> their official names; the inverse of `rename`."""
    names = {}
    for key in keys:
        names[key] = spectral_name(key, keys)
        for pattern, replacement in _BACK[role]:
            names[key] = re.sub(pattern, replacement, names[key])
    return unwrapped(names, _WRAPPED[role]) if role in _WRAPPED else names


def spectral_name(key: str, keys: Collection[str]) -> str:
    """`weight_orig` for a weight with spectral norm, told by its `weight_u`; other keys stay as they are."""
    return f"{key}_orig" if key.endswith(".weight") and f"{key}_u" in keys else key


def unwrapped(names: Mapping[str, str], pattern: re.Pattern[str]) -> dict[str, str]:
    """Without the inner Sequential where the convolution has a bias: then no norm follows it.

    names: our keys -> official names. pattern: a convolution inside an inner Sequential, with groups before and after its index.
    """
    matches = {key: match for key, name in names.items() if (match := pattern.match(name))}
    biased = {m[1] for m in matches.values() if m[2] == ".bias"}
    return {**names, **{key: m[1] + m[2] for key, m in matches.items() if m[1] in biased}}


def convert_parts(
    parts: Mapping[str, Mapping[str, Tensor]],
    rename: Callable[[str, str, Collection[str]], str | None],
    title: str,
    roles: tuple[str, ...] = ROLES,
) -> dict[str, Tensor]:
    """Official state dicts by role -> our state dict, keys prefixed with the role.

    rename: (role, key, all keys of the file) -> our name, or None for a key that the system does not have. Raises WeightsError for an unknown role,
    unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    out: dict[str, Tensor] = {}
    for role, state in parts.items():
        if role not in roles:
            raise WeightsError(f"Unknown role {role!r}: expected one of {', '.join(roles)}.")
        check_spectral(role, state)
        renamed = {key: rename(role, key, state) for key in state}
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
