"""Trainings of a part of a model (`train_only`), and batch norms that keep the statistics that a training starts with (`fixed_norms`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from zoo.errors import ConfigError, few
from zoo.nn.batch_norm import fix_batch_norms, hold, recompute_batch_norm


def layers_beside(model: nn.Module, parts: Sequence[str]) -> list[nn.Module]:
    """The innermost modules whose names do not begin with one of these."""
    return [m for name, m in model.named_modules() if not (list(m.children()) or name.startswith(tuple(parts)))]


def freeze_beside(model: nn.Module, parts: Sequence[str], title: str) -> None:
    """Leave all as it is but the parts: parameters, statistics and singular vectors. Raises ConfigError for a beginning that no name has."""
    names = [name for name, _ in model.named_parameters()]
    if lost := [part for part in parts if not any(name.startswith(part) for name in names)]:
        raise ConfigError(
            f"train_only: no parameter of {title} begins with {', '.join(lost)} (there are {few(names)})."
        )
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(parts)))
    for layer in layers_beside(model, parts):
        fix_batch_norms(layer)
        hold(layer)


def begin_norms(model: nn.Module, statistics: Callable[[], None]) -> None:
    """Fix the batch norms that are not fixed yet, those of fresh parts, at the statistics of what `statistics` runs through the model."""
    training = model.training
    recompute_batch_norm(model.eval(), statistics)
    fix_batch_norms(model.train(training))
