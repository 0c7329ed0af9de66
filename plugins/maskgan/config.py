"""Config of MaskGAN's dense mapping network and its variants. Defaults are the official ones (89,702,595 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.families.spade.options import SMALL_TRAINING, GanOptions
from zoo.families.spade.sizes import DoubledSizes
from zoo.plugin import SIDE, ConfigError, Variant, at_most

LEAST = 32
"""Pixels that each side of a reference needs: the style encoder halves it five times."""


@dataclass(frozen=True)
class MaskGANConfig(DoubledSizes):
    """Sizes of the network. Names of the official options are given where they differ."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order. Empty: the label space's order. The value 255 ("unlabeled"), where the space
    allows it, takes the last channel (officially it fails)."""
    resolution: int = at_most(SIDE, 512)
    """Width of the images; a multiple of 2**n_downsample_global. Maps and photos of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height."""
    ngf: int = 64
    """Width at the finest scale; each halving doubles it."""
    n_downsample_global: int = at_most(8, 4)
    """Halvings."""
    n_blocks_global: int = at_most(64, 4)
    """Residual blocks; a style modulates two norms in each."""
    style_width: int = 16
    """Width of the first layers of style and label encoder (a literal in the authors' code); four times it after two halvings."""

    @property
    def doublings(self) -> int:
        """Doublings between the coarsest features and the image."""
        return self.n_downsample_global

    @property
    def bottleneck(self) -> int:
        """Channels of the residual blocks."""
        return self.ngf << self.n_downsample_global

    @property
    def style_layers(self) -> tuple[str, ...]:
        """Names of the modulated norms, from the first."""
        return tuple(str(i + 1) for i in range(2 * self.n_blocks_global))

    def __post_init__(self) -> None:
        names = ("ngf", "n_downsample_global", "n_blocks_global", "style_width")
        faults = [f"{n} must be at least 1, got {getattr(self, n)}" for n in names if getattr(self, n) < 1]
        faults = faults or self.grid_faults()
        if not faults and min(self.grid) < 2:
            faults = [f"the coarsest features are {self.grid[1]} x {self.grid[0]}: at least 2 x 2 are needed"]
        if not faults and min(self.size) < LEAST:
            faults = [f"the style encoder needs sides of {LEAST} or more, got {self.size[1]} x {self.size[0]}"]
        if faults:
            raise ConfigError("MaskGANConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class MaskGANOptions(GanOptions):
    """Training options; the defaults are the official ones. Each network's step sees the others' last one."""

    ttur: bool = False
    """All networks have the rate `lr` (officially there is no other way)."""
    lr: float = 5e-5
    """Learning rate."""
    beta1: float | None = 0.5
    """Adam's first beta."""
    niter: int = 100
    """Epochs at the full rate."""
    niter_decay: int = 100
    """Epochs of linear decay to 0 after them."""
    gan_mode: Literal["hinge", "ls", "original", "w"] = "ls"
    """Adversarial objective, summed over the scales. hinge, w and original are not official (with feature matching the authors'
    `no_lsgan` fails)."""
    share_fake: bool = True
    """One generator forward for the discriminator's step and the generator's; anything else is refused."""
    norm_d: str = "instance"
    """Norm of the discriminator."""
    stage: int = 1
    """1: generator and discriminator on the data's own maps. 2: editing behaviour too, from a finished model of stage 1 (`zoo train
    --init`): the pictures of two edited maps, blended, have to be the photo again."""
    mask_vae: str = ""
    """With stage=2: the finished mask generator that edits the maps, id or folder: a maskgan-vae, or another one that reconstructs
    maps (mask-vae)."""
    inter: float = 2.5
    """With stage=2: one map's code goes this part of the way (1 / inter) to another face's."""
    outer: float = 4.0
    """With stage=2: the other's goes this part (1 / outer) away from it."""
    blender_width: int = 32
    """Width of the alpha blender (a literal in the authors' code)."""
    decay_blending: bool = False
    """Let the rate of the blending step decay with the others'. The authors' code forgets it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = [f"{n} must be positive, got {getattr(self, n)}" for n in ("inter", "outer") if getattr(self, n) <= 0]
        if self.stage not in (1, 2):
            faults.append(f"stage is 1 or 2, got {self.stage}")
        if self.stage == 2 and not self.mask_vae:
            faults.append("stage=2 edits the maps with a mask generator: name one (mask_vae=MODEL)")
        if self.stage == 1 and self.mask_vae:
            faults.append("mask_vae goes with stage=2")
        if self.blender_width < 1:
            faults.append(f"blender_width must be at least 1, got {self.blender_width}")
        if not self.share_fake:
            faults.append("share_fake=false: MaskGAN takes both steps on one fake")
        if self.ttur:
            faults.append("ttur: MaskGAN has one rate; set lr_d for another one of the discriminator")
        if self.discriminator not in self.OWN_DISCRIMINATORS or self.prior_half:
            faults.append("MaskGAN trains with the discriminators multiscale and projected, and without prior_half")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


PAIRS = 24_183
"""Training pairs of CelebAMask-HQ; officially a batch is one of them."""

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(
        MaskGANConfig(),
        MaskGANOptions(steps=200 * PAIRS, preprocess="scale_width", load_size=512),
        "official label2face_512p, 512 x 512 px, 90 M parameters",
    ),
    "celeba-128": Variant(
        MaskGANConfig(resolution=128, ngf=24, n_downsample_global=3),
        MaskGANOptions(**SMALL_TRAINING, decay_blending=True, blender_width=8),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
