"""CRN and cIMLE: several pictures of a map, noise, losses, the nearest sample, the inference form, and what may be wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from gan_tiny import SPACE, block_maps, check_gradients
from safetensors.torch import save_file
from torch import Tensor
from training_steps import TwoPairs, take_step

import zoo
from zoo.errors import ConfigError, UsageError, WeightsError
from zoo.families.crn.generator import CascadedGenerator, every_second, half_areas
from zoo.families.crn.losses import class_terms, diversity_loss, weighted_terms
from zoo.families.crn.perceptual import LAYERS, AverageVGG, refinement_features
from zoo.inference.optimize import optimize
from zoo.rng import Rng
from zoo_plugins.cimle.config import CIMLEConfig, CIMLEOptions
from zoo_plugins.cimle.model import CIMLE
from zoo_plugins.cimle.trainer import CIMLETrainer
from zoo_plugins.crn.config import VARIANTS, CRNConfig, CRNOptions
from zoo_plugins.crn.model import CRN
from zoo_plugins.crn.trainer import CRNTrainer

pytestmark = pytest.mark.usefixtures("one_thread")
TINY: dict[str, Any] = {"label_space": "celebamask-hq", "resolution": 32, "aspect_ratio": 1.0, "widths": (8, 8, 6, 6)}
NOISE: dict[str, Any] = {"noise": 3, "encoder_width": 5}
PIXELS: dict[str, Any] = {"perceptual": "none"}


def crn(**fields: Any) -> CRN:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {**TINY, "outputs": 3, **fields}
    return CRN(CRNConfig(**sizes), SPACE).eval()


def cimle(**fields: Any) -> CIMLE:
    torch.manual_seed(0)
    return CIMLE(CIMLEConfig(**(TINY | NOISE | fields)), SPACE).eval()


# --- networks ---------------------------------------------------------------------------------------------------------


def test_a_pyramid_of_shares_and_one_of_values() -> None:
    x = torch.arange(16.0).view(1, 1, 4, 4)
    assert [t.flatten().tolist() for t in half_areas(x, 3)[:2]] == [[7.5], [2.5, 4.5, 10.5, 12.5]]
    assert [t.flatten().tolist() for t in every_second(x, 3)[:2]] == [[0], [0, 2, 8, 10]]


def test_channels_of_the_last_convolution_are_planes_of_pictures() -> None:
    """Channel c is plane c // outputs of picture c % outputs."""
    network = CascadedGenerator(2, (3, 4), 8, outputs=5)
    with torch.no_grad():
        network.last.weight.zero_()
        network.last.bias.copy_(torch.arange(15.0))  # pyright: ignore[reportOptionalMemberAccess]
    pictures = network(torch.rand(2, 2, 8, 8))
    assert pictures.shape == (2, 5, 3, 8, 8)
    assert pictures[1, :, :, 0, 0].tolist() == [[i, 5 + i, 10 + i] for i in range(5)]


def test_sizes_of_any_proportion_start_from_their_halves() -> None:
    model = crn(resolution=48, aspect_ratio=1.5, outputs=1)
    assert model.config.grid == (4, 6) and model.resolution == (32, 48)
    assert model.synthesize(block_maps(1, (32, 48))).shape == (1, 3, 32, 48)


# --- styles -----------------------------------------------------------------------------------------------------------


def test_a_style_is_one_of_the_pictures_or_a_mixture() -> None:
    model, maps = crn(), block_maps(2)
    pictures = model.pictures(maps)
    assert pictures.shape == (2, 3, 3, 32, 32)
    layout = model.layout(maps[0])
    for i in range(3):
        style = model.style(torch.eye(3)[i : i + 1])
        torch.testing.assert_close(model.synthesize(layout, style)[0], pictures[0, i], atol=1e-5, rtol=0)
    half = model.style(torch.tensor([[0.5, 0.5, 0.0]]))
    raw = model.generator.pictures(layout.plan.features)[0]
    expected = ((raw[0] + raw[1]) / 4 + 0.5).clamp(0, 1)
    torch.testing.assert_close(model.synthesize(layout, half)[0], expected, atol=1e-5, rtol=0)
    drawn = [model.sample_style(maps[0], Rng(seed)).tensors["mixture"][0].argmax().item() for seed in range(30)]
    assert set(drawn) == {0, 1, 2}
    assert torch.allclose(model.sample_style(maps, prior="mean").tensors["mixture"], torch.full((2, 3), 1 / 3))


def test_noise_of_one_place_changes_that_place_most() -> None:
    model, maps = cimle(), block_maps(1)
    style = model.sample_style(maps, 0)
    other = style.tensors["noise"].clone()
    other[..., :8, :8] = model.sample_style(maps, 1).tensors["noise"][..., :8, :8]
    changed = (model.synthesize(maps, model.style(other)) - model.synthesize(maps, style)).abs()
    assert float(changed[..., :8, :8].mean()) > 2 * float(changed[..., 20:, 20:].mean()) > 0


