"""The authors' checkpoints `{dec,enc_style,enc_content}_<epoch>.pth` and `resume.pth`: detection and key mapping (docs/papers/dmit.md, "Checkpoints")."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.families.spade import official_keys
from zoo.plugin import Match
from zoo_plugins.dmit.config import DMITConfig, DMITOptions

Rules = official_keys.Rules
FILES = {
    "dec": "decoder",
    "enc_style": "style_encoder",
    "enc_content": "content_encoder",
    "dis_content": "content_discriminator",
    "dis_rand_prior": "drawn_discriminator",
    "dis_rand_enc": "encoded_discriminator",
}
"""The authors' names of the networks, which are those of the files and of the entries of `resume.pth` -> our roles."""
_DOMAINS = "ABCDEFGH"
"""The label space `domains`. More attributes than that are a sentence."""

_RULES: dict[str, Rules] = {
    "decoder": (
        (r"^decode\.", "layers."),
        (r"\.c([12])\.conv\.", r".conv_<\1>.conv."),
        (r"\.n([12])\.", r".norm_<\1>."),
        (r"\.upsample\.(?:[01]\.)?(?:trConv|conv)\.", ".conv."),
        (r"\.upsample\.(?:[01]\.)?norm\.", ".norm."),
    ),
    "content_encoder": ((r"^encode\.", "layers."), (r"\.encode\.([01])\.", r".conv_\1.")),
    "style_encoder": (
        (r"^encode\.", "layers."),
        (r"\.encode\.2\.", ".conv_0."),
        (r"\.encode\.3\.", ".conv_1."),
        (r"\.encode\.0\.", ".norm_0."),
        (r"\.shortcut\.1\.", ".shortcut."),
        (r"^fc\.", "mean."),
        (r"^fcVar\.", "logvar."),
    ),
    "content_discriminator": (
        (r"^encode\.(\d+)\.conv\.", "last.conv."),
        (r"^encode\.", "blocks."),
        (r"\.cnorm([12])\.", r".norm_<\1>."),
        (r"\.conv1\.conv\.", ".conv_0.conv."),
        (r"\.cmp\.0\.conv\.", ".conv_1.conv."),
        (r"\.shortcut\.1\.", ".shortcut."),
    ),
}
_LAYER = r"(?:conv|shift)\.(?:weight|bias|weight_u|weight_v)"
_NORM = r"(?:norm\.)?(?:weight|bias|running_mean|running_var|num_batches_tracked)"
_SHIFTED = rf"norm_[01]\.(?:{_LAYER}|{_NORM})"
_CONV = rf"(?:{_LAYER}|norm\.{_NORM})"
_DISCRIMINATOR = rf"(?:head|last|blocks\.\d+\.(?:conv_[01]|shortcut))\.{_CONV}|blocks\.\d+\.{_SHIFTED}"
_OURS = {
    "decoder": rf"layers\.\d+\.(?:(?:conv_[01]\.)?{_CONV}|{_SHIFTED})",
    "content_encoder": rf"layers\.\d+\.(?:conv_[01]\.)?{_CONV}",
    "style_encoder": rf"layers\.\d+\.(?:(?:conv_[01]\.|shortcut\.)?{_CONV}|norm_0\.{_NORM})|(?:mean|logvar)\.(?:weight|bias|weight_u|weight_v)",
    "content_discriminator": _DISCRIMINATOR,
}


def rename(role: str, key: str) -> str | None:
    """Our name (without the role's prefix) of an official key, or None if DMIT has no such key."""
    if role in ("drawn_discriminator", "encoded_discriminator"):
        match = re.fullmatch(r"model_([12])\.(.+)", key)
        inner = match and rename("content_discriminator", match[2])
        return f"scales.{int(match[1]) - 1}.{inner}" if match and inner else None
    new = official_keys.apply(_RULES[role], re.sub(r"\.weight_orig$", ".weight", key))
    new = re.sub(r"\.ConBias\.0\.", ".shift.", new)
    # CBBN holds its running statistics itself; ours in a batch norm of its own
    if "norm_<" in new:
        new = re.sub(r"(norm_<\d>)\.(running_mean|running_var|num_batches_tracked)$", r"\1.norm.\2", new)
    new = re.sub(r"<(\d)>", lambda m: str(int(m[1]) - 1), new)
    return new if re.fullmatch(_OURS[role], new) else None


def official_names(role: str, keys: Collection[str], *, upsampling: str = "transpose") -> dict[str, str]:
    """Our keys of one network -> their official names; the inverse of `rename`. upsampling: of the decoder."""
    return {key: _official(role, official_keys.spectral_name(key, keys), keys, upsampling) for key in keys}


