"""Configs of SegVAE, its ablations and the C-VAE baselines; their named variants. Defaults are the official ones. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most

# the authors' own numbering (docs/papers/segvae.md, "Class lists and orders"): channel i + 1 of the network is CELEBA[i]
CELEBA = (
    "skin", "hair", "cloth", "l_brow", "r_brow", "l_ear", "r_ear", "ear_r", "l_eye", "r_eye", "eye_g", "l_lip", "u_lip",
    "mouth", "neck", "neck_l", "nose", "hat",
)  # fmt: skip
HUMAN_PARSING = (
    "hat", "hair", "sunglasses", "upper-clothes", "skirt", "pants", "dress", "belt", "left-shoe", "right-shoe", "face",
    "left-leg", "right-leg", "left-arm", "right-arm", "bag", "scarf",
)  # fmt: skip
_FACE = ("skin", "neck", "hair")
_FEATURES = ("l_brow", "r_brow", "l_ear", "r_ear", "l_eye", "r_eye", "nose", "l_lip", "u_lip", "mouth")
_FACE_EXTRAS = ("hat", "cloth", "eye_g", "ear_r", "neck_l")
_BODY = ("face", "hair", "left-arm", "right-arm", "left-leg", "right-leg")
_CLOTHES = ("upper-clothes", "dress", "skirt", "pants", "left-shoe", "right-shoe")
_BODY_EXTRAS = ("hat", "sunglasses", "belt", "scarf", "bag")
ORDERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "order-1": (_FACE + _FEATURES + _FACE_EXTRAS, _BODY + _CLOTHES + _BODY_EXTRAS),
    "order-2": (_FEATURES + _FACE + _FACE_EXTRAS, _CLOTHES + _BODY + _BODY_EXTRAS),
    "order-3": (_FACE_EXTRAS + _FACE + _FEATURES, _BODY_EXTRAS + _BODY + _CLOTHES),
}
"""Table 3's prediction orders for faces and for people; inside a group the order is that of order-1 (our reading)."""


