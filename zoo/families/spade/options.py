"""Training options that SPADE and its descendants share, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from zoo.errors import ConfigError
from zoo.interfaces.training_options import TrainingOptions

FEWEST = 16
"""Pictures from which a bank of `lambda_mmd` stands for a distribution."""


@dataclass(frozen=True)
class GanOptions(TrainingOptions):
    """The two-step iteration of SPADE: its losses, its optimizers, its multiscale discriminator. Defaults are SPADE's."""

    OWN_DISCRIMINATORS: ClassVar[tuple[str, ...]] = ("multiscale", "projected")
    """Words of `discriminator` that the system's own trainer knows; any other one is a name in the table `networks`."""

    lr: float = 2e-4
    """Base learning rate; with `ttur` the generator takes half, the discriminator twice of it."""
    lr_d: float | None = None
    """Learning rate of the discriminator; none: from `lr` and `ttur` (official)."""
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
    cutout: bool = True
    """With `diffaugment`: the hole of half the side too."""
    discriminator: str = "multiscale"
    """multiscale (official), projected: small heads on frozen features of the network `features` (ours; needs `lambda_feat` 0), or a
    discriminator that a plugin registers (oasis, scgan.fpse, …), with its own losses where it has any (`zoo.families.spade.joining`)."""
    pixel_width: int = 0
    """With `discriminator=projected`: width of a patch discriminator on the pixels themselves beside it, 0: none (ours). The features
    hardly see patterns of one or two pixels."""
    features: str = "lite0"
    """Pretrained network behind `discriminator=projected` and `lambda_features`: lite0 (EfficientNet-Lite0 at strides 4 to 32, extra
    `train`), lite0-fine (the same at strides 2 to 16: it sees finer patterns), lite0-wide (strides 2 to 32), or one that a plugin
    registers."""
    features_side: int = 0
    """Side in pixels to which pictures are scaled for that network (bilinear), 0: as they are (ours). It knows photos of 224 pixels; smaller
    pictures that are scaled up show it finer patterns, at the cost of more pixels."""
    lambda_features: float = 0.0
    """Weight of the distance to the photo in these features (ours), 0: off."""
    lambda_mmd: float = 0.0
    """Weight of the squared maximum mean discrepancy between made pictures and all training photos (ours, `zoo.nn.matching`), in the moments of
    these features, the spectrum and the colours, 0: off. With `prior_half` each half of the batch is matched by itself."""
    mmd_features: str = ""
    """With `lambda_mmd`: further pretrained networks that compare too (names as of `features`, separated by commas, such as lite1,lite2): what
    one network takes for a photo, another may not."""
    mmd_regions: int = 0
    """With `lambda_mmd`: so many of the classes with the most pixels, and all the others together, are compared by themselves too."""
    mmd_bank: int = 96
    """With `lambda_mmd`: how many of the pictures made lately stand for the model's distribution. Of many the oldest are what the model no
    longer makes, and it swings about its aim, the less the smaller the rate (`decay_last=1` lets it fall from the first step)."""
    mmd_photos: int = 2000
    """With `lambda_mmd`: at most so many training photos, evenly spread over the data set."""
    prior_half: bool = False
    """The second half of a batch in styles of the prior: there are only its adversarial losses (ours). Needs a model that can draw
    styles."""
    prior_every: int = 500
    """With `prior_half`: steps between fits of the prior to the encoder's codes of the training photos."""
    statistics_maps: int = 0
    """Batch norms' statistics of the published weights anew over so many training maps, half in their photos' styles and half in
    the prior's (ours), 0: off. Without it rare styles may give skin in colours that no skin has."""
    fixed_norms: bool = False
    """Normalise by the running statistics that the model starts with (`--init`), and leave them as they are (ours): the adversary
    then sees the very pictures that the finished model makes. With statistics of each batch, styles far from the batch's others are drawn
    in by their company in training, and too bright or too hard in the finished model."""
    train_only: str = ""
    """Beginnings of names of the model's parameters, separated by commas: these alone are trained (ours), "": all. Those of a model that grew by a
    block (`upsampling=finer`) may be missing from the weights that it starts from."""
    ndf: int = 64
    """Width of the discriminator."""
    n_layers_d: int = 4
    """Layers of a multiscale discriminator before the output convolution."""
    num_d: int = 2
    """Scales of a multiscale discriminator."""
    norm_d: str = "spectralinstance"
    """Norm of the discriminator."""
    lambda_labelmix: float = 10.0
    """With `discriminator=oasis`: weight of LabelMix, 0: off."""
    labelmix_overwrite: bool = False
    """A coin of its own decides for every class which side LabelMix takes; true: the coin of channel 1 also decides for the pixels
    of channel 0 whose coin said real, where channel 1 occurs (what OASIS's code does)."""
    balance: bool = True
    """With `discriminator=oasis`: weigh the classes by how rare their pixels are in the batch (not `no_balancing_inloss`)."""
    unlabeled: str = "auto"
    """With `discriminator=oasis` and `balance`: the class that stands for pixels without a label and is left out of the loss on
    photos; auto: the background where it is called unlabeled, unknown or void (as in the scenes' label spaces); none: there is none."""

    @property
    def betas(self) -> tuple[float, float]:
        """Adam's betas as they are used."""
        beta1, beta2 = (0.0, 0.9) if self.ttur else (0.5, 0.999)
        return beta1 if self.beta1 is None else self.beta1, beta2 if self.beta2 is None else self.beta2

    @property
    def trained_parts(self) -> tuple[str, ...]:
        """The beginnings of names in `train_only`; empty: everything is trained."""
        return _listed(self.train_only)

    @property
    def mmd_networks(self) -> tuple[str, ...]:
        """Names of the further networks of `lambda_mmd`."""
        return _listed(self.mmd_features) if self.lambda_mmd else ()

    @property
    def uses_features(self) -> bool:
        """Whether a pretrained feature network is needed."""
        return self.discriminator == "projected" or self.lambda_features > 0 or self.lambda_mmd > 0

    def __post_init__(self) -> None:
        super().__post_init__()
        faults = []
        if self.lambda_labelmix < 0:
            faults.append(f"lambda_labelmix must not be negative, got {self.lambda_labelmix}")
        if self.discriminator == "projected" and self.lambda_feat:
            faults.append(
                "discriminator=projected has no layers for feature matching: set lambda_feat=0 (and lambda_features)"
            )
        if self.pixel_width < 0 or (self.pixel_width and self.discriminator != "projected"):
            faults.append(
                "pixel_width must not be negative, and goes with discriminator=projected alone"
                f" (got {self.pixel_width} with {self.discriminator})"
            )
        if self.features_side and not 32 <= self.features_side <= 1024:
            faults.append(f"features_side must be 0 or 32 to 1024 pixels, got {self.features_side}")
        if min(self.lambda_mmd, self.mmd_regions) < 0 or self.mmd_bank < FEWEST or self.mmd_photos < 2:
            faults.append(
                f"lambda_mmd and mmd_regions must not be negative, mmd_bank at least {FEWEST}, mmd_photos at least 2 (got {self.lambda_mmd},"
                f" {self.mmd_regions}, {self.mmd_bank}, {self.mmd_photos})"
            )
        if self.prior_half and self.batch_size < 2:
            faults.append(f"prior_half needs batch_size 2 or more, got {self.batch_size}")
        if min(self.prior_every, 1 + self.statistics_maps) < 1:
            faults.append("prior_every must be at least 1, statistics_maps 0 or more")
        if faults:
            raise ConfigError("Training options: " + "; ".join(faults) + ".")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


