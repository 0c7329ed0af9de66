"""Training without the loop: two pairs in memory, and what the loop does with one batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from zoo.data import Batch
from zoo.interfaces.trainers import Trainer
from zoo.maps import SemanticMap
from zoo.rng import Rng


class TwoPairs:
    """Two maps, with their colours as photos."""

    names = ("a", "b")
    has_images = True

    def __init__(self, maps: SemanticMap) -> None:
        self.maps, self.label_space = maps, maps.space

    def __len__(self) -> int:
        return 2

    def batches(self, batch_size: int) -> Iterator[Batch]:
        yield self.batch

    @property
    def batch(self) -> Batch:
        """Both pairs."""
        return Batch(self.maps.colorize(), self.maps, self.names)


def take_step(trainer: Trainer, batch: Batch, step: int) -> dict[str, float]:
    """All updates of one batch; the losses by name."""
    seen: dict[str, float] = {}
    optimizers = trainer.optimizers()
    for update in trainer.updates(batch, Rng(0, range(len(batch))), step):
        chosen = [optimizers[n] for n in update.optimizers]
        for optimizer in chosen:
            optimizer.zero_grad()
        parameters = [p for o in chosen for g in o.param_groups for p in g["params"]]
        torch.stack(list(update.losses.values())).sum().backward(inputs=parameters)
        for optimizer in chosen:
            optimizer.step()
        seen |= {k: float(v.detach()) for k, v in update.losses.items()}
    return seen
