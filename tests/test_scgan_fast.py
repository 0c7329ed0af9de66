"""SC-GAN's tiled inference form: tiles, strips, the SVG's doubled convolutions, equal pictures for all norms and options."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from golden_modules import golden_module
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.inference import tiles
from zoo.maps import SemanticMap
from zoo.nn.labels import one_hot
from zoo.rng import Rng
from zoo_plugins.scgan import inference, tiled
from zoo_plugins.scgan.tiled_svg import add_squares_, of_doubled

TINY = {"ngf": 4, "nff": 2, "nrf": 4, "max_width": 24, "spade_hidden": 8, "z_dim": 8, "nef": 4}


@torch.no_grad()
def plain(reference: str, **changes: Any) -> Any:
    """A model whose pictures have contrast: larger weights, statistics of its own, tables and biases that are not zero."""
    torch.manual_seed(0)
    model: Any = zoo.create(reference, **{**TINY, **changes}).eval()
    for part in model.generator.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
    for parameter in model.generator.parameters():
        parameter.mul_(5) if parameter.any() else parameter.normal_(0, 0.2)
    return model.requires_grad_(False)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny models go the way of large ones, through tiles of both sizes."""
    monkeypatch.setattr(inference, "WORTH", 0)
    monkeypatch.setattr(tiles, "PAIRS", 300)
    monkeypatch.setattr(tiles, "TILES", 16)


