"""CLADE behind the zoo's interface: positions, its inference form, its trainer, trained and composed at toy sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from gan_tiny import SPACE, block_maps, check_gradients, check_learning, settled, step_of
from segvae_tiny import small
from training_steps import TwoPairs

import zoo
from zoo.errors import ConfigError, UsageError
from zoo.maps import SemanticMap
from zoo.nn.components import components
from zoo.nn.positions import class_positions
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.clade.config import VARIANTS, CladeConfig, CladeOptions
from zoo_plugins.clade.model import CLADE
from zoo_plugins.clade.trainer import CladeTrainer

TINY = CladeConfig(
    label_space="celebamask-hq", positions=True, resolution=32, ngf=2, use_vae=True, z_dim=6, nef=2, encoder_size=32
)
OPTIONS = CladeOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3)


def _model(**changes: Any) -> CLADE:
    torch.manual_seed(0)
    return settled(CLADE(replace(TINY, **changes), SPACE))


# --- parts and positions -----------------------------------------------------------------------------------------------


def _flooded(labels: torch.Tensor) -> dict[tuple[int, int], int]:
    """The parts of one map by filling them pixel by pixel: place -> number."""
    height, width = labels.shape
    number: dict[tuple[int, int], int] = {}
    for start in [(y, x) for y in range(height) for x in range(width)]:
        todo = [start] * (start not in number)
        while todo:
            y, x = todo.pop()
            if (y, x) in number:
                continue
            number[y, x] = start[0] * width + start[1]
            around = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            todo += [p for p in around if 0 <= p[0] < height and 0 <= p[1] < width and labels[p] == labels[y, x]]
    return number


@pytest.mark.parametrize("size", [(9, 13), (1, 7), (7, 1), (1, 1), (16, 16)])
def test_parts_are_those_that_filling_finds(size: tuple[int, int]) -> None:
    for seed in range(6):
        labels = torch.randint(0, 3, (2, *size), generator=torch.Generator().manual_seed(seed))
        parts = components(labels)
        for sample in range(2):
            ours = {p: int(parts[(sample, *p)]) - sample * size[0] * size[1] for p in _flooded(labels[sample])}
            assert ours == _flooded(labels[sample])


def test_a_long_winding_part_is_one_and_maps_of_a_batch_are_apart() -> None:
    labels = torch.zeros(2, 33, 33, dtype=torch.long)
    labels[:, 1::2] = 1
    labels[:, 1::4, -1], labels[:, 3::4, 0] = 0, 0  # the rows of 0 hang together at alternating ends
    assert len(components(labels)[0][labels[0] == 0].unique()) == 1
    assert not set(components(labels)[0].unique().tolist()) & set(components(labels)[1].unique().tolist())


def test_positions_of_a_box() -> None:
    labels = torch.zeros(1, 8, 8, dtype=torch.long)
    labels[0, 2:5, 3:7] = 4  # rows 2..4, columns 3..6
    found = class_positions(labels, normalize=False)
    assert found[0, 0, 2:5, 3].tolist() == [-1, 0, 1] and found[0, 1, 2, 3:7].tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert not found[:, :, labels[0] == 0].any()
    unit = class_positions(labels)
    assert 0.9999 < float(unit.max()) < 1 and torch.equal(unit.sign(), found.sign())
    labels[0, 0] = 5  # one pixel high: it has no vertical offset
    assert not class_positions(labels)[0, 0, 0].any() and class_positions(labels, without=None)[0, 0, 7].any()


# --- model -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    config = VARIANTS[name].config
    space = label_space(config.label_space)
    with torch.device("meta"):
        model = CLADE(config, space)
    assert model.channels == space.names and ("photo" in model.styles) == config.use_vae
    count = sum(p.numel() for p in model.parameters())
    assert count <= 4_400_000 if "-128" in name else count > 6e7


def test_sizes() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*ngf.*max_width"):
        CladeConfig(resolution=100, ngf=0, max_width=-1)
    with pytest.raises(ConfigError, match="ngf must be at least 2"):
        CladeConfig(resolution=128, ngf=1, upsampling="most")


def test_class_numbers_give_the_plan_of_the_planes() -> None:
    model, maps = _model(edges=True, use_vae=False), block_maps(2)
    ours, theirs = model.plan(maps), model.generator.plan(model.planes(maps))
    assert ours.start is not None and theirs.start is not None
    torch.testing.assert_close(ours.start, theirs.start, atol=1e-6, rtol=0)
    for scale, site in ours.sites.items():
        other = theirs.sites[scale]
        assert torch.equal(site.classes, other.classes) and site.positions is not None and other.positions is not None
        assert site.edges is not None and other.edges is not None and torch.equal(site.edges, other.edges)
        assert torch.equal(site.positions, other.positions)


def test_a_part_that_moves_inside_its_class_changes_the_picture_with_positions_alone() -> None:
    """Two maps that show the same class everywhere, in one part or in two: without positions and edges one picture."""
    labels = torch.full((1, 32, 32), 3)
    split = labels.clone()
    split[:, :, 16:] = 4
    plain, placed = (_model(positions=on, use_vae=False) for on in (False, True))
    for model in (plain, placed):
        for name, layer in model.generator.named_modules():
            if name.endswith(("norm_0", "norm_1", "norm_s")):
                tables: Any = layer
                for table in (tables.weight, tables.bias):
                    table.data[4] = table.data[3]  # both classes look alike
        if model.generator.fc is not None:
            fc: Any = model.generator.fc
            fc.weight.data[:, 4] = fc.weight.data[:, 3]
    pictures = [[m.synthesize(SemanticMap(x, SPACE)) for x in (labels, split)] for m in (plain, placed)]
    torch.testing.assert_close(*pictures[0], atol=1e-6, rtol=0)
    assert (pictures[1][0] - pictures[1][1]).abs().max() > 1e-3


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"positions": False},
        {"use_vae": False, "edges": True},
        {"positions": False, "use_vae": False, "edges": True, "norm": "spadebatch3x3"},
        {"norm": "spectralspadeinstance1x1", "resolution": 64, "edges": True},  # an instance norm needs more than one pixel
        {"upsampling": "more", "resolution": 64, "aspect_ratio": 0.5},
        {"upsampling": "most", "resolution": 256, "aspect_ratio": 2.0, "use_vae": False, "ngf": 4, "max_width": 4},
    ],
)  # fmt: skip
def test_inference_form_is_equal(changes: dict[str, Any]) -> None:
    model, maps = _model(**changes), block_maps(2)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast = model.optimized()
    plain = model.synthesize(maps, rng=3)
    assert plain.shape[-2:] == model.resolution
    torch.testing.assert_close(fast.synthesize(maps, rng=3), plain, atol=2e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    tables = [m for m in fast.modules() if type(m).__name__ == "CLADENorm"]
    assert tables and not any("weight" in dict(m.named_parameters(recurse=False)) for m in tables)


def test_edges_are_instances_where_there_are_any_and_a_layout_is_reused() -> None:
    model, maps = _model(edges=True, use_vae=False), block_maps(1)
    instances = torch.zeros_like(maps.labels)
    instances[:, :, 9:] = 1
    drawn, told = model.layout(maps), model.layout(SemanticMap(maps.labels, SPACE, instances))
    assert "`instances`" in drawn.notes[0] and told.notes == () and model.layout(maps, reuse=drawn) is drawn
    assert (model.synthesize(drawn) - model.synthesize(told)).abs().max() > 1e-3
    again = model.layout(maps, reuse=told)
    torch.testing.assert_close(model.synthesize(again), model.synthesize(drawn), atol=1e-6, rtol=0)
    with pytest.raises(UsageError, match="This CLADE has no style"):
        model.sample_style(maps, 1)


# --- training ----------------------------------------------------------------------------------------------------------


def test_the_start_of_the_tables_is_the_official_one() -> None:
    torch.manual_seed(0)
    norm: Any = (
        CLADE(replace(TINY, ngf=16, edges=True), SPACE).generator.get_submodule("head_0.norm_0").requires_grad_(False)
    )
    assert 0 <= float(norm.weight.min()) < 0.01 and 0.99 < float(norm.weight.max()) <= 1 and not norm.bias.any()
    for conv in (norm.scale_position, norm.shift_position, norm.edge_conv):
        assert 0 < float(conv.weight.abs().max()) < 0.1 and not conv.bias.any()


@pytest.mark.parametrize("vae", [False, True])
def test_training_steps(vae: bool) -> None:
    torch.manual_seed(1)
    trainer = CladeTrainer(CLADE(replace(TINY, use_vae=vae, edges=not vae), SPACE), OPTIONS)
    losses = step_of(trainer, 0)
    assert set(losses) == {"gan", "gan_feat", "d_fake", "d_real"} | ({"kld"} if vae else set())
    check_gradients(trainer)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert set(rows) == {"map", "photo", *(("encoded", "random") if vae else ("image",))}


def test_training_learns() -> None:
    torch.manual_seed(1)
    check_learning(CladeTrainer(CLADE(TINY, SPACE), replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)), "l1", 30)


@pytest.mark.usefixtures("one_thread")
def test_it_is_trained_and_composes_with_both_mask_generators(
    tmp_path: Path, run: Callable[..., Ran], pair: tuple[str, str]
) -> None:
    sizes = {
        "resolution": 32, "encoder_size": 32, "ngf": 4, "max_width": 16, "nef": 4, "z_dim": 8, "ndf": 4, "batch_size": 2, "steps": 2,
        "precision": "fp32", "preview_every": 0, "validate_every": 0, "perceptual": "none",
    }  # fmt: skip
    changes = [x for k, v in sizes.items() for x in ("--set", f"{k}={v}")]
    made = run(
        "train", "clade/celeba-128", "--device", "cpu", "--data", "toy-faces:6", "--out", tmp_path / "r", *changes
    )
    assert made.code == 0, made.err
    model = tmp_path / "r" / "model"
    assert "latent_prior" in zoo.load(model).assets
    segvae = zoo.save(small(), tmp_path / "segvae")
    for generator in (pair[0], segvae):
        made = zoo.compose((str(generator), str(model)), device="cpu")(labels=["skin", "hair", "nose"], n=2, seed=3)
        assert made.images is not None and made.images.shape == (2, 3, 32, 32)
        assert (made.images[0] - made.images[1]).abs().max() > 1e-3
