"""A moving average of the parameters, and the statistics that belong to averaged weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from zoo.nn.batch_norm import recompute_batch_norm
from zoo.nn.spectral import recompute_spectral


@torch.no_grad()
def blend(average: Mapping[str, Tensor], state: Mapping[str, Tensor], decay: float) -> None:
    """Each entry of `average` becomes average * decay + state * (1 - decay), in place; of whole numbers the fraction is cut off."""
    for name, value in average.items():
        new = state[name].detach()
        if value.is_floating_point():
            value.lerp_(new, 1 - decay)
        else:
            value.copy_(value * decay + new * (1 - decay))


class Ema:
    """Averages parameters only. An average of singular vectors is no singular vector and one of running statistics fits no
    weights: both are recomputed on the averaged weights whenever these are used."""

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool = True) -> None:
        """warmup: the decay grows to its value, so that the start is soon forgotten; without, it is the same from the first step on."""
        self.model = model
        self.decay, self.warmup = decay, warmup
        self.average = {n: p.detach().clone() for n, p in model.named_parameters()}
        self.updates = 0

    def update(self) -> None:
        """Take in the present parameters; with `warmup` the decay grows from 2/11."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.warmup else self.decay
        blend(self.average, dict(self.model.named_parameters()), decay)

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
            recompute_spectral(self.model, frozen=False)
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
