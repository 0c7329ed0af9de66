"""What the configs of CRN and cIMLE share: sizes of the cascade, and how it is trained. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.configs import SIDE, at_most
from zoo.errors import ConfigError
from zoo.families.spade.sizes import DoubledSizes
from zoo.interfaces.training_options import TrainingOptions


@dataclass(frozen=True)
class CascadeConfig(DoubledSizes):
    """Sizes of the cascade. Defaults are the official ones of 512 x 256 px."""

    label_space: str = "gta5"
    """Vocabulary that the public side speaks. gta5: the 19 training classes of Cityscapes, and void as the last."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order; empty: the label space's. The value 255, where the space allows it, takes the last."""
    resolution: int = at_most(SIDE, 512)
    """Width of the images, a multiple of 2**(modules - 1)."""
    aspect_ratio: float = 2.0
    """Width divided by height (the authors' networks allow 2 only)."""
    widths: tuple[int, ...] = (1024, 1024, 1024, 1024, 1024, 512, 512)
    """Channels of each refinement module, the coarsest first; each works at twice the size of the one before."""

    @property
    def doublings(self) -> int:
        """Doublings between the first module and the image."""
        return len(self.widths) - 1

    def cascade_faults(self) -> list[str]:
        """What is wrong with the fields, in words for a ConfigError."""
        if not 1 <= len(self.widths) <= 12 or min(self.widths) < 1:
            return [f"widths needs 1 to 12 positive numbers, got {list(self.widths)}"]
        return self.grid_faults()


@dataclass(frozen=True)
class CascadeOptions(TrainingOptions):
    """Training options that both share. The defaults are the official ones."""

    lr: float = 1e-4
    """Adam's rate, constant; its betas are 0.9 and 0.999."""
    perceptual: str = "vgg"
    """Features that the loss compares beside the picture: vgg (timm's vgg19 with average pooling and its own normalisation; ours),
    a file *.safetensors with the converted Caffe weights that the authors used (`conv1_1.weight` …), none, or a parser: id or folder."""
    divisors: tuple[float, ...] = (1.0, 1.6, 2.3, 1.8, 2.8, 0.08)
    """What each level's term is divided by: the picture, then conv1_2, conv2_2, conv3_2, conv4_2, conv5_2 (calibrated by the authors for
    their weights). One number per level of the features: with perceptual=none the first alone is used."""
    load_pretrain: str = ""
    """A finished model (id or folder) whose tensors are taken over where name and shape fit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.divisors or min(self.divisors) <= 0:
            raise ConfigError(f"Training options: divisors must be positive numbers, got {list(self.divisors)}.")
