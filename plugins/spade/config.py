"""Config of SPADE and its variants. Defaults are the official ADE20K ones (96,492,483 parameters)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from zoo.errors import shown
from zoo.families.spade.options import MATCHED, PROJECTED, SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class SpadeConfig(GridSizes):
    """Sizes and switches of generator and encoder. Names of the official options are given where they differ."""

    label_space: str = "ade20k"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order (official: on ADE20K channel 0 is "unknown").
    The value 255 ("unlabeled"), where the space allows it, takes the last channel (the "don't care" class)."""
    edges: bool = False
    """Append the instance edge map as one more input plane (not `no_instance`). A map without instance numbers gives the
    borders of its labels, and its layout says so."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); a multiple of 32 ("more": 64, "most": 128). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 64
    """Width of the generator."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    norm: str = "spectralspadesyncbatch3x3"
    """`norm_G`: [spectral]spade{syncbatch,batch,instance}KxK."""
    spade_hidden: int = 128
    """Hidden channels of SPADE (128 is hard-coded officially)."""
    upsampling: Literal["normal", "more", "most", "finer"] = "normal"
    """Five, six or seven doublings from the start grid (`num_upsampling_layers`); most has one more block, of ngf/2 channels. finer (ours): the
    network of normal with one more doubling and block, of ngf channels, so that weights of half the side grow (`GanOptions.train_only`)."""
    use_vae: bool = False
    """Start from a latent drawn or encoded from an image; without it the start is the map, and nothing is random."""
    z_dim: int = 256
    """Size of the latent (the official code works with 256 only)."""
    nef: int = 0
    """Width of the encoder's first layer; 0: ngf (official)."""
    encoder_norm: str = "spectralinstance"
    """`norm_E`."""
    encoder_size: int = at_most(SIDE, 256)
    """Side to which the encoder resizes images; it has log2(side) - 2 layers, so six at 256. The official encoder fails at
    crops under 256 px; that it resizes and keeps its six layers there is our reading."""

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.use_vae else frozenset({"style:prior", "style:mean", "style:photo"})

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if small := [n for n in ("ngf", "z_dim", "spade_hidden") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if self.upsampling == "most" and self.ngf < 2:
            faults.append("ngf must be at least 2 with upsampling=most")
        if negative := [n for n in ("max_width", "nef") if getattr(self, n) < 0]:
            faults.append(f"must not be negative: {', '.join(negative)}")
        if faults:
            raise ConfigError("SpadeConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class SpadeOptions(GanOptions):
    """Training options; the defaults are the official ones (50 epochs at the full rate, TTUR)."""


ADE20K = SpadeConfig()
COCO = SpadeConfig(label_space="coco-stuff", edges=True)
CITYSCAPES = SpadeConfig(label_space="cityscapes", edges=True, resolution=512, aspect_ratio=2.0, upsampling="more")
FACADES = SpadeConfig(label_space="facades")
CELEBA = SpadeConfig(label_space="celebamask-hq")
CELEBA_128 = SpadeConfig(
    label_space="celebamask-hq", resolution=128, ngf=16, max_width=160, spade_hidden=32, use_vae=True, z_dim=128, nef=16,
    encoder_size=128,
)  # fmt: skip
CROPPED: dict[str, Any] = {"preprocess": "resize_and_crop", "load_size": 286, "flip": True}
FIFTY_EPOCHS = {"ade20k": 1_010_500, "coco": 5_914_350, "cityscapes": 9_300, "facades": 20_000, "celeba": 1_400_000}
"""Steps: 50 times the training pairs (20,210, 118,287, 2,975, 400, 28,000) over the official batch size."""

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(
        ADE20K, SpadeOptions(steps=FIFTY_EPOCHS["ade20k"], **CROPPED), "official ADE20K, 256 px, 96 M parameters, no style"
    ),
    "coco": Variant(
        COCO, SpadeOptions(steps=FIFTY_EPOCHS["coco"], **CROPPED), "official COCO-Stuff, 256 px, 97 M parameters, no style"
    ),
    "cityscapes": Variant(
        CITYSCAPES,
        SpadeOptions(steps=FIFTY_EPOCHS["cityscapes"], batch_size=16, preprocess="fixed", flip=True),
        "official Cityscapes, 512 x 256 px, 93 M parameters, no style",
    ),
    "facades": Variant(
        FACADES, SpadeOptions(steps=FIFTY_EPOCHS["facades"], **CROPPED), "official facades, 256 px, 92 M parameters, no style"
    ),
    "celeba": Variant(
        CELEBA, SpadeOptions(steps=FIFTY_EPOCHS["celeba"], **CROPPED), "CelebAMask-HQ with the official sizes, 256 px, no style"
    ),
    "celeba-128": Variant(
        CELEBA_128,
        SpadeOptions(
            **SMALL_TRAINING, lambda_kld=0.02, kld_mean=True, n_layers_d=3
        ),
        "ours: 128 px with VAE, 4.2 M parameters, for a CPU",
    ),
}  # fmt: skip
VARIANTS["celeba-128-projected"] = Variant(
    CELEBA_128,
    replace(VARIANTS["celeba-128"].training, **PROJECTED),
    "ours: celeba-128 trained on against a projected discriminator (starting from a finished one)",
)
VARIANTS["celeba-128-matched"] = Variant(
    CELEBA_128,
    replace(VARIANTS["celeba-128"].training, **MATCHED),
    "ours: celeba-128-projected trained on, its pictures matched to the photos as a distribution",
)
VARIANTS["celeba-256-projected"] = Variant(
    replace(CELEBA_128, resolution=256, upsampling="more"),
    replace(VARIANTS["celeba-128-projected"].training, features="lite0-wide", pixel_width=32, batch_size=4),
    "ours: the networks of celeba-128-projected with one doubling more, 256 px, grown from its weights",
)
VARIANTS |= {
    f"{name}-vae": Variant(
        replace(VARIANTS[name].config, use_vae=True), VARIANTS[name].training, VARIANTS[name].title.replace("no style", "with VAE")
    )
    for name in ("ade20k", "coco", "cityscapes", "facades", "celeba")
}  # fmt: skip


@dataclass(frozen=True)
class FinerConfig(SpadeConfig):
    """A SPADE that has grown by one block (ours): `upsampling` is finer."""

    upsampling: Literal["normal", "more", "most", "finer"] = "finer"
    base: str = ""
    """Id of the published model of half the side behind which the block was put: the file of weights holds what differs from it. "": all of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,99}", self.base):
            raise ConfigError(f"FinerConfig: base must be the id of a published model, got {shown(repr(self.base))}.")


FINER_VARIANTS: dict[str, Variant] = {
    "celeba-256": Variant(
        FinerConfig(**{**vars(CELEBA_128), "resolution": 256, "upsampling": "finer", "base": "spade-celeba"}),
        replace(
            VARIANTS["celeba-128-matched"].training, batch_size=4, features_side=0, lr=4e-4, lr_d=4e-4,
            train_only="generator.up_4, generator.conv_img",
        ),
        "ours: a finished celeba-128 with one more block behind it, which alone is trained, 256 px",
    )
}  # fmt: skip
