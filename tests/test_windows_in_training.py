"""SPADE by distinct window in training: pictures and gradients are those of the two convolutions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.families.spade import window_training
from zoo.maps import SemanticMap
from zoo.nn.spectral import held_spectral

SMALL: dict[str, Any] = {"resolution": 64, "ngf": 2, "spade_hidden": 5, "channels": ()}


def regions(model: Any) -> SemanticMap:
    """Two maps of a few rectangles."""
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0, 20:, 11:40], labels[1, :37, 30:], labels[1, 50:, :9], labels[0, :3, 60:] = 7, 3, 4, 150
    return SemanticMap(labels, model.label_space)


def taken(model: Any, planes: Tensor) -> tuple[list[Tensor], set[tuple[int, int]]]:
    """A forward in training mode: the picture, and all gradients; and the sizes that went by window."""
    generator = model.generator
    picture = generator(planes)
    gradients = torch.autograd.grad((picture * picture.cos()).sum(), list(generator.parameters()))
    sizes = {generator.size(step.scale) for step in generator.steps}
    kernel = 1 if "1x1" in model.config.norm else 3
    return [picture, *gradients], set(window_training.training_sites(planes, None, kernel, sizes))


@pytest.mark.parametrize("norm", ["spectralspadesyncbatch3x3", "spadeinstance1x1"])
@pytest.mark.parametrize("edges", [False, True])
def test_equal_to_the_convolutions(norm: str, edges: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for few in (0.5, 1e9, 0.0):
        monkeypatch.setattr(window_training, "FEW_INNER", few)
        monkeypatch.setattr(window_training, "FEW_OUTER", few)
        torch.manual_seed(0)
        model: Any = zoo.create("spade/ade20k", norm=norm, edges=edges, **SMALL).double().train()
        seen.append(taken(model, model.planes(regions(model)).double()))
    (some, by_default), (windows, everywhere), (convolutions, nowhere) = seen
    assert (64, 64) in by_default and len(everywhere) == 6 and not nowhere
    scale = max(float(gradient.detach().abs().max()) for gradient in convolutions)
    for ours in (some, windows):
        for a, b in zip(ours, convolutions, strict=True):
            torch.testing.assert_close(a / scale, b / scale, atol=1e-11, rtol=1e-9)


def test_one_map_for_several_pictures() -> None:
    torch.manual_seed(0)
    model: Any = zoo.create("spade/ade20k", use_vae=True, z_dim=4, **SMALL).double().train()
    planes = model.planes(regions(model)[[0]]).double()
    plan, z = model.generator.plan(planes), torch.randn(3, 4, dtype=torch.float64)
    again = model.generator.plan(planes.expand(3, -1, -1, -1))
    with held_spectral(model):
        torch.testing.assert_close(model.generator.render(plan, z), model.generator.render(again, z))


def test_planes_that_are_no_labels_go_through_the_convolutions() -> None:
    planes = torch.rand(1, 3, 64, 64)
    assert window_training.training_sites(planes, None, 3, [(64, 64)]) == {}
    assert window_training.training_sites(planes.round().requires_grad_(), None, 3, [(64, 64)]) == {}
