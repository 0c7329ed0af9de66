"""Config of unpaired SC-GAN and its variants: our reading of the paper's section 4.4, of which nothing was released (docs/papers/scgan_unpaired.md).

No torch in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.families.spade.sizes import GridSizes
from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most
from zoo_plugins.scgan.config import SCGANConfig


@dataclass(frozen=True)
class UnpairedConfig(GridSizes):
    """Sizes of the generator, which sees a photo in the one-hot map's place, and of the encoder of references. Defaults: SC-GAN's of ADE20K,
    and its VAE's (70,199,014 parameters)."""

    label_space: str = "domains"
    """Vocabulary of the domains."""
    channels: tuple[str, ...] = ()
    """The source and the target, in this order: a model has one direction. Empty: the first two of the label space."""
    resolution: int = at_most(SIDE, 256)
    """Width of the pictures, a multiple of 32 ("more": 64). Photos of another size are resized."""
    aspect_ratio: float = 1.0
    """Width divided by height."""
    ngf: int = 32
    """Width of the semantic render generator."""
    max_width: int = 0
    """Cap on the generator's channels, which are 16 ngf at the coarsest scales; 0: none."""
    nff: int = 32
    """Width of its first features."""
    nrf: int = 32
    """Width of the semantic vector generator."""
    n_conv: int = at_most(256, 3)
    """Candidates of the conditional convolutions."""
    n_norm: int = at_most(256, 4)
    """Candidates of the conditional normalisation."""
    temperature: float = 0.05
    """Factor on the logits before their softmax."""
    svg_spectral: bool = True
    """Spectral norm on the semantic vector generator."""
    norm: str = "spectralsccsyncbatch3x3"
    """Norms of the generator, as SC-GAN's."""
    spade_hidden: int = 128
    """Hidden channels of the shortcuts' SPADE."""
    upsampling: Literal["normal", "more"] = "normal"
    """Five or six doublings from the start grid."""
    z_dim: int = at_most(4096, 256)
    """Numbers in a style."""
    nef: int = 32
    """Width of the encoder's first layer."""
    encoder_norm: str = "spectralinstance"
    """Norm of the encoder."""
    encoder_size: int = at_most(SIDE, 256)
    """Side to which the encoder resizes references, a power of two; it has log2(side) - 2 layers."""

    @property
    def generator(self) -> SCGANConfig:
        """The same sizes as SC-GAN's own config. Raises ConfigError."""
        own = {name: value for name, value in vars(self).items() if name not in ("label_space", "channels")}
        return SCGANConfig(**own, background_last=False, position=False, pyr_pos=False, use_vae=True)

    def domains(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The source and the target. names: of the label space."""
        return self.channels or names[:2]

    def __post_init__(self) -> None:
        if self.channels and (len(self.channels) != 2 or len(set(self.channels)) != 2):
            raise ConfigError(f"UnpairedConfig: channels are a source and a target, got {', '.join(self.channels)}.")
        try:
            _ = self.generator
        except ConfigError as error:
            raise ConfigError(str(error).replace("SCGANConfig", "UnpairedConfig")) from None


@dataclass(frozen=True)
class UnpairedOptions(TrainingOptions):
    """Training options. All weights are our reading; optimizers, rates and the start are SC-GAN's."""

    lr: float = 2e-4
    """Base learning rate: the generator and the encoder take half, the discriminator twice of it (two time-scale rule)."""
    betas: tuple[float, float] = (0.0, 0.999)
    """Adam's betas."""
    niter: int = 100
    """Epochs at the full rate."""
    niter_decay: int = 100
    """Epochs of linear decay to 0 after them."""
    lambda_gan: float = 1.0
    """Weight of the hinge loss, on pictures in the reference's style and on those in drawn styles."""
    lambda_recon: float = 1.0
    """Weight of L_s (SC-GAN's Eq. 10): the semantic vector generator paints the photo that it sees, of both domains."""
    lambda_rec: float = 10.0
    """Weight of the reference in its own style (MUNIT's and DMIT's image reconstruction)."""
    lambda_style: float = 1.0
    """Weight of drawn styles read off the picture again (MUNIT, DMIT)."""
    lambda_content: float = 1.0
    """Weight of the semantic vectors' normalised logits, the picture's against the source's (in the place of their content loss)."""
    perceptual: str = "vgg"
    """Features of the perceptual loss against the source: vgg (timm's pretrained vgg19), none, or a parser: model id or folder."""
    lambda_perceptual: float = 10.0
    """Weight of the perceptual loss."""
    lambda_kl: float = 0.01
    """Weight of the KL divergence of the reference's style, summed over the batch (DMIT)."""
    lambda_cyc: float = 0.0
    """Weight of the way back: the picture in the source's own style against the source (0 in our reading, 10 as an option)."""
    ndf: int = 64
    """Width of the discriminator."""
    n_layers_d: int = 4
    """Its layers before the output convolution."""
    num_d: int = 2
    """Its scales."""
    norm_d: str = "spectralinstance"
    """Its norm."""
    share_fake: bool = False
    """One forward of the generator for both steps (ours, faster); SC-GAN's discriminator sees fresh ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("gan", "recon", "rec", "style", "content", "perceptual", "kl", "cyc")
        faults = [f"lambda_{n} must not be negative" for n in names if getattr(self, f"lambda_{n}") < 0]
        if min(self.ndf, self.num_d) < 1 or self.n_layers_d < 2 or min(self.niter, self.niter_decay) < 0:
            faults.append("ndf and num_d must be at least 1, n_layers_d 2, niter and niter_decay 0 or more")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


PHOTOS_64 = UnpairedConfig(
    resolution=64, ngf=8, max_width=64, nff=8, nrf=4, spade_hidden=16, z_dim=16, nef=8, encoder_size=64
)

VARIANTS: dict[str, Variant] = {
    "yosemite": Variant(
        UnpairedConfig(),
        UnpairedOptions(
            steps=246_200, batch_size=2, flip=True, preprocess="shorter_side_and_crop", resample="lanczos", load_size=286, publish="last"
        ),
        title="our reading of the paper's section 4.4: summer2winter_yosemite, 256 px",
    ),
    "photos-64": Variant(
        PHOTOS_64,
        UnpairedOptions(
            steps=4000, batch_size=4, lr=4e-4, niter=1_000_000, ndf=32, n_layers_d=3, perceptual="none", share_fake=True, flip=True,
            channels_last=True, publish="last",
        ),
        title="our reading, small: 64 px, 1.4 M parameters, for a CPU",
    ),
}  # fmt: skip
