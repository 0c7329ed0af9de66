"""The inference form: equal outputs, reduced precision, compiled blocks."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import zoo
from zoo.rng import Rng

LABELS = ["skin", "hair", "nose", "neck"]


def made(pair: tuple[Path, Path], **options: object) -> torch.Tensor:
    """Two pictures of fixed maps from the synthesizer in some inference form."""
    generator, synthesizer = (zoo.load(p) for p in pair)
    sets = [generator.label_space.label_set(LABELS)] * 2
    maps = generator.generate(sets, rng=3)  # type: ignore[operator]
    fast = zoo.optimize(synthesizer, **options)  # type: ignore[arg-type]
    return fast.synthesize(maps, rng=Rng(0, range(2)))  # type: ignore[operator]


def test_the_inference_form_gives_the_same_pictures(pair: tuple[Path, Path]) -> None:
    generator, synthesizer = (zoo.load(p) for p in pair)
    maps = generator.generate([generator.label_space.label_set(LABELS)] * 2, rng=3)  # type: ignore[operator]
    plain = synthesizer.synthesize(maps, rng=Rng(0, range(2)))  # type: ignore[operator]
    assert (made(pair) - plain).abs().max() < 1e-5


def test_optimizing_leaves_the_model_as_it_was(pair: tuple[Path, Path]) -> None:
    model = zoo.load(pair[1])
    before = {k: v.clone() for k, v in model.state_dict().items()}
    zoo.optimize(model, dtype=torch.bfloat16)
    assert list(before) == list(model.state_dict())
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_bfloat16_gives_nearly_the_same_float32_pictures(pair: tuple[Path, Path]) -> None:
    half, plain = made(pair, dtype=torch.bfloat16), made(pair)
    assert half.dtype == torch.float32
    assert 0 < (half - plain).abs().mean() < 0.05  # random weights: single pixels may tip over


@pytest.mark.slow
def test_compiled_blocks_give_the_same_pictures(pair: tuple[Path, Path]) -> None:
    assert (made(pair, compile=True) - made(pair)).abs().max() < 1e-4
