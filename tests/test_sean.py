"""SEAN behind the zoo's interface, its styles, noise, inference form and trainer, at toy sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import segvae_tiny
import torch
from gan_tiny import SPACE, block_maps, check_learning
from test_training_cli import zoo as cli
from torch import Tensor

import zoo
from zoo.data import PairData
from zoo.data.toy_faces import ToyFaces
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.families.spade.prior_styles import estimate_statistics
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.style import Style
from zoo.testing.subject import stir
from zoo_plugins.sean import inference
from zoo_plugins.sean.blocks import SEANNorm
from zoo_plugins.sean.config import VARIANTS, SEANConfig, SEANOptions
from zoo_plugins.sean.model import SEAN
from zoo_plugins.sean.regions import region_numbers, region_windows
from zoo_plugins.sean.trainer import SEANTrainer

TINY = SEANConfig(resolution=32, ngf=2, spade_hidden=4, style_dim=6, style_width=2)
OPTIONS = SEANOptions(steps=10, batch_size=2, perceptual="none", ndf=4, lr=2e-3)
HAIR, NOSE = SPACE.index("hair"), SPACE.index("nose")


def _model(seed: int = 0, **changes: Any) -> SEAN:
    torch.manual_seed(seed)
    model = SEAN(replace(TINY, **changes), SPACE)
    stir(model, seed)
    return model.eval()


def _photos(count: int, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


# --- styles -------------------------------------------------------------------------------------------------------


def test_the_style_is_that_of_the_classes_shown() -> None:
    model, maps = _model(), block_maps(2, classes=8)
    assert model.styles == {"photo"} and model.channels == SPACE.names and model.resolution == (32, 32)
    style = model.encode_style(_photos(2), maps)
    codes, present = style.tensors["codes"], style.present
    assert present is not None and torch.equal(present, maps.present()) and style.rng is None
    assert codes.shape == (2, 19, 6, 6) and style.layers == model.config.layer_names
    assert not codes[~present].any() and 0 < codes[present].abs().max() < 1
    assert torch.equal(codes, codes[:, :, :1].expand_as(codes))  # the paper's codes are one for all blocks


def test_codes_are_means_over_each_classs_pixels() -> None:
    model, maps = _model(), block_maps(2, classes=8)
    planes = model.planes(maps)
    with torch.no_grad():
        features, (codes, _) = model.encoder.features(_photos(2)), model.encoder(_photos(2), planes)
    small = maps.labels[:, ::2, ::2]
    for row in range(2):
        for value in small[row].unique().tolist():
            expected = features[row][:, small[row] == value].mean(1)
            torch.testing.assert_close(codes[row, value], expected, atol=1e-5, rtol=1e-4)


def test_one_class_and_one_layer_take_another_style() -> None:
    model, maps = _model(), block_maps(1, classes=8)
    one, other = (model.encode_style(_photos(1, seed=s), maps) for s in (0, 1))
    name, *_ = maps.label_set(0).names
    swapped, half = one.take(other, classes=[name]), one.lerp(other, 0.5, classes=[name])
    index = model.channels.index(name)
    mean = (one.tensors["codes"][:, index] + other.tensors["codes"][:, index]) / 2
    torch.testing.assert_close(half.tensors["codes"][:, index], mean)
    rest = [i for i in range(19) if i != index]
    assert torch.equal(swapped.tensors["codes"][:, rest], one.tensors["codes"][:, rest])
    pictures = [model.synthesize(maps, s, rng=0) for s in (one, swapped, half)]
    assert not torch.equal(pictures[0], pictures[1]) and not torch.equal(pictures[0], pictures[2])
    crossed = one.take(other, layers=["1/8"])  # the paper's style crossover: other codes for some blocks
    assert torch.equal(crossed.tensors["codes"][:, :, 3], other.tensors["codes"][:, :, 3])
    assert torch.equal(crossed.tensors["codes"][:, :, :3], one.tensors["codes"][:, :, :3])
    assert not torch.equal(model.synthesize(maps, crossed, rng=0), pictures[0])


def test_a_style_far_away_changes_nothing_nearby() -> None:
    """A region's code is seen in its pixels and one pixel around them, at every scale: one half of the norms' styles."""
    model = _model()
    planes = torch.zeros(1, 19, 8, 8)
    planes[:, NOSE, :, :4], planes[:, HAIR, :, 4:] = 1, 1
    windows = region_windows(region_numbers(planes), 19)
    style = cast(SEANNorm, model.generator.get_submodule("up_1.norm_0")).style
    assert style is not None
    codes = torch.rand(1, 19, 6)
    with torch.no_grad():
        before = torch.cat(style(windows, codes).affine(), 1)
        codes[:, HAIR] += 1
        after = torch.cat(style(windows, codes).affine(), 1)
    assert torch.equal(before[..., :3], after[..., :3]) and not torch.equal(before[..., 3], after[..., 3])


def test_the_gather_sum_is_the_convolution() -> None:
    """gamma and beta of the style as the paper says it: two convolutions over a map of each pixel's vector."""
    model, maps = _model(), block_maps(2)
    planes = model.planes(maps)
    windows = region_windows(region_numbers(planes), 19)
    style = cast(SEANNorm, model.generator.get_submodule("up_0.norm_s")).style
    assert style is not None
    codes = torch.rand(2, 19, 6, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        vectors = torch.stack([torch.relu(style.regions[k](codes[:, k])) for k in range(19)], 1)
        seen = torch.einsum("bkhw,bks->bshw", planes, vectors)
        for ours, conv in zip(style(windows, codes).affine(), (style.conv_gamma, style.conv_beta), strict=True):
            torch.testing.assert_close(ours, conv(seen), atol=1e-5, rtol=1e-5)


def test_missing_classes_take_the_mean() -> None:
    model, maps = _model(), block_maps(1)
    data = PairData(ToyFaces("6", "train"), 32)
    with pytest.raises(UsageError, match="zoo fit"):
        model.synthesize(maps)
    bare = model.encode_style(_photos(1), block_maps(1, classes=3))
    zeros = model.synthesize(maps, bare, rng=0)
    asset = model.fit_asset("mean_style", data, OPTIONS)
    model.assets = {"mean_style": asset}
    assert model.styles == {"photo", "mean"} and model.fit_asset("other", data, OPTIONS) is None
    batch = next(data.batches(6))
    assert batch.images is not None and asset is not None
    style = model.encode_style(batch.images, batch.maps)
    assert style.present is not None and asset["photos"].tolist() == style.present.sum(0).tolist()
    shown = style.tensors["codes"][style.present[:, HAIR], HAIR, 0]
    torch.testing.assert_close(asset["codes"][HAIR], shown.mean(0), atol=1e-6, rtol=0)
    filled = bare.fill(model.sample_style(maps, 5))
    assert torch.equal(model.synthesize(maps, bare, rng=0), model.synthesize(maps, filled, rng=0))
    assert not torch.equal(model.synthesize(maps, bare, rng=0), zeros)
    with pytest.raises(UsageError, match="no prior 'normal'"):
        model.sample_style(maps, 0, prior="normal")


def test_edges_are_a_region_with_a_style_of_its_own() -> None:
    model, maps = _model(edges=True, style_regions=0), block_maps(2, classes=8)
    style = model.encode_style(_photos(2), maps)
    assert style.tensors["edges"].shape == (2, 6, 6) and style.classes == SPACE.names
    planes = model.planes(maps)
    numbers = region_numbers(planes)
    assert torch.equal(numbers == 19, planes[:, -1] > 0)
    assert torch.equal(numbers[numbers < 19], model.label_input.read(maps)[numbers < 19])
    changed = replace(style, tensors={**style.tensors, "edges": style.tensors["edges"] + 1})
    assert not torch.equal(model.synthesize(maps, changed, rng=0), model.synthesize(maps, style, rng=0))
    assert model.layout(maps).notes and "borders of its labels" in model.layout(maps).notes[0]
    flat = SemanticMap(torch.zeros(1, 32, 32, dtype=torch.long), SPACE)
    model.assets = {"mean_style": model.fit_asset("mean_style", PairData(ToyFaces("3", "train"), 32), OPTIONS)}
    plain = model.encode_style(_photos(1), flat)  # no edge anywhere
    assert not plain.tensors["edges"].any()
    mean = replace(plain, tensors={**plain.tensors, "edges": model.sample_style(flat, 0).tensors["edges"]})
    assert torch.equal(model.synthesize(maps[0], plain, rng=0), model.synthesize(maps[0], mean, rng=0))


def test_a_map_of_two_styles_is_two_pictures() -> None:
    model, maps = _model(), block_maps(1, classes=8)
    styles = Style.cat([model.encode_style(_photos(1, seed=s), maps) for s in (0, 1)])
    together = model.synthesize(model.layout(maps), styles, rng=Rng(0, [4, 5]))
    for i in range(2):
        alone = model.synthesize(maps, styles[i], rng=Rng(0, [4 + i]))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


def test_wrong_pairs_are_told() -> None:
    model, maps = _model(), block_maps(2)
    with pytest.raises(UsageError, match="1 photos"):
        model.encode_style(_photos(1), maps)
    with pytest.raises(LabelError, match="atr"):
        model.encode_style(_photos(2), SemanticMap(maps.labels.clamp_max(17), label_space("atr")))
    style = model.encode_style(_photos(2), maps)
    with pytest.raises(UsageError, match="one style"):
        model.synthesize(block_maps(3), style)
    with pytest.raises(UsageError, match="holds codes"):
        _model(style_dim=7).synthesize(maps, style)
    with pytest.raises(UsageError, match="another architecture"):
        model.synthesize(cast(Any, object()), style)


# --- noise --------------------------------------------------------------------------------------------------------


def test_noise_is_drawn_by_key_and_sample() -> None:
    model, maps = _model(), block_maps(2, classes=8)
    style = model.encode_style(_photos(2), maps)
    first, again, other = (model.synthesize(maps, style, rng=s) for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert not torch.equal(model.synthesize(maps, style), model.synthesize(maps, style))  # a fresh seed each time
    own = replace(style, rng=Rng(0, [0, 1]))  # a style's own source comes first
    assert torch.equal(model.synthesize(maps, own, rng=7), first)
    swapped = model.synthesize(maps[[1, 0]], own[[1, 0]])
    torch.testing.assert_close(swapped, first[[1, 0]], atol=1e-5, rtol=0)
    with torch.no_grad():
        for norm in model.modules():
            if isinstance(norm, SEANNorm):
                norm.noise_var.zero_()
    assert torch.equal(model.synthesize(maps, style, rng=0), model.synthesize(maps, style, rng=1))


def test_every_norm_has_its_own_noise() -> None:
    generator = _model().generator
    noise = torch.arange(generator.noise_count).float()[None]
    parts = [(step.name, name, t) for (_, step), p in zip(generator.blocks(), generator.split_noise(noise), strict=True)
             for name, t in p.items()]  # fmt: skip
    assert [(b, n) for b, n, _ in parts[:3]] == [("head_0", "norm_0"), ("head_0", "norm_1"), ("G_middle_0", "norm_0")]
    assert [n for b, n, _ in parts if b == "up_0"] == ["norm_s", "norm_0", "norm_1"] and len(parts) == 18
    assert torch.equal(torch.cat([t.flatten() for *_, t in parts]), noise[0])


def test_the_measure_of_a_style_s_change_compares_pictures_of_the_same_noise(inputs: Path) -> None:
    """With a photo's style nothing else is drawn: each sample is compared with the picture of the base style and the same noise."""
    model = _model()
    photo = f"{inputs / 'photo.png'}::{inputs / 'face.png'}"
    made = zoo.compose((None, model), device="cpu")(
        maps=inputs / "face.png", n=2, seed=0, style=[photo, f"hair={photo}"]
    )
    assert made.images is not None and not torch.equal(made.images[0], made.images[1])
    assert [record["style_change"]["inside"] for record in made.report["samples"]] == [0.0, 0.0]


# --- inference form -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"edges": True, "style_regions": 0, "upsampling": "more", "resolution": 64}])
@pytest.mark.parametrize("worth", [0.0, 1e12], ids=["by window", "folded"])
def test_inference_form_equals(changes: dict[str, Any], worth: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "WORTH", worth)
    model = _model(**changes)
    side = model.resolution[0]
    model.train()
    with torch.no_grad():  # statistics of its own
        planes = model.planes(block_maps(4, side))
        codes = torch.rand(4, planes.shape[1], 6, 6)
        model.generator(planes, codes, torch.randn(4, model.generator.noise_count))
    fast = model.eval().optimized()
    assert fast.generator.windowed == (worth == 0)
    maps, other = block_maps(3, side), block_maps(3, side, seed=1)
    style = model.encode_style(_photos(3, side), maps)
    plain = model.synthesize(maps, style, rng=0)
    torch.testing.assert_close(fast.synthesize(maps, style, rng=0), plain, atol=2e-5, rtol=0)
    layout = fast.layout(maps)
    assert fast.layout(maps, reuse=layout) is layout
    reused = fast.layout(other, reuse=layout)
    expected = model.synthesize(other, style, rng=0)
    torch.testing.assert_close(fast.synthesize(reused, style, rng=0), expected, atol=2e-5, rtol=0)
    several = fast.synthesize(fast.layout(maps[0]), style, rng=0)
    torch.testing.assert_close(several, model.synthesize(maps[0], style, rng=0), atol=2e-5, rtol=0)


def test_the_official_form_goes_by_window_and_the_small_one_does_not() -> None:
    with torch.device("meta"):
        large, small = (SEAN(VARIANTS[name].config, SPACE) for name in ("celeba", "celeba-128"))
    assert inference.worth_windows(large.generator) and not inference.worth_windows(small.generator)
    assert 2 * sum(p.numel() for p in small.parameters()) < 5.8e6


# --- config, training ---------------------------------------------------------------------------------------------


def test_configs() -> None:
    for changes, words in (
        ({"resolution": 40}, "multiple of 32"), ({"upsampling": "most"}, "normal or more"), ({"style_dim": 0}, "at least 1"),
        ({"style_regions": -1}, "not be negative"), ({"norm": "spade"}, ""),
    ):  # fmt: skip
        if words:
            with pytest.raises(ConfigError, match=words):
                replace(TINY, **changes)
    with pytest.raises(ConfigError, match="style_regions=0"):
        SEAN(replace(TINY, edges=True), SPACE)
    for count, config, layers in ((23, replace(TINY, style_regions=0), 23), (5, TINY, 19)):  # 19: as in the code
        style = cast(SEANNorm, SEAN(config, numbered_space(count)).generator.get_submodule("head_0.norm_0")).style
        assert style is not None and len(style.regions) == layers


def test_a_step_of_each_network() -> None:
    torch.manual_seed(0)
    trainer = SEANTrainer(SEAN(TINY, SPACE).train(), OPTIONS)
    batch = next(PairData(ToyFaces("2", "train"), 32).batches(2))
    assert trainer.rates(0.0, 0) == {"generator": 1e-3, "discriminator": 4e-3}
    assert trainer.rates(75.0, 0)["generator"] == 0.5e-3 and trainer.rates(100.0, 0)["generator"] == 0
    before = {k: v.clone() for k, v in trainer.synthesizer.state_dict().items()}
    names = []
    for update in trainer.updates(batch, Rng(0, [0, 1]), 0):
        optimizer = trainer.optimizers()[update.optimizers[0]]
        optimizer.zero_grad()
        torch.stack(list(update.losses.values())).sum().backward()
        optimizer.step()
        names.append((update.optimizers[0], sorted(update.losses)))
    assert names == [("generator", ["gan", "gan_feat"]), ("discriminator", ["d_fake", "d_real"])]
    moved = {k for k, v in trainer.synthesizer.state_dict().items() if not torch.equal(v, before[k])}
    shown, hidden = SPACE.index("skin"), SPACE.index("ear_r")
    assert {"encoder.first.weight", "generator.up_3.norm_s.noise_var", "generator.up_2.norm_0.blending_gamma"} <= moved
    assert f"generator.up_2.norm_0.style.regions.{shown}.weight" in moved
    assert bool((batch.maps.labels == hidden).any()) == (
        f"generator.up_2.norm_0.style.regions.{hidden}.weight" in moved
    )


def test_it_learns_a_photo_from_its_own_style() -> None:
    torch.manual_seed(0)
    options = replace(OPTIONS, lambda_l1=20.0, lambda_feat=0.0, lr=4e-3, ttur=False)
    trainer = SEANTrainer(SEAN(TINY, SPACE).train(), options)
    check_learning(trainer, "l1", 15)
    batch = next(PairData(ToyFaces("2", "train"), 32).batches(2))
    trainer.model.eval()
    rows = trainer.preview(batch, Rng(0, [0, 1]))
    assert set(rows) == {"map", "photo", "encoded", "exchanged"}
    assert all(r.shape == (2, 3, 32, 32) for r in rows.values())


def test_statistics_of_the_finished_weights_are_the_same_at_every_run() -> None:
    """The projected variant ends with them; noise is drawn from the run's seed there too."""
    data, found = PairData(ToyFaces("3", "train"), 32), []
    for seed in (0, 0, 1):
        model = _model()
        estimate_statistics(model, data, 3, seed=seed)
        found.append(cast(SEANNorm, model.generator.get_submodule("up_3.norm_0")).param_free_norm.running_mean)
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


def test_maps_alone_are_refused() -> None:
    class Maps(ToyFaces):
        has_images = False

        def read(self, index: int, size: tuple[int, int] | None = None):
            return None, super().read(index, size)[1]

    data = PairData(Maps("2", "train"), 32)
    with pytest.raises(DataError, match="maps alone"):
        SEANTrainer(_model(), OPTIONS).prepare(data)
    with pytest.raises(DataError, match="The mean style of SEAN is that of photos"):
        _model().fit_asset("mean_style", data, OPTIONS)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SEAN:
    """A toy run of two steps on the command line, with what it fits at its end."""
    sets = {
        "steps": 2, "batch_size": 2, "precision": "fp32", "perceptual": "none", "ndf": 4, "preview_every": 0, "zoom": 0,
        "validate_every": 0, "resolution": 32, "ngf": 2, "max_width": 0, "spade_hidden": 4, "style_dim": 6, "style_width": 2,
        "preprocess": "resize_and_crop", "load_size": 36,
    }  # fmt: skip
    run, changes = tmp_path_factory.mktemp("run"), [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    assert cli("train", "sean/celeba-128", "--device", "cpu", "--data", "toy-faces:4", "--out", str(run), *changes) == 0
    model = zoo.load(str(run / "model"))
    assert isinstance(model, SEAN) and model.styles == {"photo", "mean"}
    return model


@pytest.mark.parametrize("generator", ["mask-vae", "segvae"])
def test_it_composes_with_a_mask_generator_after_a_toy_training(
    generator: str, trained: SEAN, pair: tuple[str, str]
) -> None:
    maker = pair[0] if generator == "mask-vae" else segvae_tiny.small()
    made = zoo.compose((maker, trained), device="cpu")(labels=["skin", "hair", "nose"], n=2, seed=0)
    assert made.images is not None and made.images.shape[:2] == (2, 3) and bool(torch.isfinite(made.images).all())
    assert made.styles is not None and made.styles.classes == SPACE.names
    again = zoo.compose((maker, trained), device="cpu")(labels=["skin", "hair", "nose"], n=2, seed=0, batch_size=1)
    assert again.images is not None
    torch.testing.assert_close(again.images, made.images, atol=2e-2, rtol=0)