def _official(role: str, key: str, keys: Collection[str], upsampling: str) -> str:
    key = re.sub(r"\.shift\.", ".ConBias.0.", key)
    key = re.sub(r"(norm_\d)\.norm\.", r"\1.", key)
    if role == "decoder":
        key = re.sub(r"^layers\.", "decode.", key)
        if re.match(r"decode\.\d+\.norm\.", key) or _of_upsampling(key, keys):
            inner = {"transpose": "", "nearest": "1.", "pixelshuffle": "0."}[upsampling]
            part = "trConv" if upsampling == "transpose" else "conv"
            return re.sub(r"^(decode\.\d+)\.(conv|norm)\.", lambda m: f"{m[1]}.upsample.{inner}{part if m[2] == 'conv' else 'norm'}.", key)  # fmt: skip
        return re.sub(r"\.(conv|norm)_([01])\.", lambda m: f".{m[1][0]}{int(m[2]) + 1}.", key)
    if role == "content_encoder":
        return re.sub(r"\.conv_([01])\.", r".encode.\1.", re.sub(r"^layers\.", "encode.", key))
    if role == "style_encoder":
        back = ((r"^layers\.", "encode."), (r"\.conv_0\.", ".encode.2."), (r"\.conv_1\.", ".encode.3."), (r"\.norm_0\.", ".encode.0."),
                (r"\.shortcut\.", ".shortcut.1."), (r"^mean\.", "fc."), (r"^logvar\.", "fcVar."))  # fmt: skip
        return official_keys.apply(back, key)
    if match := re.match(r"scales\.(\d)\.(.+)", key):
        inner = [k.removeprefix(f"scales.{match[1]}.") for k in keys if k.startswith(f"scales.{match[1]}.")]
        return f"model_{int(match[1]) + 1}.{_official('content_discriminator', match[2], inner, upsampling)}"
    last = 1 + max((int(m[1]) for k in keys if (m := re.match(r"blocks\.(\d+)\.", k))), default=-1)
    back = ((r"^last\.", f"encode.{last}."), (r"^blocks\.", "encode."), (r"\.norm_0\.", ".cnorm1."), (r"\.norm_1\.", ".cnorm2."),
            (r"\.conv_0\.", ".conv1."), (r"\.conv_1\.", ".cmp.0."), (r"\.shortcut\.", ".shortcut.1."))  # fmt: skip
    return official_keys.apply(back, key)


def _of_upsampling(key: str, keys: Collection[str]) -> bool:
    """Whether a convolution straight in a layer of the decoder is one that doubles: those have a norm beside them."""
    match = re.match(r"decode\.(\d+)\.conv\.", key)
    return match is not None and f"layers.{match[1]}.norm.weight" in keys


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """Official state dicts by role -> our state dict, keys prefixed with the role.

    Keys of discriminators belong to files of their own. config is not needed. Raises WeightsError for an unknown role, unknown keys, and
    spectral-norm keys of torch < 1.1, which lack `weight_v`.
    """
    return official_keys.convert_parts(parts, lambda role, key, _keys: rename(role, key), "DMIT", tuple(FILES.values()))


def detect(shapes: Shapes) -> Match | None:
    """Does this file hold DMIT's decoder, one of its encoders or a discriminator? The config is read off the shapes.

    Not in the files: the domains' names and the size of the pictures; in the decoder's, how many of its code's numbers say the domain: where
    8 of them can be the style (the authors' number), the rest, else two. More domains than there are letters are a sentence. Both picture
    discriminators have the same keys, and are told as the one of drawn styles.
    """
    if has(shapes, r"decode\.\d+\.[cn][12]\..*"):
        return _match_decoder(shapes)
    if has(shapes, r"(?:model_[12]\.)?encode\.\d+\.cnorm[12]\..*"):
        return _match_discriminator(shapes)
    if has(shapes, r"fcVar\..*") and has(shapes, r"encode\.\d+\.encode\.[23]\..*"):
        return _match_style_encoder(shapes)
    if has(shapes, r"encode\.\d+\.encode\.[01]\.conv\..*"):
        return _match_content_encoder(shapes)
    return None


_OPEN = ("label_space", "channels", "resolution", "dropout")
"""Fields that no shape tells."""
_SN = r"weight(?:_orig)?"


def _domains(count: int) -> dict[str, Any]:
    """Config fields of so many attributes."""
    if count > len(_DOMAINS):
        return {"sentence": count, "channels": ("A",)}
    return {} if count == 2 else {"channels": tuple(_DOMAINS[: max(count, 1)])}