def maps_of(model: Any, count: int) -> SemanticMap:
    """Random blocks of classes with some pixels of noise."""
    height, width = model.resolution
    rng = torch.Generator().manual_seed(1)
    classes = len(model.label_space)
    labels = torch.randint(0, classes, (count, height // 16, width // 16), generator=rng)
    labels = labels.repeat_interleave(16, 1).repeat_interleave(16, 2)
    noise = torch.rand(labels.shape, generator=rng) < 0.01
    return SemanticMap(torch.where(noise, labels.roll(1, 1), labels), model.label_space)


def style_of(model: Any, maps: SemanticMap) -> Any:
    return model.sample_style(maps, Rng(0, range(len(maps)))) if model.styles else None


@pytest.mark.parametrize(
    ("reference", "changes"),
    [
        ("scgan/celeba-128", {}),
        ("scgan/celeba-128", {"n_norm": 4, "weight_type": "sigmoid", "edges": True}),
        ("scgan/celeba-128", {"weight_type": "hardtanh", "temperature": 1.0, "pyr_pos": False, "blur_relative": True}),
        ("scgan/celeba-128", {"norm": "spectralspadebatch3x3", "n_conv": 1}),
        ("scgan/celeba-128", {"norm": "sccinstance5x5", "routing_detach": True}),
        ("scgan/celeba-128", {"norm": "spectralbatch3x3", "weight_type": "identity"}),
        ("scgan/celeba-128", {"norm": "spectralinstance3x3"}),
        ("scgan/ade20k", {"resolution": 128, "aspect_ratio": 2.0}),
        ("scgan/coco", {"resolution": 64}),
        ("scgan/cityscapes", {"resolution": 128}),
    ],
)
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_equal_pictures(reference: str, changes: dict[str, Any], batch: int, always: None) -> None:
    model = plain(reference, **changes)
    fast = model.optimized()
    maps = maps_of(model, batch)
    style = style_of(model, maps)
    expected = model.synthesize(maps, style)
    assert expected.std() > 0.02  # else equality would say little
    layout = fast.layout(maps)
    assert (fast.synthesize(layout, style) - expected).abs().max() < 2e-5
    assert fast.layout(maps, reuse=layout) is layout
    # an edit of one map, with what the layout knows of the others
    labels = maps.labels.clone()
    labels[-1, 5:20, 8:30] = labels[-1, 0, 0]
    edited = SemanticMap(labels, maps.space)
    renewed = fast.synthesize(fast.layout(edited, reuse=layout), style)
    assert (renewed - model.synthesize(edited, style)).abs().max() < 2e-5
    if style is not None:
        z = style.tensors["z"]
        # planes instead of a map, and one plan for several latents
        images, _ = fast.generator(model.planes(maps), z)
        assert ((images + 1) / 2 - expected).abs().max() < 2e-5
        several = fast.synthesize(fast.layout(maps[:1]), model.style(torch.cat([z, -z])))
        assert (several - model.synthesize(maps[:1], model.style(torch.cat([z, -z])))).abs().max() < 2e-5


@pytest.mark.parametrize("reference", ["scgan/celeba-128", "scgan/coco"])
@pytest.mark.parametrize("threads", [1, 2])
@torch.no_grad()
def test_odd_maps(reference: str, threads: int, always: None) -> None:
    """One class, every pixel another class than its neighbours, pixels without a label; one thread and two."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = plain(reference, resolution=64) if reference == "scgan/coco" else plain(reference)
        height, width = model.resolution
        rng = torch.Generator().manual_seed(2)
        labels = torch.randint(0, len(model.label_space), (3, height, width), generator=rng)
        labels[0] = 1
        labels[2] = maps_of(model, 1).labels[0]
        if model.label_space.ignore:
            labels[2, : height // 3, ::2] = 255
        maps = SemanticMap(labels, model.label_space)
        style = style_of(model, maps)
        assert (model.optimized().synthesize(maps, style) - model.synthesize(maps, style)).abs().max() < 2e-5
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def test_which_models_are_tiled() -> None:
    with torch.device("meta"):
        assert not inference.worth_tiles(zoo.create("scgan/celeba-128", **TINY).generator)  # type: ignore[attr-defined]
        variants = "celeba-128", "ade20k", "coco", "celeba"
        assert all(inference.worth_tiles(zoo.create(f"scgan/{n}").generator) for n in variants)  # type: ignore[attr-defined]


def border(x: Tensor) -> Tensor:
    """[B, C, H, W] as the padded channels-last features that `TiledConv` sees."""
    return F.pad(x, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()


@pytest.mark.parametrize("room", [1, 1 << 10, 1 << 22])
@pytest.mark.parametrize("size", [(8, 8), (12, 20), (6, 10), (5, 7)])
@pytest.mark.parametrize("batch", [1, 3])
@torch.no_grad()
def test_candidates_strip_by_strip(
    size: tuple[int, int], batch: int, room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PAIRS": 1, "TILES": 1, "SMALL": room, "MIDDLE": room, "LARGE": room, "DIRECT": room}.items():
        monkeypatch.setattr(tiles, name, value)
    assert tiles.side_of_tiles(*size, 3, 4) == {(8, 8): 4, (12, 20): 4, (6, 10): 2, (5, 7): 1}[size]
    torch.manual_seed(0)
    x, weight, bias = torch.randn(batch, 5, *size), torch.randn(12, 5, 3, 3), torch.randn(12)
    v = torch.rand(batch, *size, 3)
    full = F.conv2d(x, weight, bias, padding=1).permute(0, 2, 3, 1)
    expected = (full.unflatten(-1, (3, 4)) * v[..., None]).sum(-2)
    conv = tiles.TiledConv(weight, bias)
    torch.testing.assert_close(tiled.mix(conv, border(x), v), expected, rtol=0, atol=5e-5)
    added = torch.ones_like(expected)
    tiled.mix(conv, border(x), v, added)
    torch.testing.assert_close(added, expected + 1, rtol=0, atol=5e-5)
    # float64 is no case for the transformed float32 weights
    double = tiled.mix(conv.double(), border(x.double()), v.double())
    torch.testing.assert_close(double.float(), expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("m", [2, 4])
def test_minimal_filtering_is_exact(m: int) -> None:
    outputs, kernels, inputs = tiles.matrices(m)
    rng = torch.Generator().manual_seed(0)
    kernel, x = (torch.randn(k, generator=rng, dtype=torch.float64) for k in (3, m + 2))
    expected = torch.stack([kernel @ x[i : i + 3] for i in range(m)])
    torch.testing.assert_close(outputs @ ((kernels @ kernel) * (inputs @ x)), expected, rtol=0, atol=1e-12)


def test_a_convolution_of_doubled_features() -> None:
    torch.manual_seed(0)
    x, kernel = torch.randn(2, 3, 4, 5), torch.randn(6, 3, 3, 3)
    out = torch.ones(2, 6, 8, 10)
    add_squares_(out, of_doubled(kernel)(x))
    expected = 1 + F.conv2d(F.interpolate(x, scale_factor=2.0), kernel, padding=1)
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", ["A_celeba256", "B_coco128"])
@torch.no_grad()
def test_recorded_cases(case: str, shared: Path, always: None) -> None:
    folder = shared / "golden" / "scgan" / case
    module, opt = golden_module("scgan"), json.loads((folder / "case.json").read_text())
    opt = opt.get("options", opt.get("opt", opt))
    model, io = module.build(opt, folder), module.recorded.load(folder / "io.safetensors")
    fast = model.optimized()
    assert fast.generator.tiled
    images, _ = fast.generator(
        one_hot(io["label"].long()[:, 0], model.generator.planes), io["z"] if model.styles else None
    )
    assert (images - io["eval_image"]).abs().max() < 4e-5  # 2e-5 of images in [0, 1]
