"""Config of MaskGAN's MaskVAE and its variants. The defaults are the authors' (170,619,571 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.plugin import ConfigError, TrainingOptions, Variant, at_most

GRID = 4
"""Side of the coarsest features."""


@dataclass(frozen=True)
class MaskVAEConfig:
    """Sizes of the network. The authors fix all of them: VAE(19, 32, 32, 1024) at 512 x 512 px."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks."""
    channels: tuple[str, ...] = ()
    """Class names in the network's channel order, with the background. Empty: the label space's order. The value 255
    ("unlabeled"), where the space allows it, takes the last channel."""
    ngf: int = 32
    """Width of the decoder at the finest scale."""
    ndf: int = 32
    """Width of the encoder's first layer; each halving doubles it."""
    latent: int = 1024
    """Numbers in a map's code."""
    halvings: int = at_most(10, 7)
    """Halvings of the encoder and doublings of the decoder: maps have sides of 4 * 2**halvings pixels (officially 512)."""

    @property
    def side(self) -> int:
        """Side of the maps that go in and come out."""
        return GRID << self.halvings

    def __post_init__(self) -> None:
        names = ("ngf", "ndf", "latent", "halvings")
        if faults := [f"{n} must be at least 1, got {getattr(self, n)}" for n in names if getattr(self, n) < 1]:
            raise ConfigError("MaskVAEConfig: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class MaskVAETraining(TrainingOptions):
    """Training options. The authors released no training of this network: what is not the paper's weight of the KL term is ours."""

    kl: float = 1e-5
    """Weight of the KL divergence, summed over the code, beside the cross entropy, a mean over pixels."""
    lr: float = 2e-4
    """Adam's rate."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's betas."""
    decay_last: float = 0.5
    """The rate falls to 0 over this share of the steps at the end."""

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = [] if self.kl >= 0 else [f"kl must not be negative, got {self.kl}"]
        if not 0 <= self.decay_last <= 1:
            faults.append(f"decay_last lies in 0 to 1, got {self.decay_last}")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


VARIANTS: dict[str, Variant] = {
    "celeba": Variant(
        MaskVAEConfig(),
        MaskVAETraining(batch_size=16, steps=150_000, flip=True),
        "the authors' sizes, 512 x 512 px, 171 M parameters; the training is ours",
    ),
    "celeba-128": Variant(
        MaskVAEConfig(ngf=24, ndf=24, latent=256, halvings=5),
        MaskVAETraining(
            steps=20_000, batch_size=16, precision="auto", dtype="float16", channels_last=True, flip=True, zoom=0.2, ema=0.999,
            lr=5e-4,
        ),
        "ours: 128 px, for a CPU",
    ),
}  # fmt: skip
