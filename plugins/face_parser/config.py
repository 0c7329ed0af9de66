"""Config of face-parser and its named variants. The defaults are the official ones (1,944,355 parameters). No torch in here."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most


@dataclass(frozen=True)
class FaceParserConfig:
    """Sizes and switches of the U-Net and of how photos reach it."""

    label_space: str = "celebamask-hq"
    """Vocabulary of the maps that come out; one logit per class."""
    channels: tuple[str, ...] = ()
    """Class names in the order of the logits; empty: the label space's own order, as officially."""
    side: int = at_most(SIDE, 512)
    """Photos are resized to side x side before they are read, whatever their shape; a multiple of 16."""
    feature_scale: int = 4
    """Divides the widths 64, 128, 256, 512, 1024 of the five levels (the result is cut to an integer)."""
    batch_norm: bool = True
    """False leaves the norms out (`is_batchnorm`); the keys of the state dict then lack them."""
    resize: Literal["nearest", "bilinear", "bicubic"] = "nearest"
    """How photos of another size are brought to `side`: the official tester uses nearest, its training bilinear with
    antialiasing (docs/papers/face_parser.md, "Testing"). The zoo's data sets use bicubic with antialiasing, so our variants do too."""

    def __post_init__(self) -> None:
        faults = []
        if self.side < 16 or self.side % 16:
            faults.append(f"side must be a positive multiple of 16, got {self.side}")
        if not 1 <= self.feature_scale <= 64:
            faults.append(
                f"feature_scale must be 1..64 (the first level keeps at least one channel), got {self.feature_scale}"
            )
        if self.resize not in ("nearest", "bilinear", "bicubic"):
            faults.append(f"resize must be nearest, bilinear or bicubic, got {self.resize!r}")
        if len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct class names")
        if faults:
            raise ConfigError("face-parser config: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class LiteParserConfig:
    """Sizes of the parser on EfficientNet-Lite0's features and how photos reach it. Ours, without a paper."""

    label_space: str = "celebamask-hq"
    """Vocabulary of the maps that come out; one logit per class."""
    channels: tuple[str, ...] = ()
    """Class names in the order of the logits; empty: the label space's own order."""
    side: int = at_most(SIDE, 160)
    """Photos are resized to side x side before they are read, whatever their shape; a multiple of 32."""
    widths: tuple[int, int, int, int] = (128, 96, 48, 32)
    """Channels of the decoder at strides 16, 8, 4 and 2."""
    resize: Literal["bilinear", "bicubic"] = "bicubic"
    """How photos of another size are brought to `side`, with antialiasing."""

    def __post_init__(self) -> None:
        faults = []
        if self.side < 32 or self.side % 32:
            faults.append(f"side must be a positive multiple of 32, got {self.side}")
        if min(self.widths) < 1:
            faults.append(f"widths must be 1 or more, got {self.widths}")
        if self.resize not in ("bilinear", "bicubic"):
            faults.append(f"resize must be bilinear or bicubic, got {self.resize!r}")
        if len(set(self.channels)) != len(self.channels):
            faults.append("channels must be distinct class names")
        if faults:
            raise ConfigError("lite-parser config: " + "; ".join(faults) + ".")


@dataclass(frozen=True)
class FaceParserTraining(TrainingOptions):
    """Training options; defaults are those of the official run script (docs/papers/face_parser.md, "Training")."""

    steps: int = 1_000_000
    """Optimizer steps (`total_step`)."""
    batch_size: int = 8
    """Photos per step, as the run script says (the script's own default is 64)."""
    lr: float = 2e-4
    """Adam's learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's betas."""
    decay: float = 0.0
    """Share of the steps at the end over which the rate falls linearly to zero; officially it is constant."""
    weight_power: float = 0.0
    """Class weights frequency ** -power from the training data; 0: plain cross entropy, as officially. .5 was measured best."""


@dataclass(frozen=True)
class LiteParserTraining(FaceParserTraining):
    """Training options of the parser on pretrained features, ours."""

    steps: int = 900
    """Optimizer steps."""
    lr: float = 1.5e-3
    """Adam's learning rate of the decoder."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's betas."""
    decay: float = 0.6
    """Share of the steps at the end over which the rates fall linearly to zero."""
    weight_power: float = 0.5
    """Class weights frequency ** -power from the training data."""
    pretrained: bool = True
    """Start the encoder from ImageNet's weights, which a pip package brings (extra `train`); not where training starts from a model."""
    encoder_rate: float = 0.3
    """The encoder's learning rate as a share of `lr`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.encoder_rate <= 1:
            raise ConfigError(f"encoder_rate must lie in 0..1, got {self.encoder_rate}.")


_SMALL_TRAINING = FaceParserTraining(
    steps=12_000,
    batch_size=16,
    precision="auto",
    channels_last=True,
    ema=0.998,
    flip=True,
    zoom=0.25,
    lr=3e-3,
    betas=(0.9, 0.99),
    decay=0.6,
    weight_power=0.5,
    color=0.25,
    validate_every=500,
    dtype="float16",
)

VARIANTS: dict[str, Variant] = {
    "celeba": Variant(FaceParserConfig(), FaceParserTraining(), "official, CelebAMask-HQ at 512 px"),
    "celeba-128": Variant(
        FaceParserConfig(side=128, resize="bicubic"),
        _SMALL_TRAINING,
        "ours, CelebAMask-HQ at 128 px, trains on a CPU",
    ),
    "ccp-128": Variant(
        FaceParserConfig(label_space="atr", side=128, resize="bicubic"),
        _SMALL_TRAINING,
        "ours, whole people (CCP with ATR's classes) at 128 px, trains on a CPU",
    ),
}

_LITE_TRAINING = LiteParserTraining(
    batch_size=8,
    precision="auto",
    channels_last=True,
    ema=0.99,
    flip=True,
    zoom=0.3,
    turn=30.0,
    squeeze=0.6,
    soften=1.0,
    color=0.3,
    rare=0.2,
    validate_every=150,
    dtype="float16",
)

LITE_VARIANTS: dict[str, Variant] = {
    "celeba-160": Variant(LiteParserConfig(), _LITE_TRAINING, "ours, CelebAMask-HQ at 160 px, trains on a CPU"),
    "ccp-160": Variant(
        LiteParserConfig(label_space="atr"),
        dataclasses.replace(_LITE_TRAINING, turn=10.0, squeeze=0.2),
        "ours, whole people (CCP with ATR's classes) at 160 px, trains on a CPU",
    ),
}