def test_what_a_model_lacks_is_said() -> None:
    maps = block_maps(1)
    one = crn(outputs=1)
    with pytest.raises(UsageError, match="one picture of a map"):
        one.sample_style(maps, 0)
    with pytest.raises(UsageError, match="has no prior 'fitted'"):
        crn().sample_style(maps, 0, prior="fitted")
    with pytest.raises(UsageError, match=r"mixture \[samples, 3\]"):
        crn().synthesize(maps, crn(outputs=2).sample_style(maps, 0))
    with pytest.raises(UsageError, match=r"noise \[samples, 3, 32, 32\]"):
        cimle().synthesize(maps, crn().sample_style(maps, 0))
    wrong: list[tuple[str, Any, str]] = [
        ("widths", (), "widths needs"),
        ("resolution", 36, "multiple of 8"),
        ("outputs", 0, "outputs"),
    ]
    for field, value, words in wrong:
        with pytest.raises(ConfigError, match=words):
            crn(**{field: value})
    with pytest.raises(ConfigError, match="noise must be at least 1"):
        CIMLEConfig(noise=0)


def test_the_inference_form_is_equal() -> None:
    maps = block_maps(2)
    for model in (crn(), crn(outputs=1), cimle(), cimle(widths=(4,), resolution=16)):
        fast: Any = optimize(model)
        small = maps.resize(model.resolution)
        style = model.sample_style(small, 0) if model.styles else None  # pyright: ignore[reportAttributeAccessIssue]
        torch.testing.assert_close(fast.synthesize(small, style), model.synthesize(small, style), atol=2e-5, rtol=0)


# --- losses -----------------------------------------------------------------------------------------------------------


def test_each_class_takes_the_picture_that_has_it_best() -> None:
    planes = torch.zeros(3, 4, 4)
    planes[0, :, :2], planes[1, :, 2:] = 1, 1
    differences = torch.ones(2, 4, 4)
    differences[0, :, :2], differences[1, :, 2:] = 0.25, 0.5
    (terms,) = class_terms([differences], planes, (2.0,))
    assert terms.tolist() == [[0.0625, 0.25, 0], [0.25, 0.125, 0]]  # means over all pixels, halved
    assert float(diversity_loss(terms)) == pytest.approx(0.999 * (0.0625 + 0.125) + 0.001 * (0.15625 + 0.1875))
    mask = torch.tensor([1.0, 0.0]).repeat_interleave(2).expand(1, 1, 4, 4)
    assert weighted_terms([differences], (1.0,), mask)[0].tolist() == [0.125, 0.5]


def vgg_weights() -> dict[str, Tensor]:
    """VGG19 of two channels."""
    torch.manual_seed(0)
    shapes = {name: (2, 3 if name == "conv1_1" else 2, 3, 3) for name in LAYERS}
    return {f"{n}.weight": torch.randn(s) / 4 for n, s in shapes.items()} | {f"{n}.bias": torch.rand(2) for n in LAYERS}


