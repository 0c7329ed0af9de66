"""Config of mask-vae and its named variants. The defaults are the official ones (25,230,386 parameters). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

PARTS = (
    "skin",
    "nose",
    "eye_g",
    "l_eye",
    "r_eye",
    "l_brow",
    "r_brow",
    "l_ear",
    "r_ear",
    "mouth",
    "u_lip",
    "l_lip",
    "hair",
    "hat",
    "ear_r",
    "neck_l",
    "neck",
    "cloth",
)
# background first; they do not follow eq. 1 exactly (docs/papers/mask_vae.md, "Class weights")
CLASS_WEIGHTS = (
    1.0, 0.6899, 0.9764, 0.9987, 0.9992, 0.9992, 0.9968, 0.9968, 0.9970, 0.9975,
    0.9982, 0.9968, 0.9935, 0.6729, 0.9905, 0.9991, 1.0019, 0.9703, 0.9783,
)  # fmt: skip


@dataclass(frozen=True)
class MaskVaeConfig:
    """Sizes and switches of the network; the rows of the paper's Table 1 (`TABLE_1`) differ in `lstm_layers` and `bidirectional`."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks; it needs a background class, which is not encoded."""
    channels: tuple[str, ...] = PARTS
    """The parts, in the order of the LSTM's sequence and of the decoder's score planes."""
    latent: int = 256
    """Numbers per part code; a square, because the decoder reads each code as a `sqrt(latent)` sided plane."""
    encoder_side: int = at_most(SIDE, 128)
    """Side to which each part's plane is resized (nearest) before it is flattened. The paper says 256."""
    encoder_widths: tuple[int, ...] = (1024, 512)
    """Hidden widths of the part encoder before its last layer of `latent`. The paper says three layers of 256."""
    lstm_layers: int = at_most(64, 3)
    """Layers of the LSTM over the parts; 0 leaves it out (Table 1, first row)."""
    bidirectional: bool = True
    """Two directions. With one, the feed-forward is joined by an identity shortcut instead of a linear one (our reading)."""
    shortcut: bool = True
    """The code's shortcut beside the feed-forward; False gives the paper's plain feed-forward."""
    swap_first_parts: bool = False
    """The code's `--do_perm`: exchange the first two parts before the LSTM; not undone after it."""
    random_state: bool = True
    """Whether `h0` and `c0` are drawn from N(0, 1) when sampling, as the code does in training and inference; else zeros."""
    decoder_width: int = 512
    """Channels after the decoder's 1x1 input convolution (8n of the code)."""
    decoder_widths: tuple[int, ...] = (256, 128, 64, 32)
    """Channels after each up-block; each doubles the side, so the output side is `sqrt(latent) * 2**len(decoder_widths)`."""
    groups: int = 32
    """Groups of every group norm."""
    background: Literal["sum", "zero"] = "sum"
    """`sum`: the code's hard flag, 1 where the part scores sum to <= 0. `zero`: a background score of 0 everywhere (ours)."""

    def __post_init__(self) -> None:
        faults = []
        if isqrt(max(self.latent, 0)) ** 2 != self.latent or self.latent < 1:
            faults.append(f"latent must be a square such as 256, got {self.latent}")
        if not self.decoder_widths:
            faults.append("decoder_widths needs at least one entry")
        bad = [w for w in (self.decoder_width, *self.decoder_widths) if self.groups < 1 or w < 1 or w % self.groups]
        if bad:
            faults.append(f"decoder widths {bad} are no multiples of groups={self.groups}")
        if min(self.encoder_side, *self.encoder_widths, 1) < 1 or self.lstm_layers < 0:
            faults.append("encoder_side and encoder_widths must be >= 1, lstm_layers >= 0")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct part names, at least one")
        if self.background not in ("sum", "zero"):
            faults.append(f"background must be 'sum' or 'zero', got {self.background!r}")
        if faults:
            raise ConfigError("mask-vae config: " + "; ".join(faults) + ".")

    @property
    def directions(self) -> int:
        """LSTM directions; 1 without an LSTM, which is how wide its output is in units of `latent`."""
        return 2 if self.bidirectional and self.lstm_layers else 1

    @property
    def grid(self) -> int:
        """Side of the plane that a part code becomes."""
        return isqrt(self.latent)

    @property
    def side(self) -> int:
        """Side of the maps that come out."""
        return self.grid << len(self.decoder_widths)


