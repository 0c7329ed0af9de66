"""SDM behind the zoo's interface: channels, guidance, steps, noise, the inference form, its losses and its trainer, at toy sizes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients
from test_training_cli import zoo as command
from torch import Tensor
from training_steps import TwoPairs, take_step

import zoo
from zoo.data.augment import Augment, augment_pair
from zoo.data.preprocess import Preprocess
from zoo.errors import Cancelled, ConfigError, UsageError, WeightsError
from zoo.inference.optimize import optimize
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.testing.subject import stir
from zoo_plugins.sdm import official, schedulers
from zoo_plugins.sdm.config import VARIANTS, SDMConfig, SDMOptions, SDMSampling
from zoo_plugins.sdm.diffusion import Process
from zoo_plugins.sdm.inference import TableNorm
from zoo_plugins.sdm.model import SDM
from zoo_plugins.sdm.sampling import process_of
from zoo_plugins.sdm.schedule import spaced_steps
from zoo_plugins.sdm.trainer import SDMTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {
    "label_space": "celebamask-hq", "edges": "labels", "resolution": 16, "width": 8, "channel_mult": (1, 2), "attention": (2,), "res_blocks": 1,
    "head_channels": 4, "groups": 4, "spade_hidden": 8,
}  # fmt: skip
FEW = SDMSampling(steps=6)


def sdm(space: str = "celebamask-hq", **changes: Any) -> SDM:
    """A tiny model in evaluation mode whose layers all do something."""
    torch.manual_seed(0)
    model = SDM(SDMConfig(**(TINY | changes | {"label_space": space})), label_space(space))
    stir(model)
    return model.eval().requires_grad_(False)


# --- maps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_read_maps_as_the_authors_do(name: str) -> None:
    variant = VARIANTS[name]
    space = label_space(variant.config.label_space)
    with torch.device("meta"):
        model = SDM(variant.config, space)
    planes = {"ade20k": 151, "celeba": 20, "cityscapes": 36, "coco": 183, "celeba-64": 20}
    assert model.label_input.channels == planes[name.removesuffix("-stage2")]
    if space.name == "ade20k":  # channel k is class k + 1, the last one is what nobody labelled
        assert [int(model.label_input.table[v]) for v in (0, 1, 150)] == [150, 0, 149]
    if space.name == "coco-stuff":
        assert int(model.label_input.table[255]) == int(model.label_input.table[182]) == 182
    if space.name == "cityscapes":
        assert int(model.label_input.table[7]) == 7 and model.resolution == (256, 512)
    second = name.endswith("-stage2")
    assert variant.training.drop_rate == (0.2 if second or name == "celeba-64" else 0)
    assert not second or variant.training.lr == 2e-5


def test_borders_of_labels_or_of_instances_with_the_authors_limit() -> None:
    labels = torch.zeros(1, 16, 16, dtype=torch.int64)
    numbers = torch.full((1, 16, 16), 24000)
    numbers[:, :, 8:] = 24001
    maps = SemanticMap(labels, label_space("cityscapes"), numbers)
    model = sdm("cityscapes", edges="instances")
    assert not model.planes(maps)[:, -1].any() and not model.layout(maps).notes  # two things, both above 255
    assert sdm("cityscapes", edges="instances", instance_limit=30000).planes(maps)[:, -1].sum() == 32
    assert sdm("cityscapes", edges="labels").planes(maps)[:, -1].sum() == 0
    assert "no instance numbers" in model.layout(SemanticMap(labels, maps.space)).notes[0]
    faces = sdm()
    layout = faces.layout(block_maps(1, 16))
    assert not layout.notes and torch.equal(faces.planes_of(layout.plan), faces.planes(block_maps(1, 16)))


# --- sampling ---------------------------------------------------------------------------------------------------------


def test_guidance_leads_away_from_the_empty_map() -> None:
    model, maps = sdm(), block_maps(2, 16)
    style = model.sample_style(maps, 1)
    none, one, more = (model.synthesize(maps, style, options=replace(FEW, guidance=g)) for g in (0.5, 1.0, 3.0))
    assert torch.equal(none, one) and not torch.allclose(one, more, atol=1e-3)
    x, t = style.tensors["noise"], torch.tensor([500, 20])
    planes = model.planes(maps)
    with_map, without = model.denoiser(model.layout(maps), 2)(x, t, True)
    assert without is not None
    torch.testing.assert_close(with_map, model.unet(x, t, planes))
    torch.testing.assert_close(without, model.unet(x, t, torch.zeros_like(planes)))
    assert model.denoiser(model.layout(maps), 2)(x, t, False)[1] is None


def test_noise_is_keyed_by_sample_and_step() -> None:
    model, maps = sdm(), block_maps(3, 16)
    together = model.synthesize(maps, rng=Rng(4, [0, 1, 2]), options=FEW)
    alone = model.synthesize(maps[1], rng=Rng(4, [1]), options=FEW)
    torch.testing.assert_close(together[1:2], alone, atol=2e-5, rtol=0)
    style = model.sample_style(maps, Rng(4, [0, 1, 2]))
    assert torch.equal(style.tensors["noise"], Rng(4, [0, 1, 2]).normal("noise", shape=(3, 16, 16)))
    assert torch.equal(model.synthesize(maps, style, options=FEW), together)
    bare = model.style(style.tensors["noise"])  # as loaded from a file: the steps' noise is the call's
    assert torch.equal(model.synthesize(maps, bare, rng=Rng(4, [0, 1, 2]), options=FEW), together)
    assert not torch.allclose(model.synthesize(maps, bare, rng=Rng(5, [0, 1, 2]), options=FEW), together, atol=1e-3)
    still = replace(FEW, sampler="ddim")  # nothing is drawn on the way
    first, second = (model.synthesize(maps, bare, rng=seed, options=still) for seed in (1, 2))
    assert torch.equal(first, second)
    mixed = model.noise_of(style.lerp(model.sample_style(maps, 9), 0.5))
    torch.testing.assert_close(mixed.square().mean((1, 2, 3)).sqrt(), torch.ones(3), atol=0.05, rtol=0)


def test_steps_are_reported_and_stopping_leaves_at_once() -> None:
    model, maps = sdm(), block_maps(1, 16)
    seen: list[tuple[int, int]] = []
    model.synthesize(maps, rng=0, options=FEW, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(7)]
    calls = []

    def stop(done: int, total: int) -> None:
        calls.append(done)
        if done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        model.synthesize(maps, rng=0, options=FEW, progress=stop)
    assert calls == [0, 1, 2]


def test_which_steps_are_taken() -> None:
    config = SDMConfig(**TINY)
    assert len(process_of(config, SDMSampling())) == 1000
    assert process_of(replace(config, sampling_steps=20), SDMSampling()).kept == spaced_steps(1000, "20")
    assert process_of(replace(config, sampling_steps=20), SDMSampling(steps=8)).kept == [
        0,
        143,
        285,
        428,
        571,
        714,
        856,
        999,
    ]
    assert process_of(config, SDMSampling(spacing="ddim25")).kept == list(range(0, 1000, 40))
    scaled = Process(replace(config, diffusion_steps=250, rescale_timesteps=True))
    assert scaled.times(torch.tensor([0, 249])).tolist() == [0.0, 996.0]
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"steps": 1001}, "trained with 1000"), ({"spacing": "a,b"}, "expected counts"), ({"spacing": "ddim37"}, "near: 35, 36, 38"),
        ({"spacing": "600,600"}, "section 1 of 2 has 500 of the 1000 steps"), ({"spacing": "1"}, "leaves one step"),
        ({"spacing": "0"}, "expected counts"),
    ]  # fmt: skip
    for fields, words in wrong:
        with pytest.raises(UsageError, match=words):
            process_of(config, SDMSampling(**fields))
    bad: list[tuple[dict[str, Any], str]] = [
        ({"steps": 1}, "at least 2"), ({"steps": 8, "spacing": "8"}, "give one"), ({"eta": 0.5}, "needs sampler=ddim"),
        ({"eta": 2.0, "sampler": "ddim"}, r"lie in 0\.\.1"), ({"guidance": -1.0}, "0 or more"), ({"guidance": float("nan")}, "0 or more"),
        ({"sampler": "euler"}, "ddpm or ddim"),
    ]  # fmt: skip
    for fields, words in bad:
        with pytest.raises(ValueError, match=words):
            SDMSampling(**fields)


@pytest.mark.parametrize(
    "fields", [{"steps": 21}, {"spacing": "10,15,20"}, {"spacing": "ddim15", "sampler": "ddim"},
               {"steps": 31, "sampler": "ddim", "eta": 0.5}, {"steps": 8, "clip": False}],
)  # fmt: skip
@pytest.mark.parametrize("changes", [{}, {"learn_sigma": False}, {"predict_xstart": True}])
def test_schedulers_of_diffusers_give_the_same_pictures(fields: dict[str, Any], changes: dict[str, Any]) -> None:
    pytest.importorskip("diffusers")
    model, maps = sdm(**changes), block_maps(2, 16)
    options = SDMSampling(**fields)
    before = torch.get_rng_state()
    ours, theirs = (
        model.synthesize(maps, rng=3, options=replace(options, library=library)) for library in ("own", "diffusers")
    )
    assert torch.equal(before, torch.get_rng_state()) and float(ours.std()) > 0.05
    torch.testing.assert_close(theirs, ours, atol=5e-5, rtol=0)


def test_without_diffusers_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(UsageError, match=r"pip install 'maskzoo\[diffusion\]'"):
        schedulers.scheduler_of(Process(SDMConfig(**TINY)), SDMSampling(library="diffusers"))


# --- the inference form -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [{}, {"edges": "none"}, {"scale_shift": False, "resblock_updown": False}])
def test_scales_and_shifts_are_made_once_a_map(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model, maps = sdm(**changes), block_maps(3, 16)
    fast: Any = optimize(model)
    norms = [m for m in fast.modules() if isinstance(m, TableNorm)]
    assert len(norms) == len(list(model.unet.norms())) > 8
    layout = fast.layout(maps, reuse=fast.layout(SemanticMap(maps.labels.roll(1, 0), SPACE)))
    assert fast.layout(maps, reuse=layout) is layout
    x, t = torch.randn(3, 3, 16, 16), torch.tensor([3, 500, 999])
    pairs = zip(fast.denoiser(layout, 3)(x, t, True), model.denoiser(model.layout(maps), 3)(x, t, True), strict=True)
    for found, expected in pairs:
        scale = max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(found, expected, atol=2e-5 * scale, rtol=0)
    made: list[int] = []
    for norm in norms:
        monkeypatch.setattr(norm.windows, "rows", lambda *_: made.append(1))
    style = model.sample_style(maps, 2)
    torch.testing.assert_close(
        fast.synthesize(layout, style, options=FEW), model.synthesize(maps, style, options=FEW), atol=2e-5, rtol=0
    )
    assert not made


def test_a_map_serves_several_styles_and_a_stroke_renews_its_windows() -> None:
    model = sdm()
    fast: Any = optimize(model)
    maps = block_maps(1, 16)
    style = model.sample_style(maps.repeat_interleave(3), 2)
    expected = model.synthesize(maps.repeat_interleave(3), style, options=FEW)
    layout = fast.layout(maps)
    torch.testing.assert_close(fast.synthesize(layout, style, options=FEW), expected, atol=2e-5, rtol=0)
    labels = maps.labels.clone()
    labels[:, 3:5, 6:9] = 1
    edited = SemanticMap(labels, SPACE)
    one = style[1]
    renewed = fast.synthesize(fast.layout(edited, reuse=layout), one, options=FEW)
    torch.testing.assert_close(renewed, model.synthesize(edited, one, options=FEW), atol=2e-5, rtol=0)


def test_half_precision_is_near() -> None:
    model, maps = sdm(), block_maps(1, 16)
    x, t, planes = torch.randn(1, 3, 16, 16), torch.tensor([100]), model.planes(maps)
    expected = model.unet(x, t, planes)
    found = model.unet.half_precision()(x, t, planes)
    assert found.dtype == torch.float32 and model.unet.time_embed[0].weight.dtype == torch.float32
    assert 0 < float((found - expected).abs().max()) < 2e-2 * float(expected.abs().max())


# --- training ---------------------------------------------------------------------------------------------------------


def trainer(options: SDMOptions | None = None, **changes: Any) -> SDMTrainer:
    model = sdm(**changes).requires_grad_(True).train()
    return SDMTrainer(model, options or SDMOptions(lr=2e-3))


def test_it_learns_and_every_parameter_does() -> None:
    made = trainer()
    pairs = TwoPairs(block_maps(2, 16))
    losses = [take_step(made, pairs.batch, i) for i in range(40)]
    assert {*losses[0]} == {"mse", "vb"}
    first, last = (sum(row["mse"] for row in part) / 8 for part in (losses[:8], losses[-8:]))
    assert last < 0.8 * first
    check_gradients(made)
    assert made.rates(3.0, 99) == {"unet": 2e-3} and set(made.validate(cast(Any, pairs))) == {"mse"}
    assert made.validate(cast(Any, pairs)) == made.validate(cast(Any, pairs))
    assert set(made.preview(pairs.batch, Rng(0, [0, 1]))) == {"map", "photo", "image 1", "image 2"}


def test_a_fresh_network_says_nothing_and_gets_gradients_from_its_last_layer_on() -> None:
    torch.manual_seed(0)
    model = SDM(SDMConfig(**TINY), SPACE)
    out = model.unet(torch.randn(1, 3, 16, 16), torch.tensor([5]), model.planes(block_maps(1, 16)))
    assert not out.any()


@pytest.mark.parametrize("checkpointing", [False, True])
def test_checkpointing_changes_no_gradient(checkpointing: bool) -> None:
    made = trainer(SDMOptions(checkpointing=checkpointing))
    take_step(made, TwoPairs(block_maps(2, 16)).batch, 0)
    found = torch.cat([p.grad.flatten() for p in made.sdm.parameters() if p.grad is not None])
    plain = trainer(SDMOptions())
    take_step(plain, TwoPairs(block_maps(2, 16)).batch, 0)
    expected = torch.cat([p.grad.flatten() for p in plain.sdm.parameters() if p.grad is not None])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_left_out_maps_are_zero_in_all_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    made = trainer(SDMOptions(drop_rate=0.5))
    seen: list[Tensor] = []
    losses = made.losses
    monkeypatch.setattr(made, "losses", lambda planes, *rest: (seen.append(planes), losses(planes, *rest))[1])
    for step in range(12):
        take_step(made, TwoPairs(block_maps(2, 16)).batch, step)
    kept = torch.cat(seen).flatten(1).any(1)
    expected = torch.cat([Rng(0, [0, 1]).uniform("drop", i, shape=(1,))[:, 0] > 0.5 for i in range(12)])
    assert torch.equal(kept, expected) and 0 < int(kept.sum()) < 24
    assert torch.cat(seen)[kept][:, -1].any()  # borders too


def test_objectives() -> None:
    for objective, terms in (("mse", {"mse", "vb"}), ("rescaled_mse", {"mse", "vb"}), ("kl", {"vb"})):
        made = trainer(SDMOptions(objective=cast(Any, objective), spacing="50"))
        assert set(take_step(made, TwoPairs(block_maps(2, 16)).batch, 0)) == terms
    assert set(take_step(trainer(learn_sigma=False), TwoPairs(block_maps(2, 16)).batch, 0)) == {"mse"}
    plain, rescaled = (trainer(SDMOptions(objective=cast(Any, o), spacing="50")) for o in ("mse", "rescaled_mse"))
    batch = TwoPairs(block_maps(2, 16)).batch
    one, other = (take_step(t, batch, 0) for t in (plain, rescaled))
    assert other["vb"] == pytest.approx(one["vb"] * 50 / 1000) and other["mse"] == one["mse"]


def test_pairs_by_the_short_side() -> None:
    """Photos are halved by boxes before; the side of a range is drawn with the window, the same for photo, labels and numbers."""
    photo = np.arange(64 * 96 * 3, dtype=np.uint32).reshape(64, 96, 3).astype(np.uint8)
    labels = np.arange(64 * 96).reshape(64, 96).astype(np.uint8) % 19
    fixed = Preprocess("short_side", 286, 32, 2.0)
    assert fixed.loaded((64, 96)) == (16, 24) and fixed.loaded((96, 64)) == (24, 16)
    means = photo.reshape(16, 4, 24, 4, 3).astype(float).mean((1, 3))
    assert np.abs(fixed.photo(photo).astype(float) - means).max() <= 1.5
    ranged = Preprocess("short_side_range_and_crop", 24, 16)
    assert {ranged.short_side(d) for d in np.linspace(0, 0.9999, 200)} == set(range(16, 25))
    assert ranged.drawn((64, 96), 0.0) == (16, 24) and ranged.loaded((64, 96)) == (64, 96)
    rng = Rng(0, range(6))
    made = augment_pair([(photo, labels)] * 6, (16, 16), Augment(preprocess=ranged), rng, SPACE)
    assert all(p is not None and p.shape == (16, 16, 3) and part.shape == (16, 16) for p, part in made)
    assert len({part.tobytes() for _, part in made}) > 3
    with pytest.raises(ConfigError, match="mode must be one of"):
        Preprocess("long_side")


def test_what_may_be_wrong_is_one_sentence() -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"resolution": 17}, "multiples of 2"), ({"channel_mult": ()}, "1 to 10 levels"), ({"groups": 3}, "multiple of groups=3, got 8, 16"),
        ({"head_channels": 5}, "head_channels=5 does not divide the 16 channels"), ({"head_channels": 0, "heads": 3}, "heads=3"),
        ({"diffusion_steps": 10}, "at least 20"), ({"dropout": 1.0}, r"\[0, 1\)"), ({"width": 0}, "at least 1: width"),
        ({"aspect_ratio": 0.0}, "no height"), ({"sampling_steps": 1}, "sampling_steps"), ({"head_channels": -1}, "not be negative"),
    ]  # fmt: skip
    for fields, words in wrong:
        with pytest.raises(ConfigError, match=words):
            SDMConfig(**(TINY | fields))
    for options, words in (
        ({"drop_rate": 2.0}, "drop_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"preview_steps": 1}, "preview"),
    ):
        with pytest.raises(ConfigError, match=words):
            SDMOptions(**options)
    with pytest.raises(UsageError, match="leaves one step"):
        SDMTrainer(sdm(), SDMOptions(spacing="1"))
    model, maps = sdm(), block_maps(1, 16)
    with pytest.raises(UsageError, match=r"noise \[3, 16, 16\]"):
        model.synthesize(maps, model.style(torch.zeros(1, 3, 8, 8)), options=FEW)
    with pytest.raises(UsageError, match="has no prior 'mean'"):
        model.sample_style(maps, 0, prior="mean")
    with pytest.raises(WeightsError, match="unknown keys"):
        official.convert({"unet": {"input_blocks.0.0.weights": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="Unknown role"):
        official.convert({"generator": {}})


# --- chains -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["mask-vae", "segvae"])
def test_it_composes_after_a_toy_training(generator: str) -> None:
    made = trainer(SDMOptions(drop_rate=0.2))
    for step in range(2):
        take_step(made, TwoPairs(block_maps(2, 16)).batch, step)
    pipe = zoo.compose((generator, made.sdm.eval()), device="cpu")
    seen: list[tuple[int, int]] = []
    result = pipe(
        labels=["skin", "hair", "nose"], n=2, seed=0, options={"steps": 4}, progress=lambda *now: seen.append(now)
    )
    assert result.images is not None and result.images.shape == (2, 3, 16, 16) and bool(result.images.isfinite().all())
    assert (2, 8) in seen and seen[-1] == (8, 8)


def test_unlabeled_pixels_have_a_channel_in_every_space() -> None:
    """Of spaces without a background, too: data sets with such pixels can be trained on."""
    for name, channel in (("cityscapes-train", 18), ("coco-stuff", 182)):
        model = sdm(name, channels=(), edges="none")
        seen = model.planes(SemanticMap(torch.full((1, 16, 16), 255), model.label_space))
        assert seen.sum(1).unique().tolist() == [1.0] and int(seen[0, :, 0, 0].argmax()) == channel


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    """Trained, resumed, a second stage begun from it, pictures of a map with options, identified as a checkpoint of the authors'."""
    sets = {
        "steps": 2, "resolution": 16, "width": 8, "channel_mult": "1,2", "attention": "2", "head_channels": 4, "groups": 4, "spade_hidden": 8,
        "batch_size": 2, "precision": "fp32", "channels_last": False, "preview_every": 1, "preview_steps": 3, "validate_every": 0,
    }  # fmt: skip
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    run = tmp_path / "run"
    assert command("train", "sdm/celeba-64", "--device", "cpu", "--data", "toy-faces:8", "--out", run, *changes) == 0
    assert command("train", "--resume", run, "--set", "steps=3") == 0
    second = ("--init", str(run / "model"), "--set", "drop_rate=0.5", "--set", "lr=2e-5")
    assert (
        command(
            "train",
            "sdm/celeba-64",
            "--device",
            "cpu",
            "--data",
            "toy-faces:8",
            "--out",
            tmp_path / "two",
            *changes,
            *second,
        )
        == 0
    )
    block_maps(1, 16).to_png(tmp_path / "map.png", 0)
    common = ("synth", run / "model", tmp_path / "map.png", "-n", 2, "--seed", 3, "--device", "cpu")
    assert command(*common, "--opt", "steps=5", "--opt", "guidance=2", "--out", tmp_path / "made") == 0
    manifest = json.loads((tmp_path / "made/manifest.json").read_text())
    assert manifest["request"]["options"] == {"steps": "5", "guidance": "2"}
    assert command("replay", tmp_path / "made/manifest.json") == 0
    assert (
        command(*common, "--opt", "steps=5000", "--out", tmp_path / "no") in (1, 2) and not (tmp_path / "no").exists()
    )
    model = cast(SDM, zoo.load(str(run / "model")))
    state = {k.removeprefix("unet."): v for k, v in model.state_dict().items()}
    names = official.official_names("unet", list(state))
    torch.save({names[k]: v for k, v in state.items()}, tmp_path / "ema_0.9999_000002.pt")
    assert command("identify", tmp_path / "ema_0.9999_000002.pt") == 0
    told = (
        "--config",
        "resolution=16",
        "--config",
        "head_channels=4",
        "--config",
        "groups=4",
        "--config",
        "edges=labels",
    )
    assert command("convert", tmp_path / "ema_0.9999_000002.pt", "--out", tmp_path / "converted", *told) == 0
    again = zoo.load(str(tmp_path / "converted"))
    maps = block_maps(1, 16)
    assert torch.equal(
        cast(Any, again).synthesize(maps, rng=1, options=FEW), model.synthesize(maps, rng=1, options=FEW)
    )
