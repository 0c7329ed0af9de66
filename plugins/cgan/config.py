"""Config of cgan and its named variants. No torch in here.

The paper says of this baseline: "We implement a conditional GAN which takes a label-set as input and generates the corresponding
images. This method has to handle the class-dependency, compatibility between shapes, and the image quality at the same time." It
was never released, so everything below is our reading: the self-attention GAN of its time (Zhang et al., ICML 2019, at 128 px) with
its class embedding replaced by one of label sets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most


@dataclass(frozen=True)
class CGANConfig:
    """Sizes and switches of the generator (36,855,300 parameters as it stands). All of it is our reading; the defaults are SAGAN's
    where it has the field."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Classes of which the network is told whether they are present, in the order of its inputs. Empty: all classes of the label
    space but the background, which every picture has."""
    side: int = at_most(SIDE, 128)
    """Height and width of the pictures, 4 * 2**k with k >= 1. The paper's maps have 128 px, and so has SAGAN."""
    width: int = 64
    """Channels of the last and widest block (`ch`); each block before has twice as many, up to 16 times."""
    z_dim: int = 128
    """Numbers in the latent."""
    embed_dim: int = 128
    """Numbers in the embedding of a label set: the sum of one learned vector per class that is present."""
    attention: int = at_most(SIDE, 32)
    """Side of the feature maps after which self-attention follows; 0: none. A side that no block has: none."""
    spectral: bool = True
    """Spectral norm in the generator, as SAGAN has it (the discriminator always has it)."""

    def __post_init__(self) -> None:
        faults = []
        if self.side < 8 or self.side & (self.side - 1):
            faults.append(f"side must be a power of 2 of at least 8, got {self.side}")
        small = [n for n in ("width", "z_dim", "embed_dim") if getattr(self, n) < 1]
        if small:
            faults.append(f"{', '.join(small)} must be at least 1")
        if self.attention < 0:
            faults.append(f"attention must be 0 or the side of a feature map, got {self.attention}")
        if len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct class names")
        if faults:
            raise ConfigError("cgan config: " + "; ".join(faults) + ".")

    @property
    def blocks(self) -> int:
        """Doublings between the 4 x 4 start and the picture."""
        return (self.side // 4).bit_length() - 1


@dataclass(frozen=True)
class CGANTraining(TrainingOptions):
    """Training options. The paper says nothing; losses, optimizers and rates are SAGAN's, batch and length ours."""

    lr_g: float = 1e-4
    """Adam rate of the generator."""
    lr_d: float = 4e-4
    """Adam rate of the discriminator."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam betas."""
    gan_mode: Literal["hinge", "ls", "original", "w"] = "hinge"
    """Adversarial objective."""
    ndf: int = 64
    """Channels of the discriminator's first block."""
    attention_d: int = 32
    """Side of the feature maps after which the discriminator has self-attention; 0: none."""
    publish: Literal["best", "last"] = "last"
    """Which weights the finished model holds. `last`: the score on held-out pictures is coarse (see the trainer)."""


_TRAINING = CGANTraining(steps=100_000, batch_size=64, ema=0.999)

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(CGANConfig(), _TRAINING, title="CelebAMask-HQ, 128 px"),
    "humanparsing": Variant(CGANConfig(label_space="atr"), _TRAINING, title="HumanParsing (ATR), 128 px"),
}
