"""Detection of the networks that SPADE's descendants share: what a generator's keys say, the encoder, the discriminator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from zoo.checkpoints.shapes import Shapes, compare, has, numbered, numbers, vote
from zoo.families.spade import official_keys
from zoo.families.spade.discriminators import MultiscaleDiscriminator
from zoo.families.spade.encoders import ConvEncoder
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.sizes import DOUBLINGS
from zoo.registry import Match

SPACES = {
    151: ("ade20k", False), 184: ("coco-stuff", True), 183: ("coco-stuff", False), 36: ("cityscapes", True),
    35: ("cityscapes", False), 13: ("facades", False), 19: ("celebamask-hq", False),
}  # fmt: skip
"""Planes of the map -> the label space that has so many in the authors' data sets, and whether the last one shows edges."""
_SHARED = rf"{BLOCKS}\.norm_[01s]\.mlp_shared\.0"


def read_generator(shapes: Shapes) -> dict[str, Any]:
    """Config fields of a generator of SPADE's blocks: ngf, norm, spade_hidden, upsampling ("normal" where nothing says "more").

    With a latent also z_dim, and what the start grid makes likely: 8 pixels high means "normal", fewer "more".
    """
    kernel = vote(shapes, (rf"{_SHARED}\.weight", 3, 1)) or 3
    spectral = "spectral" if has(shapes, rf"{BLOCKS}\.conv_[01s]\.weight_orig") else ""
    kind = "syncbatch" if has(shapes, rf"{BLOCKS}\.norm_[01s]\.param_free_norm\.running_mean") else "instance"
    config: dict[str, Any] = {
        "ngf": _width(shapes),
        "norm": f"{spectral}spade{kind}{kernel}x{kernel}",
        "spade_hidden": vote(shapes, (rf"{_SHARED}\.(?:weight|bias)", 0, 1)) or 128,
        "upsampling": _added_block(shapes),
    }
    fc = shapes.get("fc.weight", ())
    if len(fc) != 2:
        return config
    height, width = start_grid(fc[0] // (16 * config["ngf"]))
    if config["upsampling"] == "normal" and height < 8:
        config["upsampling"] = "more"
    return config | {
        "z_dim": vote(shapes, (r"fc\.weight", 1, 1)) or 256,
        "aspect_ratio": width / height,
        "resolution": width << DOUBLINGS[config["upsampling"]],
    }


def _added_block(shapes: Shapes) -> str:
    """What a block behind the four tells: "most" halves the channels, "finer" keeps them."""
    last, before = (vote(shapes, (rf"up_{i}\.conv_1\.bias", 0, 1)) for i in (4, 3))
    return "normal" if not has(shapes, r"up_4\..*") else "finer" if last and last == before else "most"


def read_planes(shapes: Shapes, blocks: str = BLOCKS) -> int:
    """Planes of the map, as the norms of these blocks read it; 0 if nothing tells."""
    return vote(shapes, (rf"{blocks}\.norm_[01s]\.mlp_shared\.0\.weight", 1, 1))


def space_fields(planes: int) -> dict[str, Any]:
    """Label space fields that the number of planes tells, or makes likely."""
    if planes not in SPACES:
        return numbered(planes)
    space, edges = SPACES[planes]
    return {"label_space": space, "edges": edges}


def _width(shapes: Shapes) -> int:
    """ngf: every block has a multiple of it."""
    first = (r"(?:head_0|G_middle_[01])\.(?:norm_[01]\.mlp_(?:gamma|beta)\.(?:weight|bias)|conv_[01]\.bias)", 0, 16)
    others = [(rf"up_{i}\.conv_[01]\.bias", 0, 8 >> i) for i in range(4)]
    return vote(shapes, first, *others) or 64


def start_grid(pixels: int) -> tuple[int, int]:
    """(height, width) of a grid of so many pixels: a square, else twice as wide as high, else as near to a square as can be."""
    pixels = min(max(pixels, 1), 1 << 20)
    for aspect in (1, 2):
        height = round((pixels / aspect) ** 0.5)
        if height * height * aspect == pixels:
            return height, height * aspect
    height = next(h for h in range(int(pixels**0.5), 0, -1) if pixels % h == 0)
    return height, pixels // height


def norm_kind(shapes: Shapes, normed: str, conv: str) -> str:
    """`[spectral]{instance,syncbatch,none}` of convolutions that a norm follows, or would.

    normed: pattern of the layers with a norm behind the convolution, conv: of the same without; both end in the convolution.
    Batch norms leave buffers; an instance norm leaves nothing but the Sequential that it shares with its convolution.
    """
    spectral = "spectral" if has(shapes, rf"(?:{normed}|{conv})\.weight_orig") else ""
    if has(shapes, rf"{normed.removesuffix('0')}1\.running_mean"):
        return spectral + "syncbatch"
    plain = has(shapes, rf"{conv}\.weight(?:_orig)?") and not has(shapes, rf"{normed}\.weight(?:_orig)?")
    return spectral + ("none" if plain else "instance")


def match_multiscale(
    shapes: Shapes,
    fields: Callable[[int], Mapping[str, Any]],
    defaults: type,
    *,
    n_layers: int | None = None,
    channels: int | None = None,
    ambiguous: tuple[str, ...] = ("label_space", "channels", "edges"),
) -> Match | None:
    """SPADE's `latest_net_D.pth`; None if the file has no such keys.

    fields: from the number of input channels to config fields. n_layers, channels: where a system has but one number.
    """
    if not has(shapes, r"discriminator_\d+\.model\d+\.0(?:\.0)?\.weight(?:_orig)?"):
        return None
    first = r"discriminator_\d+\.model0\.0\.weight"
    inputs = channels or vote(shapes, (first, 1, 1)) or 1
    width = vote(shapes, (first, 0, 1), (r"discriminator_\d+\.model1\.0\.0\.weight(?:_orig)?", 1, 1)) or 64
    layers = n_layers or max(1, len(numbers(shapes, r"discriminator_\d+\.model(\d+)\..*")) - 1)
    scales = len(numbers(shapes, r"discriminator_(\d+)\..*"))
    middle = rf"discriminator_\d+\.model{'[1-9]' if layers > 1 else 'x'}"
    # the output convolution is written as one without a norm
    norm = norm_kind(shapes, rf"{middle}\.0\.0", rf"discriminator_\d+\.model[1-{max(layers - 1, 1)}]\.0")
    return compare(
        "discriminator",
        shapes,
        lambda: MultiscaleDiscriminator(inputs, width, layers, scales, norm),
        lambda keys: official_keys.official_names("discriminator", keys),
        fields(inputs),
        defaults,
        ambiguous,
    )


def match_encoder(shapes: Shapes, defaults: type, also: Mapping[str, Any]) -> Match | None:
    """SPADE's `latest_net_E.pth`; None if the file has no such keys. also: fields that follow from there being an encoder."""
    if not has(shapes, r"layer\d+(?:\.0)?\.weight(?:_orig)?") or not has(shapes, r"fc_(?:mu|var)\.weight"):
        return None
    config = read_encoder(shapes)
    return compare(
        "encoder",
        shapes,
        lambda: ConvEncoder(config["nef"], config["z_dim"], size=config["encoder_size"], norm=config["encoder_norm"]),
        lambda keys: official_keys.official_names("encoder", keys),
        {**also, **config},
        defaults,
    )


def read_encoder(shapes: Shapes) -> dict[str, Any]:
    """Config fields of an encoder of SPADE's kind: nef, z_dim, encoder_norm, and encoder_size as its number of layers tells it."""
    first = r"layer1(?:\.0)?\.weight(?:_orig)?"
    second = r"layer2(?:\.0)?\.weight(?:_orig)?"
    return {
        "nef": vote(shapes, (first, 0, 1), (second, 0, 2), (second, 1, 1)) or 64,
        "z_dim": vote(shapes, (r"fc_(?:mu|var)\.(?:weight|bias)", 0, 1)) or 256,
        "encoder_norm": norm_kind(shapes, r"layer\d+\.0", r"layer\d+"),
        "encoder_size": 4 << max(1, len(numbers(shapes, r"layer(\d+)\..*"))),
    }
