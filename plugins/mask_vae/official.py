"""The authors' checkpoints (`latest_net_G.pth`, a bare state dict; `latest_net_D.pth` for training): detection and key mapping."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import gcd, isqrt
from typing import Any

from torch import Tensor, nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.families.spade import official_keys
from zoo.families.spade.official_networks import match_multiscale
from zoo.plugin import Match, WeightsError
from zoo_plugins.mask_vae.config import MaskVaeConfig, MaskVaeTraining

ROLES = ("generator", "discriminator")

# official prefix -> ours; the first that fits is taken
_PREFIXES = (
    ("encs.encs.", "encoder.layers."),
    ("encs.", "encoder."),
    ("lstm.", "generator.lstm."),
    ("decs.decs.", "generator.feed_forward."),
    ("resh_lin.", "generator.shortcut."),
    ("decs_conv.decs.", "generator.convs.blocks."),
    ("decs_conv.", "generator.convs."),
)
_BLOCK = (
    (".in_layers.0.", ".norm1."),
    (".in_layers.2.", ".conv1."),
    (".out_layers.0.", ".norm2."),
    (".out_layers.3.", ".conv2."),
    (".skip_connection.", ".skip."),
)


def rename(key: str) -> str | None:
    """Our name of an official generator key, or None if mask-vae has no such key."""
    for theirs, ours in _PREFIXES:
        if key.startswith(theirs):
            key = ours + key[len(theirs) :]
            for a, b in _BLOCK:
                key = key.replace(a, b)
            return key
    return None


def official_name(key: str) -> str:
    """The official name of one of our generator keys; the inverse of `rename`."""
    for theirs, ours in _PREFIXES:
        if key.startswith(ours):
            key = theirs + key[len(ours) :]
            for a, b in _BLOCK:
                key = key.replace(b, a)
            return key
    raise WeightsError(f"{key!r} is no key of mask-vae.")


def convert(roles: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """The state dict of `SemanticVAE` from `{"generator": official state dict}`; config is not needed.

    Keys of a discriminator (role "discriminator", `discriminator.*`) belong to a file of their own. Raises WeightsError for an
    unknown role or unknown keys; shapes are checked by the strict load that follows.
    """
    if not roles or not set(roles) <= set(ROLES):
        raise WeightsError(
            "mask-vae converts the files of role 'generator' (latest_net_G.pth) and 'discriminator' (latest_net_D.pth);"
            f" got roles {sorted(roles)}."
        )
    renamed = {key: rename(key) for key in roles.get("generator", {})}
    unknown = sorted(k for k, name in renamed.items() if name is None)
    if unknown:
        raise WeightsError(
            f"No mask-vae checkpoint: {len(unknown)} unknown keys, the first {unknown[:3]}. Try: zoo identify FILE"
        )
    ours = {name: roles["generator"][key] for key, name in renamed.items() if name is not None}
    discriminator = convert_discriminator(roles.get("discriminator", {}))
    return ours | {f"discriminator.{key}": value for key, value in discriminator.items()}


def convert_discriminator(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `zoo.families.spade.discriminators.MultiscaleDiscriminator` from the official `latest_net_D.pth` (training only)."""
    ours = {official_keys.rename("discriminator", key, theirs): value for key, value in theirs.items()}
    unknown = sorted(k for k in ours if not k.startswith("discriminators."))
    if unknown:
        raise WeightsError(
            f"No mask-vae discriminator: unknown key {unknown[0]!r}; expected discriminator_<i>.model<j>.…."
        )
    return ours


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold mask-vae, or the discriminator of its optional adversarial training? The config is read off the shapes.

    Not in the files: the group count (the largest that divides all widths is assumed, official 32), class names, and what has
    no weights. The discriminator sees 19 planes, has 3 layers, and is SPADE's of that size key by key.
    """
    if has(shapes, r"encs\.(?:mu|log_var)\..*|decs_conv\..*|decs\.decs\..*"):
        return _match_generator(shapes)
    if not has(shapes, r"discriminator_\d+\.model0\.0\.weight"):
        return None
    planes = len(MaskVaeConfig.channels) + 1
    layers = MaskVaeTraining.d_layers
    return match_multiscale(
        shapes, lambda _: {}, MaskVaeConfig, n_layers=layers, channels=planes, ambiguous=("channels",)
    )


def _match_generator(shapes: Shapes) -> Match | None:
    from zoo_plugins.mask_vae.networks import PartDecoder, PartEncoder

    config = _read_config(shapes)
    ambiguous = ["groups", "label_space", "channels", "background", "swap_first_parts", "random_state"]
    if not config["lstm_layers"]:
        ambiguous.append("bidirectional")
    if not config["bidirectional"]:
        ambiguous.append("shortcut")

    def build() -> nn.Module:
        read = MaskVaeConfig(**config)
        return nn.ModuleDict({"encoder": PartEncoder(read), "generator": PartDecoder(read)})

    return compare("generator", shapes, build, _official_names, config, MaskVaeConfig, tuple(ambiguous))


def _official_names(keys: Collection[str]) -> dict[str, str]:
    return {key: official_name(key) for key in keys}


def _read_config(shapes: Shapes) -> dict[str, Any]:
    default = MaskVaeConfig
    linear = sorted(numbers(shapes, r"encs\.encs\.(\d+)\.weight"))
    widths = [vote(shapes, (rf"encs\.encs\.{i}\.(?:weight|bias)", 0, 1)) or 1 for i in linear]
    pixels = vote(shapes, (r"encs\.encs\.0\.weight", 1, 1))
    block = r"decs_conv\.decs\.{}\.(?:skip_connection|out_layers\.3)\.(?:weight|bias)"
    blocks = numbers(shapes, r"decs_conv\.decs\.(\d+)\..*")
    decoder_widths = tuple(vote(shapes, (block.format(i), 0, 1)) or 1 for i in blocks) or default.decoder_widths
    decoder_width = vote(shapes, (r"decs_conv\.in_conv\.(?:weight|bias)", 0, 1)) or default.decoder_width
    layers = len(numbers(shapes, r"lstm\.weight_ih_l(\d+)"))
    bidirectional = has(shapes, r"lstm\..*_reverse")
    config: dict[str, Any] = {
        "latent": vote(shapes, (r"encs\.(?:mu|log_var)\.(?:weight|bias)", 0, 1)) or default.latent,
        "encoder_side": isqrt(pixels) or default.encoder_side,
        "encoder_widths": tuple(widths[:-1]) if widths else default.encoder_widths,
        "lstm_layers": layers,
        "bidirectional": bidirectional,
        "shortcut": not bidirectional or has(shapes, r"resh_lin\..*"),
        "decoder_width": decoder_width,
        "decoder_widths": decoder_widths,
        "groups": gcd(default.groups, decoder_width, *decoder_widths),
    }
    parts = vote(shapes, (r"decs_conv\.in_conv\.weight", 1, 1), (r"decs_conv\.out_conv\.(?:weight|bias)", 0, 1))
    if parts and parts != len(default.channels):  # names are not in the file
        config |= {"label_space": "numbered", "channels": tuple(f"label_{i}" for i in range(1, parts + 1))}
    return config