def test_features_come_from_weights_of_either_kind(tmp_path: Path) -> None:
    save_file(vgg_weights(), tmp_path / "caffe.safetensors")
    network = refinement_features(str(tmp_path / "caffe.safetensors"), zoo.load)
    pictures = torch.rand(1, 3, 32, 32) * 255
    levels = network(pictures)
    assert [tuple(level.shape[-2:]) for level in levels] == [(32, 32), (32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    torch.testing.assert_close(levels[0][0, :, 0, 0], pictures[0, :, 0, 0] - torch.tensor([123.68, 116.779, 103.939]))
    with pytest.raises(WeightsError, match="lack conv5_2"):
        AverageVGG({k: v for k, v in vgg_weights().items() if "conv5_2" not in k}, (0, 0, 0), (1, 1, 1))
    options = CRNOptions(perceptual=str(tmp_path / "caffe.safetensors"), divisors=(1.0, 2.0))
    with pytest.raises(ConfigError, match="6 levels"):
        take_step(CRNTrainer(crn().train(), options), TwoPairs(block_maps(2)).batch, 0)


# --- training ---------------------------------------------------------------------------------------------------------


def learn(trainer: Any, steps: int) -> list[float]:
    """The loss of so many steps on the same two pairs."""
    pairs = TwoPairs(block_maps(2))
    trainer.prepare(pairs)
    return [take_step(trainer, pairs.batch, i)["perceptual"] for i in range(steps)]


def test_crn_learns_all_or_its_last_modules() -> None:
    trainer = CRNTrainer(crn().train(), CRNOptions(**PIXELS, lr=3e-3))
    losses = learn(trainer, 12)
    assert losses[-1] < 0.9 * losses[0]
    check_gradients(trainer)
    model = crn(outputs=1).train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    learn(CRNTrainer(model, CRNOptions(**PIXELS, train_last=2)), 2)
    moved = {k.split(".")[1] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {"g_16_conv1", "g_16_conv2", "g_32_conv1", "g_32_conv2", "g_32_conv100"}
    with pytest.raises(ConfigError, match="there are 4 modules"):
        CRNTrainer(crn(), CRNOptions(**PIXELS, train_last=5))


def test_a_larger_crn_starts_from_a_smaller_one(tmp_path: Path) -> None:
    small = crn(resolution=16, widths=(8, 8, 6))
    zoo.save(small, tmp_path / "small")
    large = crn(outputs=1)
    CRNTrainer(large, CRNOptions(**PIXELS, load_pretrain=str(tmp_path / "small")))
    ours, theirs = large.state_dict(), small.state_dict()
    assert {k for k in theirs if k in ours and torch.equal(ours[k], theirs[k])} == {
        k for k in theirs if "conv100" not in k
    }


def test_cimle_keeps_the_nearest_candidate_for_an_epoch() -> None:
    options = CIMLEOptions(
        **PIXELS, candidates=4, epoch_items=4, epoch_images=2, batch_size=2, restart_epoch=0, lr=3e-3
    )
    trainer = CIMLETrainer(cimle().train(), options)
    pairs = TwoPairs(block_maps(2))
    trainer.prepare(pairs)  # pyright: ignore[reportArgumentType]
    planes, real = trainer.inputs(pairs.batch)
    with torch.no_grad():
        expected = []
        for row in range(2):
            each = [
                trainer.distances(planes[row : row + 1], real[row : row + 1], trainer.candidate(row, 0, n))
                for n in range(4)
            ]
            expected.append(int(torch.cat(each).argmin()))
    take_step(trainer, pairs.batch, 0)
    assert trainer.choices.candidate.tolist() == expected and trainer.choices.epoch.tolist() == [0, 0]
    take_step(trainer, pairs.batch, 1)  # the same epoch: nothing is chosen anew
    assert trainer.choices.candidate.tolist() == expected and trainer.choices.epoch.tolist() == [0, 0]
    kept = trainer.kept_noise(planes, real, None, [0, 1], 0)
    assert torch.equal(kept[1:], trainer.candidate(1, 0, expected[1]))
    take_step(trainer, pairs.batch, 2)
    assert trainer.choices.epoch.tolist() == [1, 1]
    assert not torch.equal(trainer.candidate(0, 1, 0), trainer.candidate(0, 0, 0))
    order = trainer.epoch_order(0, pairs)  # pyright: ignore[reportArgumentType]
    assert order is not None and len(order) == 4 and order == trainer.epoch_order(0, pairs)  # pyright: ignore[reportArgumentType]


def test_cimle_learns_and_starts_its_encoder_anew() -> None:
    options = CIMLEOptions(
        **PIXELS, candidates=2, epoch_items=4, epoch_images=2, batch_size=2, restart_epoch=3, lr=3e-3
    )
    trainer = CIMLETrainer(cimle().train(), options)
    losses = learn(trainer, 6)
    assert losses[-1] < 0.95 * losses[0]
    check_gradients(trainer, "model")
    before = {k: v.clone() for k, v in trainer.synthesizer.state_dict().items()}
    assert trainer.rates(2.9, 0)["generator"] == 3e-3 and trainer.rates(3.0, 0)["generator"] == pytest.approx(3e-4)
    trainer.restart()
    moved = {k for k, v in trainer.synthesizer.state_dict().items() if not torch.equal(v, before[k])}
    assert moved and all("g_noise" in k for k in moved) and not trainer.optimizers()["generator"].state
    again = {k: v.clone() for k, v in trainer.synthesizer.state_dict().items()}
    trainer.restart()
    assert all(torch.equal(v, again[k]) for k, v in trainer.synthesizer.state_dict().items())


def test_cimle_starts_from_the_first_picture_of_a_crn(tmp_path: Path) -> None:
    source = crn()
    zoo.save(source, tmp_path / "crn")
    options = CIMLEOptions(**PIXELS, load_crn=str(tmp_path / "crn"))
    model = cimle()
    CIMLETrainer(model, options)
    ours, theirs = model.generator.state_dict(), source.generator.state_dict()
    assert torch.equal(ours["g_32_conv100.weight"], theirs["g_32_conv100.weight"][::3])
    assert torch.equal(ours["g_8_conv2.weight"], theirs["g_8_conv2.weight"])
    inputs = theirs["g_8_conv1.weight"].shape[1]
    assert torch.equal(ours["g_8_conv1.weight"][:, :inputs], theirs["g_8_conv1.weight"])
    size = theirs["g_8_conv1.weight"].square().mean().sqrt()
    assert float(ours["g_8_conv1.weight"][:, inputs:].std() / size) == pytest.approx(5, rel=0.2)
    with pytest.raises(UsageError, match="take one of the same widths"):
        CIMLETrainer(cimle(widths=(8, 8, 6, 5)), options)
    with pytest.raises(ConfigError, match="give one"):
        CIMLEOptions(load_crn="a", load_pretrain="b")


def test_variants_of_crn_are_the_scripts() -> None:
    assert {n: (v.config.size, v.config.outputs) for n, v in VARIANTS.items() if n != "celeba-128"} == {
        "cityscapes-256": ((256, 512), 9), "gta5-256": ((256, 512), 9), "cityscapes-512": ((512, 1024), 1),
        "cityscapes-1024": ((1024, 2048), 1),
    }  # fmt: skip