@dataclass(frozen=True)
class SegVAEConfig:
    """Sizes and switches of the four networks."""

    label_space: str = "celebamask-hq"
    """Vocabulary that the public side speaks; it needs a background class, which is derived, not drawn."""
    channels: tuple[str, ...] = CELEBA
    """Foreground classes in the order of the network's channels 1, 2, …; channel 0 is the background."""
    order: tuple[str, ...] = ("order-1",)
    """Classes in the order in which they are drawn (every class once), or one name of Table 3: order-1 (body or face, then
    clothes or features, then accessories; the only one of the code), order-2, order-3. It is not in the authors' files."""
    size: int = at_most(SIDE, 128)
    """Side of the maps, 4 * 2**k. The authors' networks work at 128 only; other sides have k strided stages (our reading)."""
    ngf: int = 64
    """First width of the convolutions (n of the code); it doubles per stage up to 8 times."""
    shape_dim: int = 512
    """Numbers in the context code (S)."""
    hidden_dim: int = 256
    """Width of the LSTMs (h)."""
    embed_dim: int | None = None
    """Hidden width of the embeddings of label set and target class. None: `hidden_dim`, as in the code; smaller keeps files small
    (each embedding has `embed_dim * size**2` weights)."""
    z_dim: int = 384
    """Numbers in the latent of one class step (Z)."""
    norm: Literal["in", "bn", "none"] = "in"
    """Norm of encoder and decoder blocks: instance norm without parameters, batch norm, or none."""
    spectral: bool = True
    """Spectral normalisation (BigGAN's form) of the context encoder, the prior, and the posterior's convolutions and heads; not
    of LSTMs, the posterior's embedding, nor the decoder. The paper says all architectures."""
    sn_eps: float = 1e-8
    """Epsilon of the spectral norm's normalisations."""
    init_gain: float = 0.02
    """Gain of the Xavier-normal start of all convolutions and linear layers (`init_variance` of the code). It matters before training
    only; without spectral norm 1 learns much faster."""
    background: float = 0.4
    """A pixel is background where the soft shapes sum to no more than this."""
    context: Literal["full", "label-set", "class"] = "full"
    """What a step's context code sees besides the target class: `full` canvas and label set; `label-set` no canvas (C-VAE_global);
    `class` neither (C-VAE_sep). The inputs that are left out are not channels of the first convolution (our reading)."""
    lstm: bool = True
    """False: "w/o LSTM". The heads then read the prior's embedding directly and, in the posterior, a linear layer h + S -> h over
    convolution code and context (our reading; the paper only says that the LSTM is left out)."""
    learned_prior: bool = True
    """False: "w/o learned prior": z ~ N(0, I) when sampling, KL to N(0, I) in training, no prior network."""

    def __post_init__(self) -> None:
        faults = []
        if self.size < 8 or self.size & (self.size - 1):
            faults.append(f"size must be a power of 2 of at least 8, got {self.size}")
        widths = (self.ngf, self.shape_dim, self.hidden_dim, self.z_dim, self.embed_dim or 1)
        if min(widths) < 1:
            faults.append("ngf, shape_dim, hidden_dim, embed_dim and z_dim must be >= 1")
        if not self.channels or len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct class names, at least one")
        for name, value, allowed in (
            ("norm", self.norm, ("in", "bn", "none")),
            ("context", self.context, ("full", "label-set", "class")),
        ):
            if value not in allowed:
                faults.append(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if faults:
            raise ConfigError("segvae config: " + "; ".join(faults) + ".")
        _ = self.steps

    @property
    def steps(self) -> tuple[str, ...]:
        """The classes in the order in which they are drawn. Raises ConfigError if `order` is no order of the channels."""
        if len(self.order) == 1 and self.order[0] in ORDERS:
            for known in ORDERS[self.order[0]]:
                if set(known) == set(self.channels):
                    return known
            raise ConfigError(
                f"segvae config: {self.order[0]} is defined for the classes of CelebAMask-HQ and of HumanParsing;"
                " for other channels write the order out (order=a,b,c)."
            )
        missing = [c for c in self.channels if c not in self.order]
        extra = sorted({c for c in self.order if c not in self.channels or self.order.count(c) > 1})
        if missing or extra:
            named = f" or one of {', '.join(ORDERS)}" if len(self.order) == 1 else ""
            raise ConfigError(
                f"segvae config: order must name every channel once{named}; missing: {', '.join(missing) or 'none'},"
                f" unknown or twice: {', '.join(extra) or 'none'}."
            )
        return self.order

    @property
    def stages(self) -> tuple[int, ...]:
        """Widths of the strided stages, first to last: ngf times 1, 2, 4, 8, 8 at 128 px."""
        return tuple(self.ngf * min(2**i, 8) for i in range((self.size // 4).bit_length() - 1))


@dataclass(frozen=True)
class CvaeSepConfig(SegVAEConfig):
    """C-VAE_sep of Table 1: every class drawn on its own, blind to the other shapes and to the label set.

    Our reading of two sentences (no sizes are given): SegVAE's networks and widths, the target class as the only context, no
    LSTM, z from N(0, I) as in a usual conditional VAE.
    """

    context: Literal["full", "label-set", "class"] = "class"
    """The target class alone."""
    lstm: bool = False
    """No LSTM."""
    learned_prior: bool = False
    """z ~ N(0, I)."""


@dataclass(frozen=True)
class CvaeGlobalConfig(SegVAEConfig):
    """C-VAE_global of Table 1: as C-VAE_sep, with the label set encoded as a global condition; still blind to other shapes."""

    context: Literal["full", "label-set", "class"] = "label-set"
    """Label set and target class."""
    lstm: bool = False
    """No LSTM."""
    learned_prior: bool = False
    """z ~ N(0, I)."""


@dataclass(frozen=True)
class SegVAEOptions:
    """Options of generation and of edits (`--opt key=value`)."""

    flatten: Literal["painter", "argmax"] = "painter"
    """How soft shapes become a map: `painter` paints shapes above .5 in prediction order, later over earlier; `argmax` takes the
    strongest channel, as the authors render (a generated skin can then hide what lies on it)."""
    regenerate: bool = False
    """Edits: draw the whole map anew from the edited label set instead of keeping every other part."""
    uncovered: Literal["background", "nearest"] = "background"
    """Edits: what pixels become where a part went and no other lies beneath: background (the paper's figures), or the class of the
    nearest other pixel (ours: the forehead under lost hair becomes skin)."""

    def __post_init__(self) -> None:
        for name, allowed in (("flatten", ("painter", "argmax")), ("uncovered", ("background", "nearest"))):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"segvae options: {name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}."
                )


@dataclass(frozen=True)
class SegVAETraining(TrainingOptions):
    """Training options; defaults are the code's, the variants `*-paper` have the paper's numbers."""

    steps: int = 300_000
    """Batches: the code's 200 epochs over 24,000 maps."""
    batch_size: int = 16
    """Maps per step (paper: 24)."""
    lr: float = 2.5e-5
    """Adam rate of all four networks (paper: 5e-5)."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam betas."""
    lambda_kl: float = 1e-5
    """Weight of the KL term, summed over Z, over classes (paper: 1e-4 HumanParsing, 1e-7 CelebA)."""
    lambda_shape: float = 1.0
    """Weight of the shape term."""
    shape_loss: Literal["l1", "bce"] = "l1"
    """`l1`: the official mean absolute difference (small parts can stay empty: the median of a rarely covered pixel is 0);
    `bce`: binary cross entropy of the same pixels (ours), whose optimum is the probability of being covered."""
    shape_balance: float = 0.0
    """Weight each class's shape term by (its mean share of the canvas) to the power of minus this; 0 official. Ours."""
    constant_epochs: int = 150
    """Epochs before the rate falls (niter of the code)."""
    decay_epochs: int = 50
    """Epochs over which it falls (niter_decay)."""
    schedule: Literal["official", "cosine"] = "official"
    """`official`: at the end of each epoch with an index above `constant_epochs` the rate falls by lr / `decay_epochs` (never below 0,
    where the authors' rate can go after a resume); `cosine`: half a cosine over `steps`, after `warmup` (ours)."""
    warmup: int = 0
    """Steps of linear warm-up of `cosine`."""
    prior_neighbours: int = 0
    """Maps of the most similar label sets over which each Gaussian of the fitted prior is taken; 0: no fitted prior (official). Ours."""
    prior_centres: int = 20
    """Label sets that have a Gaussian of their own."""
    prior_components: int = 32
    """Principal components of each Gaussian."""


_PAPER = {"lr": 5e-5, "batch_size": 24, "steps": 200_000}
_HUMAN = SegVAEConfig(label_space="atr", channels=HUMAN_PARSING)
_SMALL = {
    "ngf": 16,
    "shape_dim": 192,
    "hidden_dim": 128,
    "embed_dim": 16,
    "z_dim": 64,
    "spectral": False,
    "init_gain": 1.0,
}
_SMALL_TRAINING = SegVAETraining(
    steps=10_000,
    batch_size=4,
    precision="auto",
    dtype="float16",
    flip=True,
    zoom=0.2,
    ema=0.999,
    lr=1e-3,
    betas=(0.9, 0.99),
    schedule="cosine",
    warmup=100,
    lambda_kl=3e-5,
    shape_loss="bce",
    shape_balance=0.5,
    prior_neighbours=100,
)
# people are cut to their box: a stronger zoom would cut heads and feet off; and a Gaussian over many of them breaks bodies
_PEOPLE_TRAINING = replace(_SMALL_TRAINING, zoom=0.08, prior_neighbours=60)

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(SegVAEConfig(), SegVAETraining()),
    "celeba-paper": Variant(SegVAEConfig(), SegVAETraining(lambda_kl=1e-7, **_PAPER)),
    "celeba-no-lstm": Variant(SegVAEConfig(lstm=False), SegVAETraining()),
    "celeba-no-prior": Variant(SegVAEConfig(learned_prior=False), SegVAETraining()),
    "humanparsing": Variant(_HUMAN, SegVAETraining()),
    "humanparsing-paper": Variant(_HUMAN, SegVAETraining(lambda_kl=1e-4, **_PAPER)),
    "celeba-128": Variant(SegVAEConfig(**_SMALL), _SMALL_TRAINING),
    "ccp-128": Variant(SegVAEConfig(label_space="atr", channels=HUMAN_PARSING, **_SMALL), _PEOPLE_TRAINING),
}
CVAE_SEP_VARIANTS: dict[str, Variant] = {
    "celeba": Variant(CvaeSepConfig(), SegVAETraining()),
    "humanparsing": Variant(CvaeSepConfig(label_space="atr", channels=HUMAN_PARSING), SegVAETraining()),
}
CVAE_GLOBAL_VARIANTS: dict[str, Variant] = {
    "celeba": Variant(CvaeGlobalConfig(), SegVAETraining()),
    "humanparsing": Variant(CvaeGlobalConfig(label_space="atr", channels=HUMAN_PARSING), SegVAETraining()),
}
