"""Config of DMIT and its variants. Defaults are the authors' for season transfer (14,503,315 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

NormKind = Literal["cbin", "cbbn"]
Upsampling = Literal["transpose", "nearest", "pixelshuffle"]
GanMode = Literal["hinge", "ls", "original"]


@dataclass(frozen=True)
class DMITConfig:
    """Sizes and switches of both encoders and the decoder, which all domains share. Names of the official options are given where they
    differ."""

    label_space: str = "domains"
    """Vocabulary of the domains."""
    channels: tuple[str, ...] = ()
    """Domains in the order of the attributes (the authors': the sorted folders). Empty: all of the label space; of `domains`, which has
    letters for any number of them, A and B."""
    sentence: int = at_most(4096, 0)
    """Numbers of a sentence that stands in the domain's place, and then there is one domain; 0: a one-hot vector of the domains says which is
    meant. The authors' second task, birds by their descriptions, has 256 (`zoo_plugins.dmit.text`)."""
    resolution: int = at_most(SIDE, 256)
    """Shorter side of the pictures that the model works with (`fine_size`); a multiple of 2 to the number of halvings."""
    width: int = 64
    """Channels of the encoders' first layers (`nef`)."""
    style_dim: int = at_most(4096, 8)
    """Numbers in a style (`n_style`)."""
    halvings: int = at_most(8, 2)
    """Halvings of the side between picture and content (`n_ds_blocks`)."""
    content_blocks: int = at_most(64, 4)
    """Residual blocks of the content encoder (`n_content_resblocks`)."""
    style_blocks: int = at_most(12, 4)
    """Halvings of the style encoder before its mean over the picture (`n_style_blocks`)."""
    decoder_blocks: int = at_most(64, 6)
    """Residual blocks of the decoder (`n_dec_resblocks`)."""
    norm: NormKind = "cbin"
    """cbin: instance norms (official). cbbn: batch norms (`norm_type`; the authors' code cannot load its own files of it)."""
    upsampling: Upsampling = "transpose"
    """How the decoder doubles the side (`up_type`)."""
    dropout: bool = True
    """Dropout in the decoder's residual blocks while training (`use_dropout`; on for season transfer, off by default)."""

    def domains(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """The domains in order. names: of the label space."""
        if self.channels:
            return self.channels
        return names[: 1 if self.sentence else 2] if self.label_space == "domains" else names

    def __post_init__(self) -> None:
        faults = []
        step = 2**self.halvings
        if self.halvings < 1:
            faults.append(f"halvings must be at least 1, got {self.halvings}")
        elif self.resolution < step or self.resolution % step:
            faults.append(f"resolution must be a multiple of {step}, got {self.resolution}")
        small = [n for n in ("width", "style_dim", "style_blocks") if getattr(self, n) < 1]
        small += [n for n in ("content_blocks", "decoder_blocks") if getattr(self, n) < 0]
        if small:
            faults.append(f"too small: {', '.join(small)}")
        if self.sentence < 0:
            faults.append(f"sentence must be 0 or the numbers of one, got {self.sentence}")
        if len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct domains")
        if faults:
            raise ConfigError("DMITConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class DMITOptions(TrainingOptions):
    """Training options; the defaults are the authors' for season transfer."""

    lr: float = 1e-4
    """Adam's rate of every network."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    niter: int = 100
    """Epochs at the full rate."""
    niter_decay: int = 100
    """Epochs over which the rate falls in a line after them (the last one still has 1 / (niter_decay + 1) of it)."""
    ndf: int = 64
    """Channels of the picture discriminator's first layer."""
    content_disblocks: int = 5
    """Halvings of the content discriminator (`n_content_disblocks`)."""
    image_disblocks: int = 3
    """Halvings of the picture discriminators (`n_image_disblocks`; birds 4)."""
    same_discriminator: bool = False
    """One discriminator for pictures of drawn and of encoded styles (`use_same_dis`), which then takes two steps."""
    content_gan_mode: GanMode = "ls"
    """Adversarial objective of contents (`lsgan`, `dcgan` is original)."""
    image_gan_mode: GanMode = "hinge"
    """Adversarial objective of pictures."""
    rec_mode: Literal["l1", "mse"] = "l1"
    """Distance of reconstructions."""
    lambda_rec: float = 10.0
    """Weight of the reconstruction in the own style."""
    lambda_cyc: float = 10.0
    """Weight of the way to the other domain and back; 0: off."""
    lambda_kl: float = 0.01
    """Weight of the KL divergence, summed over the batch."""
    lambda_style: float = 1.0
    """Weight of drawn styles read off the picture again."""
    lambda_content: float = 1.0
    """Weight of contents read off the picture again."""
    lambda_div: float = 0.05
    """Weight of the diversity of two drawn styles (in the authors' code, not in the paper); 0: off."""

    def rate(self, epoch: int) -> float:
        """The learning rate in an epoch, counted from 1."""
        return self.lr * (1 - max(0, epoch - self.niter) / (self.niter_decay + 1))

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = [f"{n} must be at least 2" for n in ("content_disblocks", "image_disblocks") if getattr(self, n) < 2]
        weights = ("rec", "cyc", "kl", "style", "content", "div")
        if negative := [f"lambda_{n}" for n in weights if getattr(self, f"lambda_{n}") < 0]:
            faults.append(f"must not be negative: {', '.join(negative)}")
        if self.ndf < 1 or self.niter < 0 or self.niter_decay < 0:
            faults.append("ndf must be at least 1, niter and niter_decay 0 or more")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


PHOTOS_64 = DMITConfig(resolution=64, width=16, decoder_blocks=4, content_blocks=2)
YOSEMITE_TRAINING = DMITOptions(
    steps=246_200,
    batch_size=2,
    flip=True,
    preprocess="shorter_side_and_crop",
    resample="lanczos",
    load_size=286,
    publish="last",
)
"""200 epochs of the longer domain of summer2winter_yosemite, 1,231 photos."""

VARIANTS: dict[str, Variant] = {
    "yosemite": Variant(
        DMITConfig(), YOSEMITE_TRAINING, title="official season transfer, summer2winter_yosemite, 256 px"
    ),
    "birds": Variant(
        DMITConfig(sentence=256, resolution=128, dropout=False),
        DMITOptions(
            steps=221_200,
            batch_size=8,
            flip=True,
            preprocess="resize_and_crop",
            load_size=143,
            image_disblocks=4,
            publish="last",
        ),
        title="official text to birds, CUB, 128 px: for the authors' weights, the zoo's data sets have no captions",
    ),
    "photos-64": Variant(
        PHOTOS_64,
        DMITOptions(
            steps=4000,
            batch_size=4,
            niter=1_000_000,
            lr=2e-4,
            ndf=16,
            content_disblocks=2,
            flip=True,
            channels_last=True,
            publish="last",
        ),
        title="ours: 64 px, 0.62 M parameters, for a CPU",
    ),
}
