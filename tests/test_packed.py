"""Layers packed for the CPU's kernels: equal to the plain ones, with torch's private operators and without them."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import zoo
from zoo.inference import packed
from zoo.inference.packed import OPERATORS, Packed, available, missing, pack
from zoo.maps import SemanticMap

LAYERS = [
    (nn.Linear(7, 5), (3, 7)),
    (nn.Conv2d(4, 6, 3, 2, 1), (2, 4, 9, 8)),
    (nn.Conv2d(4, 6, 3, padding=1, bias=False), (1, 4, 5, 5)),
    (nn.ConvTranspose2d(6, 4, 3, 2, 1, 1), (2, 6, 5, 4)),
]


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="a torch without oneDNN: every layer stays plain")
def test_what_this_torch_has() -> None:
    assert missing() == [], (
        f"torch {torch.__version__} lacks {missing()}: packed layers fall back to plain ones, slower"
    )
    assert available()


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
@pytest.mark.parametrize("lost", [(), OPERATORS[:1], OPERATORS[3:4], OPERATORS[5:], OPERATORS])
def test_without_operators_the_plain_layer_works(
    layer: nn.Module, shape: tuple[int, ...], lost: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    x, packs = torch.randn(shape), pack(copy.deepcopy(layer))
    assert isinstance(packs, Packed)
    kept = {name: getattr(torch.ops.mkldnn, name) for name in OPERATORS if name not in lost and name not in missing()}
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace(**kept))  # a call of a lost one is an AttributeError
    assert set(missing()) >= set(lost)
    with torch.no_grad():
        found, plain = packs(x), layer(x)
    torch.testing.assert_close(found, plain, rtol=0, atol=1e-5)
    if lost:
        assert not available() and packs._cache.value is None and torch.equal(found, plain)


@torch.no_grad()
def test_an_inference_form_without_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model: Any = zoo.create("spade/celeba-128", ngf=4, nef=4, spade_hidden=8).eval()
    fast: Any = zoo.optimize(model)
    calls: list[nn.Module] = []
    assert any(isinstance(m, Packed) for m in fast.modules())
    maps = SemanticMap(torch.randint(0, 19, (1, 128, 128)), model.label_space)
    with_operators = fast.synthesize(maps, rng=0)
    monkeypatch.setattr(torch.ops, "mkldnn", SimpleNamespace())
    forward = nn.Conv2d.forward
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: calls.append(self) or forward(self, x))
    found = fast.synthesize(maps, rng=0)
    layers = {m.layer for m in fast.modules() if isinstance(m, Packed) and isinstance(m.layer, nn.Conv2d)}
    assert layers <= set(calls)  # all went through the plain convolutions
    for expected in (with_operators, model.synthesize(maps, rng=0)):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_doctor_says_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ("packed_layers: yes" in run("doctor").out) == available()
    monkeypatch.setattr(packed, "OPERATORS", ("_no_such_operator",))
    lacking = "_no_such_operator" if torch.backends.mkldnn.is_available() else "oneDNN"
    assert f"packed_layers: no, plain layers are used: torch {torch.__version__} lacks {lacking}" in run("doctor").out


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_packed_layers(layer: Any, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    packs = pack(copy.deepcopy(layer))
    assert isinstance(packs, Packed)
    x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(packs(x), layer(x), rtol=0, atol=1e-5)
        assert (packs._cache.value is not None) == available()
        torch.testing.assert_close(packs(x[:1]), layer(x[:1]), rtol=0, atol=1e-5)
        for weights in (packs.layer, layer):
            weights.weight.mul_(2)  # a packed copy of the old weight would be stale
        torch.testing.assert_close(packs(x), layer(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(copy.deepcopy(packs)(x), layer(x), rtol=0, atol=1e-5)
        torch.testing.assert_close(packs.double()(x.double()), layer.double()(x.double()))
    y = x.double().requires_grad_()
    packs(y).sum().backward()
    assert y.grad is not None


def test_layers_that_cannot_be_packed_stay() -> None:
    for layer in (nn.Conv2d(2, 2, 3, padding="same"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), nn.ReLU()):
        assert pack(layer) is layer
