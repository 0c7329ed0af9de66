"""The authors' checkpoints `<epoch>_net_{G,E,D}.pth`, each a bare state dict: key mapping and detection (docs/papers/scgan.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from torch import Tensor

from zoo.checkpoints.shapes import Shapes
from zoo.families.spade import fpse_keys, official_keys
from zoo.families.spade.official_keys import BLOCKS
from zoo.plugin import Match

# after the rules of SPADE's modules
_RULES: dict[str, official_keys.Rules] = {
    "generator": (
        (r"^pyramid_spaital_routing\.toRGB\.0\.", "svg.to_rgb_0."),  # their spelling
        (r"^pyramid_spaital_routing\.toRGB\.2\.", "svg.to_rgb_1."),
        (r"\.conv_bases\.", ".bases."),
        (r"\.affine_params_groups$", ".table"),
        (r"\.norm_([01])\.(weight|bias|running_mean|running_var|num_batches_tracked)$", r".norm_\1.norm.\2"),
    ),
    "encoder": (),
    "discriminator": ((r"\.conv_bases\.", ".bases."), (r"^r_adjust(\d)\.", "heads.{}.")),  # what FPSE has not
}
_BUFFER = r"(?:running_mean|running_var|num_batches_tracked)"
_PARAMETER = r"(?:weight|bias|weight_u|weight_v)"
_OURS = {
    "generator": rf"(?:fc|conv_img|svg\.to_rgb_[01]|svg\.blocks\.\d\.conv_[01])\.{_PARAMETER}|{BLOCKS}\.(?:"
    rf"(?:conv_[01]\.bases\.\d+|conv_s)\.{_PARAMETER}|norm_[01]\.(?:table|norm\.(?:{_PARAMETER}|{_BUFFER}))|"
    rf"norm_[01s]\.(?:param_free_norm\.{_BUFFER}|mlp_(?:shared|gamma|beta)\.(?:weight|bias)))",
    "encoder": rf"layers\.\d+\.(?:0\.{_PARAMETER}|1\.(?:{_PARAMETER}|{_BUFFER}))|fc_(?:mu|var)\.(?:weight|bias)",
    "discriminator": rf"{official_keys.OURS['discriminator']}|{fpse_keys.OURS}|"
    rf"(?:encoders\.\d\.bases\.\d+|heads\.\d)\.{_PARAMETER}",
}


def rename(role: str, key: str, keys: Iterable[str] = ()) -> str:
    """Our name (without the role's prefix) of an official key. keys: all of the file (they tell fpsem from fpse)."""
    new = official_keys.apply(_RULES[role], official_keys.rename(role, key, keys))
    if role == "discriminator":
        return fpse_keys.rename(new, keys)
    match = re.match(r"pyramid_spaital_routing\.labelDec(\d+)\.(\d)\.", new)
    if match:  # the first block has no leading activation, so its convolutions are 0 and 2 instead of 1 and 3
        new = f"svg.blocks.{int(match[1]) - 1}.conv_{int(match[2]) // 2}." + new[match.end() :]
    return new


def _known(role: str, key: str, keys: Iterable[str]) -> str | None:
    new = rename(role, key, keys)
    return new if re.fullmatch(_OURS[role], new) else None


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role (generator, encoder, discriminator) -> our state dict, keys prefixed with the role.

    Keys of the discriminator (`discriminator.*`) belong to a file of their own. config is not needed. Raises WeightsError for
    an unknown role, unknown keys, and spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    # the blur of smooth discriminators is a constant
    kept = {role: {k: v for k, v in state.items() if k != "blur.weight"} for role, state in parts.items()}
    return official_keys.convert_parts(kept, _known, "SC-GAN")


def official_names(role: str, keys: Collection[str]) -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`."""
    names = official_keys.official_names(role, keys)
    for pattern, replacement in _back(role):
        names = {key: re.sub(pattern, replacement, name) for key, name in names.items()}
    return names if role != "discriminator" else fpse_keys.official_names(names, keys)


def _back(role: str) -> tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]:
    if role == "encoder":
        return ()
    if role == "generator":
        return (
            (r"^svg\.to_rgb_0\.", "pyramid_spaital_routing.toRGB.0."),
            (r"^svg\.to_rgb_1\.", "pyramid_spaital_routing.toRGB.2."),
            (r"^svg\.blocks\.(\d)\.conv_([01])\.", _label_layer),
            (r"\.bases\.", ".conv_bases."),
            (r"\.table$", ".affine_params_groups"),
            (r"\.norm_([01])\.norm\.", r".norm_\1."),
        )
    return (
        (r"\.bases\.", ".conv_bases."),
        (r"^heads\.(\d)\.", lambda m: f"r_adjust{int(m[1]) + 1}."),
    )


def _label_layer(match: re.Match[str]) -> str:
    block, conv = int(match[1]), int(match[2])
    return f"pyramid_spaital_routing.labelDec{block + 1}.{2 * conv + (block > 0)}."


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold SC-GAN's generator, encoder or discriminator? See `detection`."""
    from zoo_plugins.scgan import detection

    return detection.detect(shapes, official_names)
