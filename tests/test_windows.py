"""The inference form by distinct window: exact numbers of windows, and pictures equal to the plain networks on every kind of map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from golden_modules import golden_module
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

import zoo
from zoo.families.spade import folded, window_blocks, window_norms, window_plans, window_products
from zoo.families.spade.folded import worth_windows
from zoo.inference import columns, tiles, windows
from zoo.inference.columns import LabelConv
from zoo.inference.windows import (
    merged,
    number_tuples,
    number_windows,
    renumber,
    shown_values,
    touched,
    windows_at,
    windows_of,
)
from zoo.maps import SemanticMap
from zoo.nn.spectral import recompute_spectral
from zoo.rng import Rng
from zoo_plugins.clvae.regions import find_regions

SMALL: dict[str, Any] = {"ngf": 4, "resolution": 64, "spade_hidden": 8}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "spade": ("spade/ade20k", SMALL),
    "edges": ("spade/coco", SMALL),
    "latent": ("spade/celeba-vae", {**SMALL, "nef": 4, "z_dim": 16, "encoder_size": 64}),
    "1x1": ("spade/celeba", {**SMALL, "norm": "spectralspadebatch1x1"}),
    "5x5": ("spade/celeba", {**SMALL, "norm": "spadesyncbatch5x5"}),
    "instance": ("spade/celeba", {**SMALL, "norm": "spectralspadeinstance3x3"}),
    "wide": ("spade/cityscapes", {**SMALL, "resolution": 128, "edges": False}),
    "most": ("spade/celeba", {**SMALL, "resolution": 128, "upsampling": "most"}),
    "clvae": ("clvae/celeba-128", {"ngf": 4, "nef": 4, "max_width": 0, "z_dim": 16, "spade_hidden": 8}),
    "clvae wide": (
        "clvae/gta5",
        {**SMALL, "resolution": 128, "nef": 4, "z_dim": 16, "z_dim_local": 5, "encoder_size": 128},
    ),
    "clvae few layers": (
        "clvae/celeba-128",
        {"ngf": 4, "nef": 4, "spade_hidden": 8, "layers": 3, "upsampling": "more"},
    ),
    "clvae one class": ("clvae/celeba-128", {"ngf": 4, "nef": 4, "spade_hidden": 8, "classwise": False}),
}
TOLERANCE = 2e-5


def lively(model: Any) -> Any:
    """Weights with which every input moves the picture."""
    torch.manual_seed(3)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.5, 2)
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.weight.data.normal_(0, part.weight[0].numel() ** -0.5)
            if part.bias is not None:
                part.bias.data.normal_(0, 0.1)
    recompute_spectral(model)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def pairs() -> dict[str, tuple[Any, Any]]:
    """Models made so far with their inference forms."""
    return {}


@pytest.fixture
def pair(
    pairs: dict[str, tuple[Any, Any]], request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, Any]:
    """A tiny model by its key in MODELS and its form by distinct window."""
    monkeypatch.setattr(folded, "WORTH", 0)
    if request.param not in pairs:
        name, fields = MODELS[request.param]
        plain = lively(zoo.create(name, **fields))
        pairs[request.param] = plain, plain.optimized()
    assert pairs[request.param][1].generator.windowed
    return pairs[request.param]


def blocks(model: Any, batch: int = 1, seed: int = 0, side: int = 9) -> SemanticMap:
    """Maps of random blocks."""
    source = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, len(model.label_space), (batch, 1, side, side), generator=source).float()
    return SemanticMap(F.interpolate(coarse, size=model.resolution)[:, 0].long(), model.label_space)


def kinds_of_maps(model: Any) -> dict[str, SemanticMap]:
    """The maps that could go wrong."""
    height, width = model.resolution
    classes, space = len(model.label_space), model.label_space
    every = torch.arange(height * width).view(1, height, width)
    source = torch.Generator().manual_seed(1)
    made = {
        "one class": torch.full((1, height, width), classes - 1),
        "every pixel": every % classes,
        "noise": torch.randint(0, classes, (1, height, width), generator=source),
        "one pixel": (every == height * width - 1).long(),
        "border": ((every // width == 0) | (every % width == width - 1)).long() * 2,
        "odd size": torch.randint(0, classes, (1, 37, 53), generator=source),
    }
    if space.ignore:
        made["void"] = torch.where(every % 7 == 0, 255, every // width % 3)
    return {name: SemanticMap(labels, space) for name, labels in made.items()}


def apart(one: Tensor, other: Tensor) -> float:
    assert one.shape == other.shape
    return float((one - other).abs().max())


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("dense", [0, 4, 10**4])
def test_numbers_are_equal_where_windows_are(kernel: int, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "DENSE", dense)
    numbers = torch.randint(0, 2, (2, 7, 6), generator=torch.Generator().manual_seed(0))
    found, index = number_windows(numbers, 2, kernel)
    pad = kernel // 2
    expected = F.pad(numbers, (pad,) * 4, value=2).unfold(1, kernel, 1).unfold(2, kernel, 1).flatten(3)
    assert torch.equal(found[index], expected)
    assert len(torch.unique(found, dim=0)) == len(found) == len(torch.unique(expected.flatten(0, 2), dim=0))


def test_tuples_whose_codes_would_overflow_are_exact() -> None:
    high = 2**31
    parts = [torch.tensor([high - 1, 0, high - 1, high - 1]) for _ in range(9)]
    parts[4] = torch.tensor([5, 5, 6, 5])
    numbers, count = number_tuples(parts, high)
    assert count == 3 and numbers.tolist() == [numbers[0], numbers[1], numbers[2], numbers[0]]
    assert len(set(numbers.tolist())) == 3


def test_values_are_numbered_without_holes() -> None:
    shown, numbers = shown_values(torch.tensor([[[7, 3], [3, 300]]]))
    assert shown.tolist() == [3, 7, 300] and numbers.tolist() == [[[1, 0], [0, 2]]]
    assert renumber(torch.tensor([4, 0, 4]), 5)[0].tolist() == [1, 0, 1]


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_windows_of_some_pixels_are_those_of_all(kernel: int) -> None:
    numbers = torch.randint(0, 3, (2, 8, 5), generator=torch.Generator().manual_seed(2))

    def labels(found: windows.Windows) -> Tensor:
        inner = torch.cat([found.inner, found.inner.new_full((1, found.taps), -1)])
        return inner[found.outer.long()][found.index.long()].flatten(0, -3)

    places = torch.tensor([0, 4, 39, 41, 79, 60])
    assert torch.equal(labels(windows_at(numbers, 3, kernel, places)), labels(windows_of(numbers, 3, kernel))[places])


def test_what_a_change_touches() -> None:
    changed = torch.zeros(2, 20, 9, dtype=torch.bool)
    changed[1, 9, 0] = True
    found = touched(changed, 3)
    assert found.box == (slice(5, 14), slice(0, 5))
    seen = found.replaced(torch.zeros(2, 20, 9), torch.ones(len(found.places))).bool()
    assert not seen[0].any() and seen[1, 7:12, :3].all() and seen.sum() == 15
    assert len(touched(changed, 1).places) == 1
    old = torch.zeros(2, 4, 4)
    everywhere = touched(torch.ones(2, 4, 4, dtype=torch.bool), 3)
    assert everywhere.replaced(old, torch.ones(32)).all() and not old.any()  # the box is the map


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("corner", [(0, 0), (13, 11), (6, 5), (1, 12)])
def test_windows_after_a_change_are_those_of_the_new_map(kernel: int, corner: tuple[int, int]) -> None:
    """Windows in the box, counted anew, are those in the map, also where the box ends within the picture."""
    numbers = torch.randint(0, 3, (2, 15, 13), generator=torch.Generator().manual_seed(4))
    changed = torch.zeros_like(numbers, dtype=torch.bool)
    changed[1, corner[0] : corner[0] + 2, corner[1] : corner[1] + 1] = True
    after = torch.where(changed, 3, numbers)
    old, new = windows_of(numbers, 4, kernel), windows_of(after, 4, kernel)
    seen, before = touched(changed, kernel), old.index.clone()
    amended = merged(old, windows_at(seen.of(after), 4, kernel, seen.places), seen)

    def labels(found: windows.Windows) -> Tensor:
        inner = torch.cat([found.inner, found.inner.new_full((1, found.taps), -1)])
        return inner[found.outer.long()][found.index.long()]

    assert torch.equal(labels(amended), labels(new)) and torch.equal(old.index, before)
    assert len(torch.unique(amended.index)) == len(amended.outer)  # none is left that no pixel has
    assert set(amended.outer.unique().tolist()) <= set(range(len(amended.inner) + 1))


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_label_convolutions(kernel: int) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 4, kernel, padding=kernel // 2).requires_grad_(False)
    values = torch.randint(0, 5, (2, 6, 7))
    planes = F.one_hot(values, 6).permute(0, 3, 1, 2).float()
    torch.testing.assert_close(LabelConv(conv)(values, lambda v: v), conv(planes), atol=1e-6, rtol=0)
    rows = torch.randn(5, 6)
    found = LabelConv(conv)(values, lambda v: rows[v])
    torch.testing.assert_close(found, conv(rows[values].permute(0, 3, 1, 2)), atol=1e-5, rtol=0)


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pair", list(MODELS), indirect=True)
@torch.no_grad()
def test_pictures_are_equal_on_every_kind_of_map(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    for name, maps in {**kinds_of_maps(plain), "blocks": blocks(plain, 3)}.items():
        rng = Rng(5, range(len(maps)))
        picture = plain.synthesize(maps, rng=rng)
        assert picture.std() > 0.02, name  # a picture that shows nothing would equal anything
        assert apart(fast.synthesize(maps, rng=rng), picture) < TOLERANCE, name


@pytest.mark.parametrize("pair", ["spade", "edges", "instance", "clvae wide"], indirect=True)
@pytest.mark.parametrize(("threads", "separately"), [(1, True), (1, False), (2, True)])
@torch.no_grad()
def test_pictures_are_equal_through_tiles(
    pair: tuple[Any, Any], threads: int, separately: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tiny models go the way of large ones: tiles of both sizes at all scales that have room for them."""
    plain, fast = pair
    monkeypatch.setattr(tiles, "PAIRS", 1)
    monkeypatch.setattr(tiles, "TILES", 4)
    monkeypatch.setattr(tiles, "SEPARATELY", separately)
    sizes = {fast.generator.size(step.scale) for step in fast.generator.steps}
    assert {tiles.side_of_tiles(height, width, 8, 8) for height, width in sizes} >= {2, 4}
    kinds = {**kinds_of_maps(plain), "blocks": blocks(plain, 3)}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for name, maps in kinds.items():
            if threads == 2 and name not in ("one class", "every pixel", "border", "void", "blocks"):
                continue  # two threads wait for each other on a busy machine
            rng = Rng(5, range(len(maps)))
            assert apart(fast.synthesize(maps, rng=rng), plain.synthesize(maps, rng=rng)) < TOLERANCE, name
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("key", ["spade", "clvae"])
@pytest.mark.parametrize("few", [0, 10**6])
@torch.no_grad()
def test_every_processor_gives_the_same(key: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products by MKL or by oneDNN, and few windows at once or many."""
    monkeypatch.setattr(folded, "WORTH", 0)
    name, fields = MODELS[key]
    plain = lively(zoo.create(name, **fields))
    maps = {**kinds_of_maps(plain), "blocks": blocks(plain, 2)}
    for mkl in (True, False):
        for module in (window_blocks, window_products):
            monkeypatch.setattr(module, "mkl", lambda answer=mkl: answer)
        for module in (window_norms, window_products):
            monkeypatch.setattr(module, "FEW", few)
        fast = plain.optimized()
        assert bool(fast.generator.head_0.norm_0.products.parts) is not mkl
        for kind, semantic_map in maps.items():
            rng = Rng(5, range(len(semantic_map)))
            assert apart(fast.synthesize(semantic_map, rng=rng), plain.synthesize(semantic_map, rng=rng)) < TOLERANCE, (
                kind
            )


@pytest.mark.parametrize("pair", ["spade", "clvae"], indirect=True)
@pytest.mark.parametrize("limits", [(1, 1, 0), (3, 7, 0), (256, 1024, 10**9)])
@pytest.mark.parametrize("bags", [0, 10**9])
@torch.no_grad()
def test_pieces_change_nothing(
    pair: tuple[Any, Any], limits: tuple[int, int, int], bags: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, fast = pair
    monkeypatch.setattr(window_blocks, "PIECE", limits[0] * 100)
    monkeypatch.setattr(window_products, "PIECE", limits[1])
    monkeypatch.setattr(window_products, "COLUMNS", 5)
    monkeypatch.setattr(window_norms, "MOST", limits[2])
    monkeypatch.setattr(window_norms, "BAGS", bags)
    monkeypatch.setattr(window_norms, "FEW", 0)
    maps = blocks(plain, 2)
    assert apart(fast.synthesize(maps, rng=0), plain.synthesize(maps, rng=0)) < TOLERANCE


@pytest.mark.parametrize("pair", ["latent", "clvae", "clvae one class"], indirect=True)
@torch.no_grad()
def test_styles_of_one_map_share_its_tables(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    maps = blocks(plain)
    style = plain.sample_style(maps[[0, 0, 0]], Rng(4, range(3)))
    layout = fast.layout(maps)
    together = fast.synthesize(layout, style)
    assert apart(together, plain.synthesize(maps, style)) < TOLERANCE
    for i in range(3):
        assert apart(together[i : i + 1], fast.synthesize(layout, style[i])) < TOLERANCE


@pytest.mark.parametrize("pair", ["spade", "edges", "clvae"], indirect=True)
@torch.no_grad()
def test_two_threads_give_the_same(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    maps, before = blocks(plain, 2), torch.get_num_threads()
    pictures = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            pictures.append(fast.synthesize(maps, rng=0))
    finally:
        torch.set_num_threads(before)
    assert apart(pictures[0], pictures[1]) < TOLERANCE
    assert apart(pictures[0], plain.synthesize(maps, rng=0)) < TOLERANCE


@pytest.mark.parametrize("pair", ["spade", "edges", "clvae"], indirect=True)
@torch.no_grad()
def test_a_stroke_makes_new_rows_alone(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    layout = fast.layout(blocks(plain, 2))
    first = fast.synthesize(layout, rng=0)
    assert fast.layout(blocks(plain, 2), reuse=layout) is layout
    old = layout
    for step in range(12):  # more than there is room for
        labels = layout.semantic_map.labels.clone()
        labels[step % 2, 3 * step : 3 * step + 5, 20:26] = step
        maps = SemanticMap(labels, plain.label_space)
        layout = fast.layout(maps, reuse=layout)
        finest = max(layout.plan.sites)
        site, before = layout.plan.sites[finest], old.plan.sites[finest]
        if step == 0:
            assert site.tables is before.tables  # rows were added
            same = site.index == before.index
            assert same[1].all() and 0 < (~same[0]).sum() <= 9 * 10
        assert apart(fast.synthesize(layout, rng=0), plain.synthesize(maps, rng=0)) < TOLERANCE
    assert torch.equal(fast.synthesize(old, rng=0), first)  # the layouts before are as they were


@pytest.mark.parametrize("pair", ["spade", "clvae"], indirect=True)
@torch.no_grad()
def test_tables_without_room_are_made_afresh(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    plain, fast = pair
    monkeypatch.setattr(window_plans, "ROOM", 0)
    layout = fast.layout(blocks(plain))
    labels = layout.semantic_map.labels.clone()
    labels[:, :6, 30:40] = 7
    again = fast.layout(SemanticMap(labels, plain.label_space), reuse=layout)
    finest = max(again.plan.sites)
    assert again.plan.sites[finest].tables is not layout.plan.sites[finest].tables
    assert apart(fast.synthesize(again, rng=0), plain.synthesize(again.semantic_map, rng=0)) < TOLERANCE
    other = fast.layout(blocks(plain, 2), reuse=layout)  # another number of maps
    assert apart(fast.synthesize(other, rng=0), plain.synthesize(other.semantic_map, rng=0)) < TOLERANCE


@pytest.mark.parametrize("pair", ["edges"], indirect=True)
@torch.no_grad()
def test_instances_show_in_the_edges(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    flat = torch.zeros(1, *plain.resolution, dtype=torch.long)
    numbers = torch.arange(plain.resolution[1]).div(9, rounding_mode="floor").expand_as(flat)
    maps, without = SemanticMap(flat, plain.label_space, numbers), SemanticMap(flat, plain.label_space)
    layout = fast.layout(without)
    reused = fast.layout(maps, reuse=layout)
    pictures = plain.synthesize(maps)
    assert apart(fast.synthesize(reused), pictures) < TOLERANCE < apart(fast.synthesize(layout), pictures)


@pytest.mark.parametrize("pair", ["spade", "clvae"], indirect=True)
@torch.no_grad()
def test_bfloat16_gives_nearly_the_same(pair: tuple[Any, Any]) -> None:
    plain, fast = pair
    maps = blocks(plain)
    fast_half: Any = zoo.optimize(plain, dtype=torch.bfloat16)
    half = fast_half.synthesize(maps, rng=0)
    assert half.dtype == torch.float32 and 0 < (half - fast.synthesize(maps, rng=0)).abs().mean() < 0.05


def test_layouts_hold_tables_not_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded, "WORTH", 0)
    model = lively(zoo.create("spade/celeba", ngf=8, resolution=128, spade_hidden=8))
    coarse = blocks(model, side=5)
    sites, affines = model.optimized().layout(coarse).plan.sites.values(), model.layout(coarse).plan.blocks
    tables = sum(r[: s.tables.used].numel() for s in sites for r in s.tables.rows.values())
    assert tables < 0.5 * sum(t.numel() for b in affines for a in b if a is not None for t in a)


def test_narrow_generators_keep_their_last_bit() -> None:
    for name in ("spade/celeba-128", "clvae/celeba-128"):
        model = zoo.create(name)
        assert not worth_windows(model.generator) and not model.optimized().generator.windowed, name  # type: ignore[arg-type]
    with torch.device("meta"):
        assert worth_windows(zoo.create("spade/ade20k").generator)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", ["A_normal_celeba", "B2_most_coco_instance1x1", "B4_ade20k_c151_1x1"])
@torch.no_grad()
def test_recorded_cases_of_spade(case: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded, "WORTH", 0)
    module, folder = golden_module("spade"), shared / "golden" / "spade" / case
    options = json.loads((folder / "case.json").read_text())["official_options"]
    plain, io = module.build(options, folder), module.recorded.load(folder / "io.safetensors")
    fast = plain.optimized()
    planes, z = plain.planes(module.map_of(plain, io)), module.latents(plain, io)
    # as pictures in [0, 1]: the generators' own are in [-1, 1]
    assert fast.generator.windowed and apart(fast.generator(planes, z) / 2, plain.generator(planes, z) / 2) < TOLERANCE


@pytest.mark.parametrize("case", ["A_deepfashion_more", "B2_ade20k_c151"])
@torch.no_grad()
def test_recorded_cases_of_clvae(case: str, shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folded, "WORTH", 0)
    module, folder = golden_module("clvae"), shared / "golden" / "clvae" / case
    stored, io = load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors")
    plain = module.build(json.loads((folder / "case.json").read_text()), stored)
    fast, regions = plain.optimized(), find_regions(module.labels_of(io))
    codes = torch.randn(len(regions.pyramid[0]), len(plain.channels), len(plain.config.layer_names), plain.n_local)
    z = torch.randn(len(codes), plain.config.z_dim)
    assert fast.generator.windowed
    assert apart(fast.generator(regions, codes, z) / 2, plain.generator(regions, codes, z) / 2) < TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("pair", ["spade", "edges", "clvae wide"], indirect=True)
@torch.no_grad()
def test_real_maps(pair: tuple[Any, Any], shared: Path) -> None:
    plain, fast = pair
    folder = {"ade20k": "ade20k/annotations", "coco-stuff": "coco_stuff/val_label"}.get(
        plain.label_space.name, "gta5/LabelgrayFull20"
    )
    height, width = plain.resolution
    files = sorted((shared / "data" / "samples" / folder).rglob("*.png"))[:4]
    assert files
    for file in files:
        picture = PIL.Image.open(file).resize((width, height), PIL.Image.Resampling.NEAREST)
        labels = torch.from_numpy(np.array(picture).astype(np.int64))[None]
        maps = SemanticMap(torch.where(labels < len(plain.label_space), labels, 0), plain.label_space)
        assert apart(fast.synthesize(maps, rng=0), plain.synthesize(maps, rng=0)) < TOLERANCE, file.name


def test_columns_are_those_of_the_kernel() -> None:
    weight = torch.arange(2 * 3 * 9.0).view(2, 3, 3, 3)
    assert torch.equal(columns.kernel_columns(weight)[5, 1], weight[:, 1, 1, 2])
