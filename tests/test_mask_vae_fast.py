"""mask-vae's inference form equals the plain networks, sample by sample."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import zoo
from zoo.inference.optimize import optimize
from zoo.maps import SemanticMap
from zoo.nn import doubling
from zoo_plugins.mask_vae.inference import best_parts
from zoo_plugins.mask_vae.model import SemanticVAE
from zoo_plugins.mask_vae.networks import with_background

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "latent": 16,
    "encoder_side": 16,
    "encoder_widths": "32,24",
    "decoder_width": 16,
    "decoder_widths": "16,8,8",
    "groups": 4,
}


@torch.no_grad()
def lively(**fields: Any) -> SemanticVAE:
    """A tiny random model whose maps show several parts."""
    torch.manual_seed(3)
    model = zoo.create("mask-vae/celeba", **{**TINY, **fields}).eval()
    assert isinstance(model, SemanticVAE)
    for parameter in model.generator.parameters():
        parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (7, 3), (16, 16)])
@pytest.mark.parametrize("chunk", [1, 1 << 16])
def test_the_convolution_after_a_doubling(size: tuple[int, int], chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubling, "CHUNK", chunk)
    monkeypatch.setattr(doubling, "PIXELS", 1 if chunk == 1 else 8)
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 3, 3, padding=1).double().requires_grad_(False)
    x = torch.randn(1, 5, *size, dtype=torch.float64)
    layer = doubling.DoublingConv(conv)
    field, inside = layer.padded(*size)
    inside.copy_(x[0].permute(1, 2, 0))
    expected = conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))[0].permute(1, 2, 0)
    torch.testing.assert_close(layer(field, *size), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["sum", "zero"])
@pytest.mark.parametrize("shown", [None, (0, 1, 2, 3), (1, 3), (3,), ()])
def test_the_best_part_is_the_first_of_the_highest(rule: str, shown: tuple[int, ...] | None) -> None:
    torch.manual_seed(0)
    out = nn.Conv2d(2, 4, 1).requires_grad_(False)
    out.weight.copy_(
        torch.tensor([[1, 0], [0, 1], [1, 0], [-1, -1]])[:, :, None, None]
    )  # parts 1 and 3 are always equal
    out.bias.zero_()  # type: ignore[union-attr]
    features = torch.randint(
        -2, 3, (5000, 2)
    ).float()  # exact numbers: ties of all kinds, with the background's 1 and 0 too
    allowed = None if shown is None else torch.isin(torch.arange(4), torch.tensor(shown, dtype=torch.long))
    logits = with_background(out(features.t().reshape(1, 2, 50, 100)), rule)
    if allowed is not None:
        logits[:, 1:].masked_fill_(~allowed[None, :, None, None], -torch.inf)
    assert torch.equal(best_parts(features, out, allowed, rule), logits.argmax(1).flatten())


@pytest.mark.parametrize(
    ("fields", "threads"),
    [({}, 1), ({}, 2), ({"background": "zero"}, 1), ({"lstm_layers": 0}, 1), ({"swap_first_parts": True}, 1)],
)
def test_codes_and_maps_are_equal(fields: dict[str, Any], threads: int) -> None:
    plain = lively(**fields)
    fast, before = plain.optimized(), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        labels = torch.randint(0, len(plain.label_space), (4, 40, 24))
        labels[0], labels[1] = 0, 1  # nothing, one part
        maps = SemanticMap(labels, plain.label_space)
        codes = fast.encode(maps, rng=1)
        for name, value in plain.encode(maps, rng=1).items():
            torch.testing.assert_close(codes[name], value, rtol=0, atol=1e-5)
        sets = [
            plain.label_space.label_set(n)
            for n in (["skin"], ["skin", "hair", "nose"], list(plain.channels), ["background"])
        ]
        for asked in (None, sets):
            drawn = [m.decode(codes, label_sets=asked).labels for m in (plain, fast)]
            assert len(drawn[0].unique()) > 3
            assert float((drawn[0] != drawn[1]).float().mean()) < 1e-3  # a tie may fall to either side
        for i in range(4):
            alone = fast.decode({k: v[i : i + 1] for k, v in codes.items()}).labels[0]
            assert torch.equal(alone, fast.decode(codes).labels[i])
    finally:
        torch.set_num_threads(before)


def test_numbers_that_are_no_part_count_for_none() -> None:
    plain = lively()
    numbers = torch.randint(0, 19, (2, 16, 16))
    numbers[0, ::2] = 255  # pixels without a label
    with torch.inference_mode():
        found = [m.encoder.of_parts(numbers, 18) for m in (plain, plain.optimized())]
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)


def test_reduced_precision_takes_the_plain_networks() -> None:
    plain = lively()
    fast = optimize(plain, dtype=torch.bfloat16)
    sets = [plain.label_space.label_set(["skin", "hair"])]
    maps = fast.generate(sets, rng=0)  # type: ignore[attr-defined]
    assert maps.size == plain.resolution
    assert float((maps.labels != plain.generate(sets, rng=0).labels).float().mean()) < 0.1