@dataclass(frozen=True)
class MaskVaeTraining(TrainingOptions):
    """Training options; defaults as in the authors' option class where it says something (the paper gives no rates)."""

    kl: float = 0.0005
    """Weight of the KL term, which is summed over parts and dimensions (paper section 3.2, hard-coded in the code)."""
    weighting: Literal["official", "frequency", "power", "none"] = "official"
    """Cross-entropy weight per class: `official` the code's 19 constants; `frequency` the paper's eq. 1, from the training data;
    `power` the share of pixels to the power of -`weighting_power`, which brings small parts out sooner (ours); `none`."""
    weighting_power: float = 0.5
    """How strongly `power` favours rare classes. 300 steps of celeba-128: 0.5 gave mIoU 28.0, accuracy 66.0; `official` 19.5, 70.3."""
    reduction: Literal["mean", "sum"] = "mean"
    """`mean`: weighted mean over pixels (code); `sum`: weighted sum per sample (paper eq. 2)."""
    lr: float = 1e-4
    """Adam rate of the network (2e-4 halved by TTUR)."""
    betas: tuple[float, float] = (0.0, 0.9)
    """Adam betas."""
    schedule: Literal["linear", "cosine"] = "linear"
    """`linear`: constant for the first half, then linear to 0 (20 + 20 epochs of the code). `cosine`: half a cosine (ours)."""
    warmup: int = 0
    """Steps of linear warm-up (ours)."""
    adversarial: bool = False
    """The code's `--train_D`: hinge and feature matching on the 19-channel map. Not in the paper."""
    lr_d: float = 4e-4
    """Adam rate of the discriminator."""
    ndf: int = 64
    """First width of each discriminator."""
    d_layers: int = 3
    """Strided layers of each discriminator (`n_layers_D`)."""
    d_scales: int = 2
    """Discriminators, each on half the size of the one before."""
    feature_matching: float = 10.0
    """Weight of feature matching."""
    prior_components: int = 16
    """Most principal components per part in the fitted joint prior (ours)."""
    outline_sigma: float = 0.0
    """Blur of the part scores in pixels in maps of label sets, fitted together with the parts' sizes as the asset `outlines` (ours);
    0: the scores as they are (official)."""


_CELEBA_128 = MaskVaeConfig(
    encoder_side=64, encoder_widths=(320, 256), decoder_width=256, decoder_widths=(128, 64, 32)
)  # fmt: skip

TABLE_1 = ("celeba-no-lstm", "celeba-1-lstm", "celeba-3-lstm", "celeba-3-lstm-weighted", "celeba-3-bilstm", "celeba")
"""The variants that are the rows of the paper's Table 1, from the top (mIoU 68.49, 68.15, 67.35, 68.34, 69.56, 70.31 there).

They differ in the LSTM (its layers and directions) and in the cross entropy: plain in rows 1, 2, 3 and 5, weighted in 4 and 6;
that row 1 is plain too is said in the text, not in the table. Only rows 5 and 6 run in the released code, so what the others
look like inside is our reading: "w/o LSTM block" leaves out the LSTM alone, the feed-forward stays; with one direction or none
the feed-forward takes `latent` numbers instead of twice as many, and its shortcut is the identity (the code's intent). "1 LSTM"
and "3 LSTMs" are layers of one LSTM, "weighted" the code's constants. What the paper leaves open (rates, epochs) is as in the
official training.
"""


def _row(layers: int, *, bidirectional: bool = False, weighted: bool = False) -> Variant:
    """A row of Table 1."""
    training = MaskVaeTraining(weighting="official" if weighted else "none")
    return Variant(MaskVaeConfig(lstm_layers=layers, bidirectional=bidirectional), training)


VARIANTS: dict[str, Variant] = {
    "celeba": Variant(MaskVaeConfig(), MaskVaeTraining()),
    "celeba-no-lstm": _row(0),
    "celeba-1-lstm": _row(1),
    "celeba-3-lstm": _row(3),
    "celeba-3-lstm-weighted": _row(3, weighted=True),
    "celeba-3-bilstm": _row(3, bidirectional=True),
    "celeba-128": Variant(
        _CELEBA_128,
        MaskVaeTraining(
            steps=20_000,
            batch_size=16,
            precision="auto",
            dtype="float16",
            flip=True,
            zoom=0.2,
            channels_last=True,
            ema=0.999,
            lr=5e-4,
            betas=(0.9, 0.99),
            schedule="cosine",
            warmup=200,
            weighting="power",
            weighting_power=0.35,
            outline_sigma=1.5,
        ),
    ),
}
