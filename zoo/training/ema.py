"""A moving average of the parameters, and the statistics that belong to averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from zoo.nn.batch_norm import recompute_batch_norm
from zoo.nn.spectral import recompute_spectral


class Ema:
    """Averages parameters only. An average of singular vectors is no singular vector and one of running statistics fits no
    weights: both are recomputed on the averaged weights whenever these are used."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = model
        self.decay = decay
        self.average = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.updates = 0

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present parameters; the decay grows from 2/11 so that the start is soon forgotten."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, parameter in self.model.named_parameters():
            self.average[name].lerp_(parameter.detach(), 1 - decay)

    def state_dict(self) -> dict[str, object]:
        """For checkpoints."""
        return {"average": self.average, "updates": self.updates}

    def load_state_dict(self, state: dict) -> None:
        """From a checkpoint."""
        for name, value in state["average"].items():
            self.average[name].copy_(value)
        self.updates = int(state["updates"])

    @contextmanager
    def applied(self, statistics: Callable[[], None]) -> Iterator[None]:
        """Inside, the model holds the averaged parameters with fitting buffers, in evaluation mode; afterwards its own state.

        statistics: runs the model forward on some training batches (called only if it has batch norms).
        """
        kept = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        training = {m: m.training for m in self.model.modules()}
        try:
            with torch.no_grad():
                for name, parameter in self.model.named_parameters():
                    parameter.copy_(self.average[name])
            recompute_spectral(self.model)
            self.model.eval()
            recompute_batch_norm(self.model, statistics)
            yield
        finally:
            self.model.load_state_dict(kept)
            for module, mode in training.items():
                module.training = mode


@torch.no_grad()
def is_finite(model: nn.Module) -> bool:
    """True if no parameter or buffer is NaN or infinite."""
    return all(bool(torch.isfinite(t).all()) for t in model.state_dict().values() if t.is_floating_point())
