"""Config and training options of both systems."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.plugin import TrainingOptions, Variant


@dataclass(frozen=True)
class Config:
    """One field beside the label space."""

    label_space: str = "pets"
    side: int = 32


@dataclass(frozen=True)
class Training(TrainingOptions):
    """One field beside those of every run."""

    lr: float = 0.3


VARIANTS = {"small": Variant(Config(), Training(steps=40, batch_size=4, validate_every=20))}
