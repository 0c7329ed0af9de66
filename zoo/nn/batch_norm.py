"""Running statistics of batch norms, estimated anew for given weights."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

_FIXED = "_zoo_fixed_statistics"


def batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """The batch norms that keep running statistics, without those whose statistics are fixed."""
    return [m for m in _tracking(model) if not getattr(m, _FIXED, False)]


def _tracking(model: nn.Module) -> list[_BatchNorm]:
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]


def fix_batch_norms(model: nn.Module) -> None:
    """From now on the model's batch norms normalise by the running statistics that they have, in training too (whatever `train()` says),
    and nothing estimates these anew."""
    for norm in batch_norms(model):
        setattr(norm, _FIXED, True)
        hold(norm)


def hold(module: nn.Module) -> None:
    """Keep a layer in evaluation mode from now on, whatever `train()` says, also where others than its `forward` ask for the mode."""
    module.training = False
    module.train = MethodType(_stay, module)  # type: ignore[method-assign]


def _stay(module: nn.Module, mode: bool = True) -> nn.Module:
    del mode
    return module


@torch.no_grad()
def recompute_batch_norm(model: nn.Module, statistics: Callable[[], None]) -> None:
    """Running statistics as plain averages over what `statistics` runs through the model."""
    norms = batch_norms(model)
    if not norms:
        return
    momenta = [m.momentum for m in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # cumulative average
            norm.train()
        statistics()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
