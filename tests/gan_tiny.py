"""For the tests of the synthesizers: block maps, models as training would leave them, and training until a loss falls."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from training_steps import TwoPairs, take_step

from zoo.families.spade.synthesizer import LatentSynthesizer
from zoo.interfaces.trainers import Trainer
from zoo.maps import SemanticMap
from zoo.registry import label_space

SPACE = label_space("celebamask-hq")
Latent = TypeVar("Latent", bound=LatentSynthesizer)


def block_maps(count: int, size: int | tuple[int, int] = 32, seed: int = 0, classes: int = len(SPACE)) -> SemanticMap:
    """Four by four blocks of the first `classes` classes, drawn."""
    coarse = torch.randint(0, classes, (count, 1, 4, 4), generator=torch.Generator().manual_seed(seed)).float()
    return SemanticMap(torch.nn.functional.interpolate(coarse, size=size)[:, 0].long(), SPACE)


@torch.no_grad()
def settled(model: Latent) -> Latent:
    """The model with weights and running statistics as training would leave them, in evaluation mode."""
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    for _ in range(20):  # also settles u and v
        z = torch.randn(4, model.config.z_dim) if model.encoder is not None else None
        model.planner(model.planes(block_maps(4)), z)
        if model.encoder is not None:
            model.encode(torch.randn(4, 3, 32, 32))
    return model.eval()


def step_of(trainer: Trainer, step: int, classes: int = len(SPACE)) -> dict[str, float]:
    """The losses of one step on two pairs; all are numbers."""
    losses = take_step(trainer, TwoPairs(block_maps(2, classes=classes)).batch, step)
    assert all(v == v for v in losses.values())
    return losses


def check_gradients(trainer: Trainer, *names: str) -> None:
    """Fails if a parameter of these networks (none named: of all) has no gradient after a step."""
    for name in names or trainer.networks:
        unused = [k for k, p in trainer.networks[name].named_parameters() if p.grad is None]
        assert not unused, f"{name}: no gradient for {unused}"


def check_learning(trainer: Trainer, loss: str, steps: int, **options: Any) -> None:
    """Fails unless the loss is lower after so many steps on two pairs."""
    losses = [step_of(trainer, i, **options)[loss] for i in range(steps)]
    assert losses[-1] < losses[0], losses
