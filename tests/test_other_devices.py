"""What the forms do where there is no CPU's cache, and where a look at a number would be waited for: shown on the meta device, which has
no numbers to look at, so that `item`, `bool`, `tolist`, `unique` and `nonzero` fail there. Speed on a GPU is not measured."""

from __future__ import annotations

import copy
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import zoo
from zoo.families.spade import folded, window_norms
from zoo.families.spade.window_blocks import PIECE, pieces
from zoo.families.spade.window_plans import Tables
from zoo.inference.tiles import TiledConv
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo_plugins.clvae.styles import latents

SMALL: dict[str, Any] = {"ngf": 4, "spade_hidden": 8}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "spade": ("spade/ade20k", {**SMALL, "resolution": 64}),
    "latent": ("spade/celeba-vae", {**SMALL, "resolution": 64, "nef": 4, "z_dim": 16, "encoder_size": 64}),
    "clvae": ("clvae/celeba-128", {**SMALL, "nef": 4, "max_width": 0, "z_dim": 16}),
}


def on_meta(value: Any) -> Any:
    """The same tree with tensors on the meta device."""
    if isinstance(value, Tensor):
        return value.to("meta")
    if isinstance(value, dict):
        return {key: on_meta(inner) for key, inner in value.items()}
    if isinstance(value, Tables):
        return Tables(on_meta(value.rows), value.used)
    if is_dataclass(value):
        return type(value)(**{f.name: on_meta(getattr(value, f.name)) for f in fields(value)})
    return value


def test_the_meta_device_has_no_numbers() -> None:
    for look in (bool, Tensor.item, Tensor.tolist, torch.unique, torch.nonzero):
        with pytest.raises((RuntimeError, NotImplementedError)):
            look(torch.ones(1, device="meta"))


@pytest.mark.parametrize("key", MODELS)
@pytest.mark.parametrize("count", [1, 3])
@torch.no_grad()
def test_a_picture_with_the_layout_kept_looks_at_no_number(
    key: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "WORTH", 0)
    monkeypatch.setattr(
        window_norms, "_computed", lambda vectors: vectors
    )  # asks for autocast, which this device has not
    name, changed = MODELS[key]
    model: Any = zoo.create(name, **changed).eval()
    fast = model.optimized()
    maps = SemanticMap(torch.randint(0, 9, (1, *model.resolution)), model.label_space)
    plan, generator = on_meta(fast.layout(maps).plan), copy.deepcopy(fast.generator).to("meta")
    several = SemanticMap(maps.labels.expand(count, -1, -1), maps.space)
    style = model.sample_style(several, Rng(0, range(count))) if model.styles else None
    if key == "clvae":
        assert style is not None
        codes, z = latents(model, style)
        made = generator.render(None, plan, codes.to("meta"), z.to("meta"))
    else:
        made = generator.render(plan, None if style is None else style.tensors["z"].to("meta"))
    assert made.shape == (count if style is not None else 1, 3, *model.resolution)


@torch.no_grad()
def test_a_kept_layout_of_clvae_reads_the_map_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    name, changed = MODELS["clvae"]
    model: Any = zoo.create(name, **changed).eval()
    maps = SemanticMap(torch.arange(128).expand(1, 128, 128) // 16, model.label_space)
    style, layout = model.sample_style(maps, 0), model.layout(maps)
    expected = model.synthesize(maps, style)
    assert layout.shown.tolist() == [[i < 8 for i in range(len(model.channels))]]

    def refuse(*_: object) -> None:
        raise AssertionError("the map was read")

    monkeypatch.setattr(type(model.label_input), "indices", refuse)
    assert torch.equal(model.synthesize(layout, style), expected)


def test_whole_samples_at_once_where_there_is_no_cache_to_stay_in() -> None:
    shape, index = (2, 64, 64, 2 * PIECE // 64 // 64), torch.zeros(2, 64, 64, dtype=torch.int32)
    assert len(list(pieces(torch.empty(shape), index))) > 2
    whole = list(pieces(torch.empty(shape, device="meta"), index.to("meta")))
    assert [(p.samples, p.rows) for p in whole] == [(slice(i, i + 1), slice(0, 64)) for i in range(2)]
    conv = TiledConv(torch.randn(16, 16, 3, 3))
    padded = torch.zeros(3, 258, 258, 16)
    assert len(list(conv.strips(padded))) > 1
    (strip,) = conv.to("meta").strips(padded.to("meta"))
    assert (strip.samples, strip.rows, strip.y.shape) == (slice(0, 3), slice(0, 256), (3, 256, 256, 16))
