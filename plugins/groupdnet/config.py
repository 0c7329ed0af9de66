"""Config of GroupDNet and its variants. Defaults are the official DeepFashion ones (96,324,451 + 12,835,712 parameters)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class GroupDNetConfig(GridSizes):
    """Sizes and switches of generator and encoder. Names of the official options are given where they differ."""

    label_space: str = "deepfashion-8"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order. The value 255 ("unlabeled"), where the space allows
    it, takes the last channel (the "don't care" class)."""
    network: Literal["deepfashion", "cityscapes", "ade20k"] = "deepfashion"
    """Which of the three generators, each with groups and norms of its own (`netG` and `dataset_mode`). deepfashion: 8 or 16 classes;
    cityscapes: sees edges of instances, ngf a multiple of the classes; ade20k: any number of classes."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); a multiple of 64 ("normal": 32). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 160
    """Width of the generator."""
    encoder_width: int = 256
    """Width of the encoder's first layer, a multiple of the number of classes (hard-coded by data set officially)."""
    code_width: int = at_most(256, 8)
    """Channels of a class's code (8 is hard-coded officially)."""
    hidden: int = 128
    """With network=deepfashion: hidden channels of a norm (128 is hard-coded officially); the other two have some for every class."""
    norm: str = "spectralspadesyncbatch3x3"
    """`norm_G`: [spectral]spade{syncbatch,batch,instance,group}KxK."""
    encoder_norm: str = "spectralinstance"
    """`norm_E`."""
    upsampling: Literal["normal", "more"] = "more"
    """Doublings from the codes' grid, and halvings in the encoder: six, or five (ours, for small pictures; theirs needs six)."""

    @property
    def edges(self) -> bool:
        """Whether the norms see the borders of instances."""
        return self.network == "cityscapes"

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if self.upsampling == "most":
            faults.append("upsampling must be normal or more")
        if self.network not in ("deepfashion", "cityscapes", "ade20k"):
            faults.append(f"network must be one of deepfashion, cityscapes, ade20k, got {self.network!r}")
        if small := [n for n in ("ngf", "encoder_width", "code_width", "hidden") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if faults:
            raise ConfigError("GroupDNetConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class GroupDNetOptions(GanOptions):
    """Training options; the defaults are the official ones, SPADE's but for the schedule."""

    niter: int = 100
    """Epochs at the full rate (officially one more: the decay begins after epoch niter + 1)."""
    niter_decay: int = 100
    """Epochs of linear decay to 0 after them."""


FASHION: dict[str, Any] = {
    "steps": 375_000, "batch_size": 8, "niter": 60, "niter_decay": 40, "preprocess": "resize_and_crop", "load_size": 256, "flip": True,
}  # fmt: skip
FASHION_16: dict[str, Any] = FASHION | {"batch_size": 4, "steps": 750_000}
"""Steps: 100 epochs of about 30,000 training pairs; below 200 of 2,975 and 20,210."""

VARIANTS: dict[str, Variant] = {
    "deepfashion": Variant(
        GroupDNetConfig(), GroupDNetOptions(**FASHION), "official DeepFashion in eight labels, 256 px, 109 M parameters"
    ),
    "deepfashion-16": Variant(
        GroupDNetConfig(label_space="deepfashion"),
        GroupDNetOptions(**FASHION_16),
        "DeepFashion in sixteen labels, 256 px: as CLVAE's authors are likely to have trained it",
    ),
    "cityscapes": Variant(
        GroupDNetConfig(
            label_space="cityscapes", network="cityscapes", resolution=512, aspect_ratio=2.0, ngf=280, encoder_width=350
        ),
        GroupDNetOptions(steps=148_750, batch_size=4, preprocess="fixed", load_size=512, flip=True),
        "official Cityscapes, 512 x 256 px, 82 M parameters",
    ),
    "ade20k": Variant(
        GroupDNetConfig(label_space="ade20k", network="ade20k", ngf=64, encoder_width=604),
        GroupDNetOptions(steps=1_010_500, batch_size=4, preprocess="resize_and_crop", load_size=286, flip=True),
        "official ADE20K, 256 px, 73 M parameters",
    ),
    "celeba-128": Variant(
        GroupDNetConfig(
            label_space="celebamask-hq", network="ade20k", resolution=128, ngf=16, encoder_width=76, upsampling="normal"
        ),
        GroupDNetOptions(**SMALL_TRAINING, lambda_kld=0.02, kld_mean=True),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
