"""Config of INADE and its variants. Defaults are the official ADE20K ones (generator 90,893,827 parameters, encoder 3,689,856)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most


@dataclass(frozen=True)
class InadeConfig(GridSizes):
    """Sizes and switches of generator and encoder. Names of the official options are given where they differ."""

    label_space: str = "ade20k"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order (official: on ADE20K channel 0 is "unknown").
    The value 255 ("unlabeled"), where the space allows it, takes the last channel (the "don't care" class)."""
    instances: int = at_most(256, 1)
    """Codes per class in a style: of the instances of a class, by ascending number, each has its own; more of them share. 1 (all data
    sets but Cityscapes, officially too): an instance is all that a map shows of a class."""
    resolution: int = at_most(SIDE, 256)
    """Width of the images (`crop_size`); a multiple of 32 ("more": 64, "most": 128). Maps of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height (Cityscapes: 2)."""
    ngf: int = 64
    """Width of the generator, and of the encoder's first layer."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none (official). Ours, for small models."""
    norm: str = "spectralspadesyncbatch3x3"
    """`norm_G`: [spectral]spade{syncbatch,batch,instance}KxK; the K of SPADE's convolutions says nothing here (official too)."""
    upsampling: Literal["normal", "more", "most"] = "normal"
    """Five, six or seven doublings from the start grid (`num_upsampling_layers`); most has one more block, of ngf/2 channels."""
    z_dim: int = 256
    """Size of the latent of the whole picture, from which the first features come."""
    noise_dim: int = 64
    """Size of an instance's code, one for the scales and one for the shifts (`noise_nc`)."""
    use_vae: bool = True
    """With the encoder that reads codes off photos. Without it codes are drawn from the prior alone, in training too."""
    sketch: bool = False
    """Every norm also reads a drawing of lines (the authors' later variant): `layout(maps, sketch=…)`."""

    @property
    def edges(self) -> bool:
        """The discriminator sees the borders of instances; the generator does not."""
        return True

    @property
    def lacks(self) -> frozenset[str]:
        """What the architecture can do and a model of this config cannot (see `Architecture.can`)."""
        return frozenset() if self.use_vae else frozenset({"style:photo"})

    def __post_init__(self) -> None:
        faults = self.grid_faults()
        if small := [n for n in ("ngf", "z_dim", "noise_dim", "instances") if getattr(self, n) < 1]:
            faults.append(f"must be at least 1: {', '.join(small)}")
        if self.upsampling == "most" and self.ngf < 2:
            faults.append("ngf must be at least 2 with upsampling=most")
        if self.max_width < 0:
            faults.append("must not be negative: max_width")
        if faults:
            raise ConfigError("InadeConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class InadeOptions(GanOptions):
    """Training options; the defaults are the official ones: SPADE's but for two terms."""

    feature_layers_from: int = 3
    """Feature matching begins with this layer of a discriminator, counted from 0 (official: the last of four); 0: all, as in SPADE."""
    vgg_weights: tuple[float, ...] = (0.0, 0.0, 0.0, 0.25, 1.0)
    """Weights of VGG's five features in the perceptual loss (SPADE: 1/32, 1/16, 1/8, 1/4, 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.feature_layers_from < 0 or len(self.vgg_weights) != 5:
            raise ConfigError(
                "Training options: feature_layers_from must not be negative, and vgg_weights are five numbers"
                f" (got {self.feature_layers_from} and {len(self.vgg_weights)} numbers)."
            )


CROPPED: dict[str, Any] = {"preprocess": "resize_and_crop", "load_size": 286, "flip": True}
FIFTY_EPOCHS = {"ade20k": 1_010_500, "celeba": 1_400_000, "cityscapes": 148_750, "deepfashion": 1_500_000}
"""Steps: 50 times the training pairs (20,210, 28,000, 2,975, about 30,000); the official batch size is 1."""

VARIANTS: dict[str, Variant] = {
    "ade20k": Variant(
        InadeConfig(), InadeOptions(steps=FIFTY_EPOCHS["ade20k"], **CROPPED), "official ADE20K, 256 px, 95 M parameters"
    ),
    "celeba": Variant(
        InadeConfig(label_space="celebamask-hq"),
        InadeOptions(steps=FIFTY_EPOCHS["celeba"], **CROPPED),
        "official CelebAMask-HQ, 256 px, 89 M parameters",
    ),
    "cityscapes": Variant(
        InadeConfig(label_space="cityscapes", instances=32, resolution=512, aspect_ratio=2.0, upsampling="more"),
        InadeOptions(steps=FIFTY_EPOCHS["cityscapes"], preprocess="fixed", flip=True),
        "official Cityscapes, 512 x 256 px, 81 M parameters, a code per object",
    ),
    "deepfashion": Variant(
        InadeConfig(label_space="deepfashion-8", noise_dim=8),
        InadeOptions(steps=FIFTY_EPOCHS["deepfashion"], preprocess="resize_and_crop", load_size=256, flip=True),
        "official DeepFashion in eight labels, 256 px, 88 M parameters",
    ),
    "deepfashion-sketch": Variant(
        InadeConfig(label_space="deepfashion-8", noise_dim=8, sketch=True),
        InadeOptions(steps=FIFTY_EPOCHS["deepfashion"], preprocess="resize_and_crop", load_size=256, flip=True),
        "official DeepFashion with a sketch, 256 px, 107 M parameters; for the authors' weights, not for training",
    ),
    "celeba-128": Variant(
        InadeConfig(label_space="celebamask-hq", resolution=128, ngf=16, max_width=160, z_dim=64, noise_dim=32),
        InadeOptions(**SMALL_TRAINING, lambda_kld=0.02, kld_mean=True, feature_layers_from=0),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
