"""Detection of the authors' checkpoints: SC-GAN's generator, SPADE's encoder and discriminator, FPSE and its relatives."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from zoo.checkpoints.shapes import Shapes, compare, has, numbers, vote
from zoo.families.spade.fpse_keys import is_fpse, match_fpse
from zoo.families.spade.official_keys import BLOCKS
from zoo.families.spade.official_networks import (
    match_encoder,
    match_multiscale,
    read_planes,
    space_fields,
    start_grid,
)
from zoo.families.spade.sizes import DOUBLINGS
from zoo.plugin import Match
from zoo_plugins.scgan.config import ADE20K, COCO, SCGANConfig
from zoo_plugins.scgan.discriminators import RoutedFPSE
from zoo_plugins.scgan.generator import Generator

_SVG = r"pyramid_spaital_routing\.labelDec"
_NO_SHAPE = ("temperature", "weight_type", "position", "pyr_pos", "pyr_rng", "blur_size", "blur_sigma", "blur_iterations",
    "blur_relative", "routing_detach")  # fmt: skip
_SPACE = ("label_space", "channels", "background_last", "edges")
Names = Callable[[str, Collection[str]], Mapping[str, str]]


def detect(shapes: Shapes, names: Names) -> Match | None:
    """The config is read off the shapes. names: (role, our keys) -> official names.

    Not in the files: class names and edge plane (told by the number of planes: 19 CelebAMask-HQ, 151 ADE20K, 183 COCO-Stuff, 35
    Cityscapes), and with them what the official configs of these sets have: factor on the logits, blurred labels;
    the image size, of which a generator with VAE tells the start grid. SPADE has the same encoder and multiscale
    discriminator, CLVAE the latter, CC-FPSE the discriminator of that name.
    """
    if has(shapes, rf"{_SVG}\d+\..*|{BLOCKS}\.(?:conv_[01]\.conv_bases\..*|norm_[01]\.affine_params_groups)"):
        return _match_generator(shapes, names)
    if has(shapes, r"discriminator_\d+\..*"):
        return match_multiscale(shapes, lambda channels: _space(channels - 3), SCGANConfig, ambiguous=_SPACE)
    if is_fpse(shapes):
        return _match_fpse(shapes, names)
    return match_encoder(shapes, SCGANConfig, {})


def _space(planes: int) -> dict[str, Any]:
    """Label space fields that the number of planes tells, or makes likely; 19 are CelebAMask-HQ, which has the defaults."""
    return {} if planes == 19 else {"background_last": False} | space_fields(planes)


def _match_generator(shapes: Shapes, names: Names) -> Match | None:
    planes = vote(shapes, (rf"{_SVG}1\.0\.weight(?:_orig)?", 1, 1)) or read_planes(shapes) or 1
    config = _space(planes)
    if planes != 19:  # as in the official configs of the other data sets
        config |= {"position": False, "pyr_pos": False, "resolution": ADE20K.resolution}
    if config.get("label_space") == "coco-stuff":
        config["temperature"] = COCO.temperature
    config |= _sizes(shapes) | {"norm": _norm(shapes), "use_vae": len(shapes.get("fc.weight", ())) == 2}
    ambiguous = (*_SPACE, "resolution", "aspect_ratio", *_NO_SHAPE)
    if config["use_vae"]:
        fc = shapes["fc.weight"][0]
        height, width = start_grid(fc // (16 * config["nff"]))
        config |= {
            "z_dim": vote(shapes, (r"fc\.weight", 1, 1)) or SCGANConfig.z_dim,
            "aspect_ratio": width / height,
            "resolution": width << DOUBLINGS[config["upsampling"]],
        }
        ambiguous = (*_SPACE, "aspect_ratio", *_NO_SHAPE, "nef", "encoder_norm", "encoder_size")
    elif config.get("label_space") == "cityscapes":
        config |= {"resolution": 512, "aspect_ratio": 2.0}
    return compare(
        "generator",
        shapes,
        lambda: Generator(SCGANConfig(**config), planes),
        lambda keys: names("generator", keys),
        config,
        SCGANConfig,
        ambiguous,
    )


def _sizes(shapes: Shapes) -> dict[str, Any]:
    """Widths and numbers of candidates; each width is read at many layers."""
    default, kernel = SCGANConfig, r"\.conv_bases\.\d+\.weight(?:_orig)?"
    middle = [(rf"G_middle_[01]\.conv_[01]{kernel}", axis, 16) for axis in (0, 1)]
    upper = [(rf"up_{i}\.conv_1{kernel}", 0, 8 >> i) for i in range(4)]
    svg = [(rf"{_SVG}{i + 1}\.\d\.(?:weight|weight_orig|bias)", 0, max(16 >> i, 1)) for i in range(6)]
    shared = r"\.norm_s\.mlp_shared\.0\.(?:weight|bias)"
    return {
        "ngf": vote(shapes, *middle, *upper) or default.ngf,
        "nff": vote(shapes, (rf"head_0\.conv_0{kernel}", 1, 16), (r"head_0\.norm_0\..*running_mean", 0, 16))
        or default.nff,
        "nrf": vote(shapes, *svg) or default.nrf,
        "n_conv": len(numbers(shapes, r"G_middle_0\.conv_0\.conv_bases\.(\d+)\..*")) or default.n_conv,
        "n_norm": vote(shapes, (rf"{BLOCKS}\.norm_[01]\.affine_params_groups", 0, 1)) or default.n_norm,
        "spade_hidden": vote(shapes, (rf"{BLOCKS}{shared}", 0, 1)) or default.spade_hidden,
        "svg_spectral": has(shapes, rf"{_SVG}\d+\.\d\.weight_orig"),
        "upsampling": "more" if has(shapes, rf"{_SVG}7\..*") else "normal",
    }


def _norm(shapes: Shapes) -> str:
    """`norm_G` (docs/papers/scgan.md, "Norm texts"): what modulates norm_0 and norm_1, the kind of norm, SPADE's kernel in the shortcuts."""
    spectral = "spectral" if has(shapes, rf"{BLOCKS}\.conv_[01]\.conv_bases\.\d+\.weight_orig") else ""
    modulation = (
        "scc" if has(shapes, rf"{BLOCKS}\.norm_[01]\.affine_params_groups")
        else "spade" if has(shapes, rf"{BLOCKS}\.norm_[01]\.mlp_shared\..*") else ""
    )  # fmt: skip
    kind = "syncbatch" if has(shapes, rf"{BLOCKS}\.norm_[01s]\.(?:param_free_norm\.)?running_mean") else "instance"
    kernel = vote(shapes, (rf"{BLOCKS}\.norm_[01s]\.mlp_shared\.0\.weight", 3, 1)) or 3
    return f"{spectral}{modulation}{kind}{kernel}x{kernel}"


def _match_fpse(shapes: Shapes, names: Names) -> Match | None:
    """`netD` fpse, fpsem, and those with an encoder of conditional convolutions, whose number of candidates is `n_conv`."""
    n = len(numbers(shapes, r"enc[2-5]\.conv_bases\.(\d+)\..*"))

    def routed(planes: int, width: int) -> nn.Module:
        routing = "selfrouting" if has(shapes, r"r_adjust\d\..*") else "routing"
        return RoutedFPSE(planes, width, n=n, routing=routing)

    return match_fpse(
        shapes,
        lambda keys: names("discriminator", keys),
        lambda planes: _space(planes) | ({"n_conv": n} if n else {}),
        SCGANConfig,
        build=routed if n else None,
        kernels=r"(?:0\.0|0|conv_bases\.\d+)\.weight(?:_orig)?",
        constants={"blur.weight": (1, 1, 3, 3)} if "blur.weight" in shapes else None,
        ambiguous=(*_SPACE, "temperature") if n else _SPACE,
    )
