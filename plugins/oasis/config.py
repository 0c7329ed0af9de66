"""Config of OASIS and its variants. Defaults are the official ADE20K ones (74,314,691 parameters)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

BLOCKS = 6
"""Residual blocks of the generator, and of each half of the discriminator (other numbers crash in the official code)."""


@dataclass(frozen=True)
class OasisConfig(GridSizes):
    """Sizes and switches of the generator. Names of the official options are given where they differ."""

    upsampling: ClassVar[str] = "normal"
    label_space: str = "ade20k"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order with the background first, as all official
    data sets have their unlabelled class. The value 255, where the space allows it, takes the first channel (COCO-Stuff)."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); a multiple of 32, of 64 for the discriminator. Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 64
    """Width of the generator (`channels_G`)."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    norm: str = "spectralspadesyncbatch3x3"
    """[spectral]spade{syncbatch,batch,instance}KxK: `param_free_norm` and `spade_ks` (the official code works with spectral alone)."""
    spade_hidden: int = 128
    """Hidden channels of SPADE (128 is hard-coded officially)."""
    use_noise: bool = True
    """Noise planes beside the map's (not `no_3dnoise`); without them nothing is random, and there is no style."""
    z_dim: int = at_most(4096, 64)
    """Noise planes."""
    noise: Literal["image", "class"] = "image"
    """What shares one vector of noise when a style is drawn without further words, and in training: all pixels of a picture (official),
    or those of a class in it."""

    @property
    def noise_planes(self) -> int:
        """Planes in front of the map's."""
        return self.z_dim if self.use_noise else 0

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.use_noise else frozenset({"style:prior", "style:mean"})

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if small := [n for n in ("ngf", "z_dim", "spade_hidden") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if self.max_width < 0:
            faults.append("must not be negative: max_width")
        if faults:
            raise ConfigError("OasisConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class OasisOptions(GanOptions):
    """Training options; the defaults are the official ADE20K ones."""

    OWN_DISCRIMINATORS: ClassVar[tuple[str, ...]] = ("oasis", "multiscale", "projected")
    discriminator: str = "oasis"
    """oasis (official), or another one of the SPADE family or that a plugin registers."""
    lr: float = 1e-4
    """Learning rate of the generator (`lr_g`; Cityscapes 4e-4)."""
    lr_d: float | None = 4e-4
    """Learning rate of the discriminator."""
    ttur: bool = False
    """Two time-scale rule: off, both rates are said outright."""
    beta1: float | None = 0.0
    """Adam's first beta."""
    beta2: float | None = 0.999
    """Adam's second beta."""
    niter: int = 1_000_000
    """Epochs at the full rate: as good as all, for the rates never decay."""
    lambda_feat: float = 0.0
    """Weight of the feature matching: off, the discriminator of OASIS has no features to match."""
    perceptual: str = "none"
    """Features of the perceptual loss; vgg with `add_vgg_loss`."""
    labelmix_overwrite: bool = True
    """As in the code: the coin of channel 1 also decides for pixels of channel 0 whose coin said real, where channel 1 occurs."""


ADE20K = OasisConfig()
COCO = OasisConfig(label_space="coco-stuff")
CITYSCAPES = OasisConfig(label_space="cityscapes", resolution=512, aspect_ratio=2.0)
CELEBA_128 = OasisConfig(
    label_space="celebamask-hq", resolution=128, ngf=16, max_width=128, spade_hidden=32, z_dim=32,
)  # fmt: skip
SCENES: dict[str, Any] = {
    "flip": True, "ema": 0.9999, "ema_warmup": False, "batch_size": 32, "preprocess": "resize_and_crop", "load_size": 256,
}  # fmt: skip
STEPS = {"ade20k": 126_200, "cityscapes": 29_600, "coco": 369_600}
"""Official epochs (200, 200, 100) times the whole batches of an epoch (20,210, 2,975 and 118,287 pairs)."""
SMALL: dict[str, Any] = {
    **SMALL_TRAINING, "lambda_l1": 0.0, "lambda_perceptual": 0.0, "beta2": 0.999, "lr": 4e-4, "share_fake": False, "diffaugment": False,
    "ndf": 16, "publish": "last", "labelmix_overwrite": False, "clip": 1.0,
}  # fmt: skip
"""Of our small variant: OASIS's own losses, and narrower networks. Gradients are clipped: among the first steps, in which spectral norms
follow the small first weights with delay, trials had single ones with losses a hundred times the others'."""

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(
        ADE20K, OasisOptions(steps=STEPS["ade20k"], **SCENES), "official ADE20K, 256 px, 74 M parameters"
    ),
    "cityscapes": Variant(
        CITYSCAPES,
        OasisOptions(
            steps=STEPS["cityscapes"], **(SCENES | {"batch_size": 20, "ema": 0.999, "preprocess": "fixed"}), lr=4e-4, lambda_labelmix=5.0,
        ),
        "official Cityscapes, 512 x 256 px, 71 M parameters",
    ),
    "coco": Variant(
        COCO, OasisOptions(steps=STEPS["coco"], **SCENES), "official COCO-Stuff, 256 px, 75 M parameters"
    ),
    "celeba-128": Variant(
        CELEBA_128, OasisOptions(**SMALL), "ours: 128 px, 2.0 M parameters, for a CPU"
    ),
}  # fmt: skip
VARIANTS |= {
    f"{name}-no-noise": Variant(
        replace(VARIANTS[name].config, use_noise=False), VARIANTS[name].training, f"{VARIANTS[name].title}, without noise"
    )
    for name in ("ade20k",)
}  # fmt: skip
