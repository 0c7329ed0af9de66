"""Config of CC-FPSE and its variants. Defaults are the official ADE20K ones (140,704,323 + 10,463,424 parameters)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class CCFPSEConfig(GridSizes):
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
    """Width of the images (`crop_size`); a multiple of 32 ("more": 64). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 64
    """Width of the generator, and of the label pyramid."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    hidden: int = 128
    """Hidden channels of what predicts kernels, attention, scales and shifts (128 is hard-coded officially)."""
    norm: str = "spectralsyncbatch"
    """`norm_G`, of the label pyramid alone: [spectral]{syncbatch,batch,instance,none}."""
    upsampling: Literal["normal", "more"] = "normal"
    """Five or six doublings from the start grid (officially "more" for Cityscapes and "normal" elsewhere, without an option)."""
    use_vae: bool = True
    """Start from a latent drawn or encoded from an image, as the authors' scripts ask for; without it the start is the map, and nothing
    is random."""
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
        if self.upsampling == "most":
            faults.append("upsampling must be normal or more")
        if small := [n for n in ("ngf", "z_dim", "hidden") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if negative := [n for n in ("max_width", "nef") if getattr(self, n) < 0]:
            faults.append(f"must not be negative: {', '.join(negative)}")
        if faults:
            raise ConfigError("CCFPSEConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class CCFPSEOptions(GanOptions):
    """Training options; the defaults of the fields below are the official ones, the others SPADE's."""

    OWN_DISCRIMINATORS: ClassVar[tuple[str, ...]] = ("fpse", "multiscale", "projected")
    discriminator: str = "fpse"
    """`netD`: fpse (official), multiscale (SPADE's), projected (ours; needs `lambda_feat` 0), or one that another plugin registers."""
    batch_size: int = 32
    """Pairs per step (officially per process)."""


CROPPED: dict[str, Any] = {
    "preprocess": "resize_and_crop",
    "load_size": 286,
    "flip": True,
    "niter": 100,
    "niter_decay": 100,
}
STEPS = {"ade20k": 126_312, "coco": 369_646, "cityscapes": 18_593}
"""Epochs of the released models (200, 100, 200) times the training pairs (20,210, 118,287, 2,975) over the batch of 32."""
ADE20K = CCFPSEConfig()
CELEBA_128 = CCFPSEConfig(
    label_space="celebamask-hq", resolution=128, ngf=16, max_width=88, hidden=32, z_dim=128, nef=16, encoder_size=128
)

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(
        ADE20K, CCFPSEOptions(steps=STEPS["ade20k"], **CROPPED), "official ADE20K, 256 px, 151 M parameters"
    ),
    "coco": Variant(
        replace(ADE20K, label_space="coco-stuff", edges=True),
        CCFPSEOptions(steps=STEPS["coco"], lambda_feat=20.0, **CROPPED),
        "official COCO-Stuff, 256 px, 152 M parameters",
    ),
    "cityscapes": Variant(
        replace(
            ADE20K, label_space="cityscapes", edges=True, resolution=512, aspect_ratio=2.0, upsampling="more"
        ),
        CCFPSEOptions(steps=STEPS["cityscapes"], **CROPPED | {"preprocess": "fixed", "load_size": 512}),
        "official Cityscapes, 512 x 256 px, 139 M parameters",
    ),
    "ade20k-plain": Variant(
        replace(ADE20K, use_vae=False),
        CCFPSEOptions(steps=STEPS["ade20k"], **CROPPED),
        "official ADE20K without VAE, 256 px, 125 M parameters, no style",
    ),
    "celeba-128": Variant(
        CELEBA_128,
        CCFPSEOptions(**SMALL_TRAINING, lambda_kld=0.02, kld_mean=True),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
