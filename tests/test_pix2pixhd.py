"""pix2pixHD: regions, styles, clusters, the pool, what may be wrong, and a toy training that composes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients, step_of

import zoo
from zoo.errors import ConfigError, UsageError
from zoo.inference.columns import LabelConv
from zoo.inference.optimize import optimize
from zoo.maps import SemanticMap
from zoo.nn.kmeans import kmeans
from zoo.rng import Rng
from zoo.style import Style
from zoo_plugins.pix2pixhd.clusters import drawn_styles
from zoo_plugins.pix2pixhd.config import VARIANTS, Pix2PixHDConfig, Pix2PixHDOptions
from zoo_plugins.pix2pixhd.model import Pix2PixHD
from zoo_plugins.pix2pixhd.pool import ImagePool
from zoo_plugins.pix2pixhd.regions import number_regions, paint_regions, region_means
from zoo_plugins.pix2pixhd.trainer import Pix2PixHDTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "label_space": "celebamask-hq", "edges": False, "resolution": 32, "aspect_ratio": 1.0, "ngf": 4, "n_downsample_global": 2,
    "n_blocks_global": 1, "n_blocks_local": 1, "nef": 2, "n_downsample_e": 1,
}  # fmt: skip
OPTIONS: dict[str, Any] = {"perceptual": "none", "ndf": 4, "n_layers_d": 3}


def tiny(**fields: Any) -> Pix2PixHD:
    torch.manual_seed(0)
    return Pix2PixHD(Pix2PixHDConfig(**(TINY | fields)), SPACE).eval()


def objects(maps: SemanticMap) -> SemanticMap:
    """The maps with two objects in every class: the left and the right half."""
    halves = torch.zeros_like(maps.labels)
    halves[..., maps.size[1] // 2 :] = 7
    return SemanticMap(maps.labels, maps.space, halves)


# --- regions ----------------------------------------------------------------------------------------------------------


def test_objects_of_a_class_are_counted_by_their_numbers() -> None:
    labels = torch.tensor([[[0, 0, 1, 1], [1, 1, 2, 2]]])
    numbers = torch.tensor([[[9, 4, 4, 9], [9, -1, 5, 5]]])
    assert number_regions(labels, numbers, 4).tolist() == [[[1, 0, 5, 6], [6, 4, 8, 8]]]
    assert number_regions(labels, numbers, 2).tolist() == [
        [[1, 0, 3, 2], [2, 2, 4, 4]]
    ]  # of three the third is the first again
    assert number_regions(labels, None, 4).tolist() == [[[0, 0, 4, 4], [4, 4, 8, 8]]]


def test_means_over_regions_are_those_of_their_pixels() -> None:
    values, regions = torch.randn(2, 3, 8, 8, requires_grad=True), torch.randint(0, 5, (2, 8, 8))
    means, pixels = region_means(values, regions, 6)
    for sample in range(2):
        for region in range(6):
            inside = values[sample][:, regions[sample] == region]
            assert int(pixels[sample, region]) == inside.shape[1]
            expected = inside.mean(1) if inside.shape[1] else torch.zeros(3)
            torch.testing.assert_close(means[sample, region], expected)
    painted = paint_regions(means, regions)
    assert torch.equal(painted[1, :, 2, 3], means[1, regions[1, 2, 3]])
    painted.square().sum().backward()
    assert values.grad is not None and bool(values.grad.abs().sum() > 0)


def test_an_object_has_the_features_of_its_own_pixels() -> None:
    model = tiny(features="instance", instances=4)
    maps, photos = objects(block_maps(1, classes=3)), torch.rand(1, 3, 32, 32)
    style = model.encode_style(photos, maps)
    rows = model.style_rows(style).view(len(SPACE), 4, 3)
    raw = model.encoder(photos * 2 - 1)[0]  # pyright: ignore[reportOptionalCall]
    shown = maps.labels[0].unique().tolist()
    for label in shown:
        for place, number in enumerate((0, 7)):
            inside = raw[:, (maps.labels[0] == label) & (maps.instances[0] == number)]  # pyright: ignore[reportOptionalSubscript]
            if inside.shape[1]:
                torch.testing.assert_close(rows[label, place], inside.mean(1), atol=1e-5, rtol=1e-4)
    both = [label for label in shown if not torch.equal(rows[label, 0], rows[label, 1])]
    assert both and all(
        torch.equal(rows[label, :2], rows[label, 2:]) for label in both
    )  # they follow one another again
    absent = [i for i in range(len(SPACE)) if i not in shown]
    assert style.present is not None and not style.present[0, absent].any() and not rows[absent].any()


# --- styles -----------------------------------------------------------------------------------------------------------


def with_clusters(model: Pix2PixHD) -> Pix2PixHD:
    """With two centres for every class but the last, of which the first has three times as many objects."""
    centres = torch.rand(len(SPACE), 2, 3) * 2 - 1
    counts = torch.tensor([[3, 1]] * (len(SPACE) - 1) + [[0, 0]])
    model.assets = {"clusters": {"centres": centres, "objects": counts}}
    return model


def test_styles_are_centres_of_their_class() -> None:
    model = with_clusters(tiny(features="instance", instances=3))
    centres = model.assets["clusters"]["centres"]
    style = model.sample_style(block_maps(2), 3)
    rows = model.style_rows(style).view(2, len(SPACE), 3, 3)
    assert all(
        any(torch.equal(rows[s, c, p], centres[c, k]) for k in range(2))
        for s in range(2)
        for c in range(18)
        for p in range(3)
    )
    assert style.present is not None and not style.present[:, -1].any() and style.present[:, :-1].all()
    mean = model.style_rows(model.sample_style(block_maps(1), prior="mean")).view(len(SPACE), 3, 3)
    torch.testing.assert_close(mean[4, 1], 0.75 * centres[4, 0] + 0.25 * centres[4, 1])
    few, _ = drawn_styles(model.assets["clusters"], SPACE.names, Rng(3, [0, 1]), 2)
    many, _ = drawn_styles(model.assets["clusters"], SPACE.names, Rng(3, [0, 1]), 3)
    assert torch.equal(
        few.view(2, -1, 2, 3), many.view(2, -1, 3, 3)[:, :, :2]
    )  # an object's draw does not depend on the places


def test_a_style_changes_its_class_most_and_zeros_stand_in_for_absent_ones() -> None:
    model = with_clusters(tiny(features="label"))
    maps = block_maps(1, classes=4)
    style = model.sample_style(maps, 1)
    none = Style(style.tensors, style.axes, style.classes, (), torch.zeros_like(style.present))  # pyright: ignore[reportArgumentType]
    zeros = model.style(torch.zeros(1, model.style_count, 3), torch.ones_like(style.present))  # pyright: ignore[reportArgumentType]
    assert torch.equal(model.synthesize(maps, none), model.synthesize(maps, zeros))
    assert not torch.equal(model.synthesize(maps, style), model.synthesize(maps, zeros))


def test_what_a_model_lacks_is_said() -> None:
    plain, maps = tiny(), block_maps(1)
    with pytest.raises(UsageError, match="no style"):
        plain.encode_style(torch.rand(1, 3, 32, 32), maps)
    model = tiny(features="label")
    with pytest.raises(UsageError, match="zoo fit MODEL clusters"):
        model.synthesize(maps)
    with pytest.raises(UsageError, match="no prior 'normal'"):
        with_clusters(model).sample_style(maps, 0, prior="normal")
    other = with_clusters(tiny(features="instance", instances=2)).sample_style(maps, 0)
    with pytest.raises(UsageError, match=r"features \[samples, 19, 3\]"):
        model.synthesize(maps, other)


def test_k_means_finds_separate_groups_and_drops_what_is_one() -> None:
    groups = torch.tensor([[0.0, 0], [5, 0], [0, 5]])
    rows = groups.repeat_interleave(torch.tensor([5, 3, 4]), 0) + 0.1 * torch.rand(12, 2)
    centres, counts = kmeans(rows, 3)
    assert counts.tolist() == [5, 4, 3]
    for centre, part in zip(centres, (rows[:5], rows[8:], rows[5:8]), strict=True):
        torch.testing.assert_close(centre, part.double().mean(0))
    again, _ = kmeans(rows, 3)
    assert torch.equal(again, centres)
    centres, counts = kmeans(torch.ones(4, 2), 3)
    assert centres.tolist() == [[1, 1]] and counts.tolist() == [4]


# --- inference form ---------------------------------------------------------------------------------------------------


def test_gathered_columns_over_reflected_borders_are_the_convolution() -> None:
    torch.manual_seed(0)
    conv, labels = torch.nn.Conv2d(5, 6, 7), torch.randint(0, 5, (2, 9, 11))
    planes = torch.nn.functional.one_hot(labels, 5).permute(0, 3, 1, 2).float()
    expected = conv(torch.nn.functional.pad(planes, (3, 3, 3, 3), mode="reflect"))
    torch.testing.assert_close(LabelConv(conv, reflect=True)(labels, lambda v: v), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [
        {"features": "instance", "edges": True},
        {"generator": "local", "features": "label", "encoder_halvings": 1},
        {"generator": "local", "n_local_enhancers": 2, "edges": True},
        {"input": "colours", "norm": "batch", "generator": "local"},
    ],
)
def test_the_inference_form_is_equal(fields: dict[str, Any]) -> None:
    model = tiny(**fields)
    if model.config.norm == "batch":
        model.train()
        for i in range(9):
            model.generator(model.planes(block_maps(4, seed=i)))
        model.eval()
    maps = objects(block_maps(2))
    fast: Any = optimize(model)
    style = None if model.encoder is None else model.encode_style(torch.rand(2, 3, 32, 32), maps)
    torch.testing.assert_close(fast.synthesize(maps, style), model.synthesize(maps, style), atol=2e-5, rtol=0)
    layout = fast.layout(maps)
    assert layout.plan.planes is None and len(layout.plan.first) == 1 + model.config.enhancers
    assert fast.layout(maps, reuse=layout).plan is layout.plan or model.config.edges or model.config.slots > 1


# --- configs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"resolution": 1000}, "resolution must be a multiple of 16"),
        ({"generator": "local", "resolution": 1040}, "multiple of 32"),
        ({"resolution": 16, "aspect_ratio": 1.0}, "coarsest features are 1 x 1"),
        ({"ngf": 0}, "ngf must be at least 1"),
        (
            {"features": "label", "resolution": 32, "aspect_ratio": 1.0, "encoder_halvings": 2},
            "multiples of 64 for the encoder",
        ),
    ],
)
def test_configs_that_make_no_network_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Pix2PixHDConfig(**fields)  # pyright: ignore[reportArgumentType]


def test_options_that_do_not_go_together_are_refused() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"share_fake": False}, "both steps on one fake"),
        ({"n_clusters": 0}, "n_clusters"),
        ({"ttur": True}, "lr_d"),
    ]
    for fields, words in wrong:
        with pytest.raises(ConfigError, match=words):
            Pix2PixHDOptions(**fields)
    with pytest.raises(ConfigError, match="no"):
        Pix2PixHDTrainer(tiny(), Pix2PixHDOptions(**OPTIONS, niter_fix_global=1))
    with pytest.raises(ConfigError, match="no encoder"):
        Pix2PixHDTrainer(tiny(), Pix2PixHDOptions(**OPTIONS, load_features=True))


# --- training ---------------------------------------------------------------------------------------------------------


def test_the_pool_fills_and_then_exchanges() -> None:
    pool = ImagePool(2, (1,))
    assert pool.query(torch.tensor([[0.0], [1.0]]), torch.tensor([[0.9, 0.9]] * 2)).tolist() == [[0], [1]]
    given = pool.query(torch.tensor([[2.0], [3.0], [4.0]]), torch.tensor([[0.4, 0.0], [0.6, 0.9], [0.6, 0.9]]))
    assert given.tolist() == [[2], [1], [3]] and pool.images.tolist() == [[0], [4]]


def test_the_inner_generator_stands_still_at_first() -> None:
    model = tiny(generator="local", features="label")
    trainer = Pix2PixHDTrainer(model, Pix2PixHDOptions(**OPTIONS, niter_fix_global=2, pool_size=2))
    assert (
        trainer.rates(1.9, 0)["inner"] == 0 and trainer.rates(2.0, 0)["inner"] == trainer.rates(2.0, 0)["generator"] > 0
    )
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for step in range(3):
        step_of(trainer, step)
    check_gradients(trainer, "discriminator")
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {k for k in before if k.startswith(("encoder.", "generator.model1_"))}
    assert int(trainer.networks["pool"].stored) == 2  # pyright: ignore[reportArgumentType]


def test_a_finished_model_gives_what_fits(tmp_path: Path) -> None:
    inner = tiny(ngf=8, features="label", resolution=16)
    zoo.save(inner, tmp_path / "inner")
    outer = tiny(generator="local", features="label", encoder_halvings=1)
    options = Pix2PixHDOptions(**OPTIONS, load_pretrain=str(tmp_path / "inner"), load_features=True)
    trainer = Pix2PixHDTrainer(outer, options)
    ours, theirs = outer.state_dict(), inner.state_dict()
    same = {k for k in theirs if k in ours and torch.equal(ours[k], theirs[k])}
    assert same == {k for k in theirs if not k.startswith("generator.model.18.")}  # the last convolution has no place
    step_of(trainer, 0)
    assert all(torch.equal(v, theirs[k]) for k, v in outer.state_dict().items() if k.startswith("encoder."))
    other = Pix2PixHDOptions(**OPTIONS, load_pretrain=str(tmp_path / "inner"))
    with pytest.raises(UsageError, match="no tensor of it fits"):
        Pix2PixHDTrainer(tiny(ngf=3, n_downsample_global=1), other)


def test_every_variant_says_how_it_is_trained() -> None:
    assert {"cityscapes-512", "cityscapes-1024", "celeba-128"} < set(VARIANTS)
    for name, variant in VARIANTS.items():
        assert variant.training.load_features <= (variant.config.features != "none"), name
        assert bool(variant.training.niter_fix_global) == (variant.config.generator == "local"), name
