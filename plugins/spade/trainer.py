"""Training of SPADE: the official two-step iteration, with the options of our small variant beside it."""

from __future__ import annotations

from zoo.families.spade.trainer import GanTrainer
from zoo_plugins.spade.config import SpadeOptions
from zoo_plugins.spade.model import SPADE


class SpadeTrainer(GanTrainer):
    """Per batch: a step of generator and encoder, then one of the multiscale discriminator on a fresh fake (docs/papers/spade.md, "Training").

    Random: as `GanTrainer`.
    """

    gan: SPADE
    options: SpadeOptions