SMALL_TRAINING: dict[str, Any] = {
    "steps": 8000, "batch_size": 8, "precision": "auto", "channels_last": True, "ema": 0.999, "dtype": "float16",
    "flip": True, "zoom": 0.15, "lr": 4e-4, "ttur": False, "beta1": 0.0, "beta2": 0.99, "decay_last": 0.4,
    "lambda_l1": 10.0, "lambda_perceptual": 2.0, "share_fake": True, "diffaugment": True, "ndf": 32,
}  # fmt: skip
"""Options with which our own small variants (128 px) learn on a CPU in a night (ours, in no paper)."""

PROJECTED: dict[str, Any] = {
    "batch_size": 6, "steps": 1700, "discriminator": "projected", "lambda_feat": 0.0, "perceptual": "none", "lambda_features": 3.0,
    "lambda_l1": 6.0, "lambda_kld": 0.005, "lr": 2e-4, "lr_d": 4e-4, "decay_last": 0.3, "ema": 0.99, "prior_half": True, "cutout": False,
    "ndf": 64, "statistics_maps": 240, "publish": "last",
}  # fmt: skip
"""Changes to the options of a small variant for its second training, from its finished weights (`zoo train --init`), against the
projected discriminator: pictures become sharp in half an hour of one CPU core. Measured in the cards of the embedded faces."""

MATCHED: dict[str, Any] = {
    **PROJECTED, "steps": 500, "features": "lite0-wide", "features_side": 224, "pixel_width": 32, "lambda_mmd": 30.0,
    "mmd_features": "lite1, lite2", "mmd_regions": 3, "lambda_features": 2.0, "lambda_l1": 2.0, "fixed_norms": True, "prior_every": 100,
    "zoom": 0.0, "lr": 1e-4, "lr_d": 3e-4, "decay_last": 1.0, "ema": 0.995, "save_every": 50,
    "validate_every": 0, "preview_every": 0,
}  # fmt: skip
"""Changes to the options of a small variant for its last training, from weights that `PROJECTED` has finished: the pictures' distribution is
matched to the photos' (`lambda_mmd`), with the norms as the finished model has them. Measured in the cards of the embedded synthesizers."""
