"""Training of CLADE: SPADE's two-step iteration."""

from __future__ import annotations

from zoo.families.spade.trainer import GanTrainer
from zoo_plugins.clade.config import CladeOptions
from zoo_plugins.clade.model import CLADE


class CladeTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the multiscale discriminator on a fresh fake (docs/papers/clade.md, "Training").

    With `positions` they are computed of the maps as they are cut and mirrored. Random: as `GanTrainer`.
    """

    gan: CLADE
    options: CladeOptions