def _norm(shapes: Shapes) -> dict[str, Any]:
    return {"norm": "cbbn" if has(shapes, r".*\.running_mean") else "cbin"}


def _match_decoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.dmit.networks import Decoder

    code = vote(shapes, (rf"decode\.\d+\.n[12]\.ConBias\.0\.{_SN}", 1, 1)) or 10
    style = DMITConfig.style_dim
    attributes = code - style if code >= style + 2 else 2
    style = max(1, code - attributes)
    halvings = len(numbers(shapes, r"decode\.(\d+)\.upsample\..*")) or DMITConfig.halvings
    wide = vote(shapes, (rf"decode\.\d+\.c[12]\.conv\.{_SN}", 0, 1)) or 256
    kind = "transpose"
    if not has(shapes, r"decode\.\d+\.upsample\.trConv\..*"):
        kind = "nearest" if has(shapes, r"decode\.\d+\.upsample\.1\..*") else "pixelshuffle"
    config: dict[str, Any] = {
        "width": max(1, wide >> halvings),
        "halvings": halvings,
        "decoder_blocks": len(numbers(shapes, r"decode\.(\d+)\.c1\..*")),
        "upsampling": kind,
        "style_dim": style,
        **_domains(attributes),
        **_norm(shapes),
    }
    return compare(
        "decoder",
        shapes,
        lambda: Decoder(DMITConfig(**config), attributes),
        lambda keys: official_names("decoder", keys, upsampling=kind),
        config,
        DMITConfig,
        (*_OPEN, "sentence", "style_dim", "content_blocks", "style_blocks"),
    )


def _match_style_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.dmit.networks import StyleEncoder

    config = {
        "width": vote(shapes, (rf"encode\.0\.conv\.(?:bias|{_SN})", 0, 1)) or DMITConfig.width,
        "style_dim": vote(shapes, (rf"fc(?:Var)?\.(?:bias|{_SN})", 0, 1)) or DMITConfig.style_dim,
        "style_blocks": max(1, len(numbers(shapes, r"encode\.(\d+)\..*"))),
        **_norm(shapes),
    }
    ambiguous = (*_OPEN, "sentence", "halvings", "content_blocks", "decoder_blocks", "upsampling")
    names = _names("style_encoder")
    return compare(
        "style_encoder", shapes, lambda: StyleEncoder(DMITConfig(**config)), names, config, DMITConfig, ambiguous
    )


def _match_content_encoder(shapes: Shapes) -> Match | None:
    from zoo_plugins.dmit.networks import ContentEncoder

    blocks = len(numbers(shapes, r"encode\.(\d+)\.encode\..*"))
    config = {
        "width": vote(shapes, (rf"encode\.0\.conv\.{_SN}", 0, 1)) or DMITConfig.width,
        "halvings": max(1, len(numbers(shapes, r"encode\.(\d+)\.conv\..*")) - 1),
        "content_blocks": blocks,
        **_norm(shapes),
    }
    ambiguous = (*_OPEN, "sentence", "style_dim", "style_blocks", "decoder_blocks", "upsampling")
    names = _names("content_encoder")
    return compare(
        "content_encoder", shapes, lambda: ContentEncoder(DMITConfig(**config)), names, config, DMITConfig, ambiguous
    )


def _names(role: str) -> Any:
    return lambda keys: official_names(role, keys)


def _match_discriminator(shapes: Shapes) -> Match | None:
    from zoo_plugins.dmit.discriminators import PictureDiscriminator, StyleDiscriminator

    scales = has(shapes, r"model_1\..*")
    first = "model_1\\." if scales else ""
    attributes = vote(shapes, (rf"(?:model_[12]\.)?encode\.\d+\.cnorm[12]\.ConBias\.0\.{_SN}", 1, 1)) or 2
    width = vote(shapes, (rf"{first}head\.conv\.(?:bias|{_SN})", 0, 1)) or DMITOptions.ndf
    blocks = len(numbers(shapes, rf"{first}encode\.(\d+)\..*"))
    config: dict[str, Any] = {**_domains(attributes), **_norm(shapes)}
    kind: Any = config["norm"]
    c_in = vote(shapes, (rf"head\.conv\.{_SN}", 1, 1)) or width
    role = "drawn_discriminator" if scales else "content_discriminator"

    def build() -> Any:
        if scales:
            return PictureDiscriminator(width, blocks, attributes, kind)
        return StyleDiscriminator(c_in, width, blocks, attributes, kind)

    return compare(role, shapes, build, _names(role), config, DMITConfig, _OPEN)
