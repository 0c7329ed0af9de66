"""Training options that SPADE and its descendants share, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from zoo.interfaces.training_options import TrainingOptions


@dataclass(frozen=True)
class GanOptions(TrainingOptions):
    """The two-step iteration of SPADE: its losses, its optimizers, its multiscale discriminator. Defaults are SPADE's."""

    lr: float = 2e-4
    """Base learning rate; with `ttur` the generator takes half, the discriminator twice of it."""
    ttur: bool = True
    """Two time-scale rule (not `no_TTUR`)."""
    beta1: float | None = None
    """Adam's first beta; none: 0 with `ttur`, 0.5 without (official)."""
    beta2: float | None = None
    """Adam's second beta; none: 0.9 with `ttur`, 0.999 without (official)."""
    niter: int = 50
    """Epochs at the full rate (officially one more: the decay begins after epoch niter + 1)."""
    niter_decay: int = 0
    """Epochs of linear decay to 0 after them."""
    decay_last: float = 0.0
    """If > 0, decay linearly to 0 over this share of `steps` at the end, instead of by epochs."""
    gan_mode: Literal["hinge", "ls", "original", "w"] = "hinge"
    """Adversarial objective."""
    lambda_feat: float = 10.0
    """Weight of the feature matching, 0: off (`no_ganFeat_loss`)."""
    lambda_kld: float = 0.05
    """Weight of the KL divergence, summed over the batch (official)."""
    kld_mean: bool = False
    """Average the KL divergence over the batch instead."""
    perceptual: str = "vgg"
    """Features of the perceptual loss: vgg (timm's pretrained vgg19), none, or a parser: model id or folder."""
    lambda_perceptual: float = 10.0
    """Weight of the perceptual loss (`lambda_vgg`)."""
    lambda_l1: float = 0.0
    """Weight of L1 between image and photo (ours; officially there is none)."""
    share_fake: bool = False
    """One generator forward for both steps (ours, faster). Officially the discriminator sees a fresh fake."""
    diffaugment: bool = False
    """Colour, shift and cutout on what the discriminator sees (DiffAugment, 2020), against overfitting (ours)."""
    ndf: int = 64
    """Width of the discriminator."""
    n_layers_d: int = 4
    """Layers of a multiscale discriminator before the output convolution."""
    num_d: int = 2
    """Scales of a multiscale discriminator."""
    norm_d: str = "spectralinstance"
    """Norm of the discriminator."""

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's betas as they are used."""
        beta1, beta2 = (0.0, 0.9) if self.ttur else (0.5, 0.999)
        return beta1 if self.beta1 is None else self.beta1, beta2 if self.beta2 is None else self.beta2


SMALL_TRAINING: dict[str, Any] = {
    "steps": 8000, "batch_size": 8, "precision": "bf16", "channels_last": True, "ema": 0.999, "dtype": "float16",
    "flip": True, "zoom": 0.15, "lr": 4e-4, "ttur": False, "beta1": 0.0, "beta2": 0.99, "decay_last": 0.4,
    "lambda_l1": 10.0, "lambda_perceptual": 2.0, "share_fake": True, "diffaugment": True, "ndf": 32,
}  # fmt: skip
"""Options with which our own small variants (128 px) learn on a CPU in a night (ours, in no paper)."""
