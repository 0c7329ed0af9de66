"""Trainers, a loss and a metric; the trainers ask the registry for the latter two by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Optimizer

from zoo.plugin import Batch, PairData, RngLike, Trainer, Update
from zoo.registry import registry


def color_loss(found: Tensor, truth: Tensor) -> Tensor:
    """Mean squared difference, summed over the colours."""
    return 3 * F.mse_loss(found, truth)


def hits(found: Tensor, truth: Tensor) -> float:
    """Share of pixels that agree."""
    return float((found == truth).float().mean())


class _Trainer(Trainer):
    def __init__(self, model: Any, options: Any) -> None:
        super().__init__(model, options)
        self.net: Any = model
        self._optimizer: Optimizer | None = None

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"model": self.model}

    def optimizers(self) -> dict[str, Optimizer]:
        self._optimizer = self._optimizer or SGD(self.model.parameters(), lr=self.options.lr)  # pyright: ignore[reportAttributeAccessIssue]
        return {"model": self._optimizer}

    def rates(self, epoch: float, step: int) -> dict[str, float]:
        return {"model": self.options.lr}  # pyright: ignore[reportAttributeAccessIssue]


class MapTrainer(_Trainer):
    """Cross entropy of the one map; scored by the plugin's own metric."""

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        scores = self.net.planes.scores.expand(len(batch), -1, -1, -1)
        yield Update({"map": 1000 * F.cross_entropy(scores, batch.maps.labels)}, ("model",))

    @torch.no_grad()
    def validate(self, data: PairData) -> dict[str, float]:
        metric = registry().get("metrics", "pets.hits")
        found = self.net.planes.scores.argmax(0)
        return {"hits": sum(metric(found, b.maps.labels[0]) for b in data.batches(1)) / len(data)}


class PaintTrainer(_Trainer):
    """The plugin's own loss."""

    def updates(self, batch: Batch, rng: RngLike, step: int) -> Iterator[Update]:
        loss = registry().get("losses", "pets.colors")
        yield Update({"colors": loss(self.net.paint(batch.maps.labels), batch.images)}, ("model",))
