"""MUNIT: what a config and options may be, the parts behind the interface, its inference form, training, the authors' files."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from munit_tiny import CONFIG, tiny_munit, write_domains
from safetensors.torch import save_file
from torch import Tensor

import zoo
from zoo.checkpoints.assemble import Statement
from zoo.checkpoints.convert import convert
from zoo.checkpoints.identify import identify
from zoo.data import open_data
from zoo.data.domains import unpaired_order
from zoo.errors import ConfigError, DataError, LabelError, UsageError, WeightsError
from zoo.labels import parse_space
from zoo.registry import registry
from zoo.rng import Rng
from zoo.training.plan import make_plan
from zoo.training.session import build_trainer, open_splits
from zoo_plugins.munit import official
from zoo_plugins.munit.blocks import ConvBlock
from zoo_plugins.munit.config import VARIANTS, MunitConfig, MunitOptions
from zoo_plugins.munit.inference import DoublingBlock
from zoo_plugins.munit.initial import initialise
from zoo_plugins.munit.model import MUNIT, NAMES
from zoo_plugins.munit.perceptual import LAYERS, VGG16Features, perceptual_loss
from zoo_plugins.munit.trainer import MunitTrainer

SMALL: dict[str, Any] = {"ndf": 2, "n_layer": 2, "num_scales": 2, "load_size": 36, "batch_size": 4, "steps": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_domains(tmp_path_factory.mktemp("data") / "toy")


def trainer_for(data: Path, **changes: Any) -> tuple[MunitTrainer, Any]:
    """The trainer of a run on drawn photos, and the training data."""
    network = {f"network.{k}": v for k, v in CONFIG.items()}
    plan = make_plan("munit/small-64", f"domains:{data}", network | SMALL | changes, device="cpu")
    trainer = cast(MunitTrainer, build_trainer(plan))
    return trainer, open_splits(plan, trainer.model)[0]


# --- configs and options ------------------------------------------------------------------------------------------


def test_variants_have_the_registered_sizes() -> None:
    declared = registry().architecture("munit").parameters
    assert declared.keys() == VARIANTS.keys()
    for name, variant in VARIANTS.items():
        with torch.device("meta"):
            model = MUNIT(variant.config, zoo.label_space("domains"))
        assert sum(p.numel() for p in model.parameters()) == declared[name], name
        assert variant.training.load_size >= variant.config.resolution and variant.training.resample == "bilinear"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"resolution": 30}, "resolution must be a multiple of 2\\*\\*n_downsample = 4, got 30"),
        ({"resolution": 8}, "resolution must be at least 16"),
        ({"channels": ("A",)}, "channels must be two domains, got A"),
        ({"channels": ("A", "A")}, "channels must be two domains"),
    ],
)
def test_configs_that_no_network_has(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MunitConfig(**fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"batch_size": 3}, "batch_size counts the photos of both domains, so it must be even, got 3"),
        ({"num_scales": 0}, "num_scales must be at least 1"),
        ({"resample": "bilinear", "preprocess": "resize"}, "resample=bilinear belongs to the other modes"),
    ],
)
def test_options_that_no_training_has(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MunitOptions(**fields)


def test_domains_are_classes_of_the_label_space() -> None:
    seasons = parse_space(
        {"name": "seasons", "classes": ["summer", {"name": "winter", "aliases": ["snow"]}, "spring"]}, "test"
    )
    model = MUNIT(MunitConfig(**CONFIG, channels=("winter", "spring")), seasons)
    assert model.channels == ("winter", "spring") and model.domain("snow") == "winter"
    assert model.target(None) == "spring" and model.source_for("spring") == "winter"
    with pytest.raises(LabelError, match="MUNIT has no domain 'summer' \\(domains: winter, spring\\)"):
        model.domain("summer")
    with pytest.raises(LabelError, match="'autumn'"):
        MUNIT(MunitConfig(**CONFIG, channels=("winter", "autumn")), seasons)
    with pytest.raises(LabelError, match="between two domains"):
        MUNIT(MunitConfig(**CONFIG), parse_space({"name": "one", "classes": ["only"]}, "test"))


# --- the parts ----------------------------------------------------------------------------------------------------


def test_translation_is_content_and_style() -> None:
    """By the public calls as by the networks themselves; both ways, within a domain too."""
    model, photos = tiny_munit(), torch.rand(2, 3, 32, 48)
    for source, target in (("A", "B"), ("B", "A"), ("A", "A")):
        style = model.sample_style(2, 5, domain=target)
        made = model.translate(photos, to=target, source=source, style=style)
        one, other = (model.generators[NAMES["AB".index(d)]] for d in (source, target))
        with torch.no_grad():
            expected = (other.decode(one.enc_content(photos * 2 - 1), style.tensors["style"]) + 1) / 2
        torch.testing.assert_close(made, expected.clamp(0, 1), atol=1e-6, rtol=0)
    guide = model.encode_style(photos[:1], "B")
    assert guide.tensors["style"].shape == (1, 3) and torch.equal(
        guide.tensors["style"], model.encode_style(photos[:1], "B", rng=9).tensors["style"]
    )
    content = model.encode_content(photos, "A")
    assert torch.equal(model.translate(content, style=guide), model.translate(photos, style=guide))


def test_photos_keep_their_proportions() -> None:
    model = tiny_munit()
    assert [model.size_for(*s) for s in ((32, 32), (64, 100), (101, 33), (5, 5))] == [
        (32, 32),
        (32, 48),
        (96, 32),
        (32, 32),
    ]
    with pytest.raises(UsageError, match=r"takes photos of 32 x 32 pixels .* where these have 33 x 32"):
        model.translate(torch.rand(1, 3, 33, 32))
    with pytest.raises(UsageError, match=r"\[B, 3, H, W\] in \[0, 1\], got torch.uint8"):
        model.translate(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_content_and_styles_of_others_are_refused() -> None:
    model, photo = tiny_munit(), torch.rand(1, 3, 32, 32)
    content, style = model.encode_content(photo), model.sample_style(1, 0, domain="B")
    with pytest.raises(UsageError, match="content is not of this model: expected 'content'"):
        model.render({"other": content["content"]}, style, "B")
    with pytest.raises(UsageError, match="content is not of this model"):
        model.render({"content": content["content"][:, :1]}, style, "B")
    wrong = model.style(torch.zeros(1, 5))
    with pytest.raises(UsageError, match=r"style is not of this model .* expected 'style' \[1, 3\]"):
        model.render(content, wrong, "B")
    with pytest.raises(UsageError, match="does not fit 2"):
        model.translate(photo.repeat(2, 1, 1, 1), style=model.sample_style(3, 0, domain="B"))


@pytest.mark.parametrize("pad_type", ["reflect", "replicate", "zero"])
@pytest.mark.parametrize("size", [(4, 4), (5, 9), (3, 8), (16, 12)])
def test_the_inference_form_of_a_doubling_is_exact(pad_type: str, size: tuple[int, int]) -> None:
    block = ConvBlock(6, 3, 5, 1, 2, norm="ln", activ="selu", pad_type=pad_type).double()
    form, x = DoublingBlock(block), torch.randn(2, 6, *size, dtype=torch.float64)
    with torch.no_grad():
        plain = block(torch.nn.functional.interpolate(x, scale_factor=2.0))
        assert float((form(x) - plain).abs().max()) < 1e-12


def test_starts() -> None:
    model = MUNIT(MunitConfig(resolution=32, dim=16, mlp_dim=32, n_res=1), zoo.label_space("domains"))
    weights = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    for kind, expected in (
        ("kaiming", lambda w: (2 / w[0].numel()) ** 0.5),
        ("gaussian", lambda w: 0.02),
        ("xavier", lambda w: (2 * 2 / (w[0].numel() + w[:, 0].numel())) ** 0.5),
    ):
        initialise(model, kind)
        large = [m for m in weights if m.weight.numel() > 2000]
        assert len(large) > 10 and all(not bool(m.bias.any()) for m in weights if m.bias is not None)
        for layer in large:
            assert float(layer.weight.detach().std()) == pytest.approx(expected(layer.weight), rel=0.1), kind


# --- training -----------------------------------------------------------------------------------------------------


def test_batches_and_rates(data: Path) -> None:
    trainer, pairs = trainer_for(data, step_size=10, gamma=0.5)
    order = trainer.epoch_order(3, pairs)
    assert order == unpaired_order(pairs, ("A", "B"), 3, 0) and len(order) == 16
    assert [trainer.rates(0, step)["generator"] for step in (0, 8, 9, 18, 19)] == [2e-4, 2e-4, 1e-4, 1e-4, 5e-5]
    assert trainer_for(data, lr_policy="constant")[0].rates(0, 10**6)["discriminator"] == 2e-4
    batch = pairs.batch(order[:4])
    names = [update.optimizers for update in trainer.updates(batch, Rng(0, range(4)), 0)]
    assert names == [("discriminator",), ("generator",)]
    with torch.no_grad():
        rows = trainer.preview(batch, Rng(0, range(4)))
    assert set(rows) == {"A", "A-recon", "a-to-B-1", "a-to-B-2", "B", "B-recon", "b-to-A-1", "b-to-A-2"}
    assert all(v.shape == (2, 3, 32, 32) and 0 <= float(v.min()) <= float(v.max()) <= 1 for v in rows.values())
    with pytest.raises(DataError, match="as many photos of each domain, and this one holds 4 of A, 0 of B"):
        next(trainer.updates(pairs.batch([0, 1, 2, 3]), Rng(0, range(4)), 0))


def test_what_cannot_be_trained(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Photos of 32 px are too small .* which need 61 px"):
        trainer_for(data, n_layer=4, num_scales=3)
    with pytest.raises(ConfigError, match="vgg_w=1 needs the authors' VGG16 of Caffe"):
        trainer_for(data, vgg_w=1.0)
    with pytest.raises(WeightsError, match=r"lacks a fitting conv1_1\.weight"):
        save_file({"other": torch.zeros(1)}, tmp_path / "odd.safetensors")
        trainer_for(data, vgg_w=1.0, vgg=str(tmp_path / "odd.safetensors"))
    trainer, _ = trainer_for(data)
    with pytest.raises(DataError, match=r"no photos of the domain A.*domains:DIR"):
        trainer.prepare(open_data("toy-faces:2", resolution=32))
    with pytest.raises(LabelError, match="no class in common"):
        plan = make_plan(
            "munit/small-64", "toy-faces:4", {f"network.{k}": v for k, v in CONFIG.items()} | SMALL, device="cpu"
        )
        open_splits(plan, trainer.model)


def test_the_perceptual_loss_and_every_norm_of_the_discriminator(data: Path, tmp_path: Path) -> None:
    """One step each; the loss compares a translation with the photo that gave its content, and its brightness alone costs nothing."""
    widths, state, before = {1: 4, 2: 4, 3: 6, 4: 6, 5: 6}, {}, 3
    for block, count in LAYERS.items():
        for i in range(1, count + 1):
            state[f"conv{block}_{i}.weight"] = torch.randn(widths[block], before, 3, 3) / 3
            state[f"conv{block}_{i}.bias"], before = torch.zeros(widths[block]), widths[block]
    torch.save(state, tmp_path / "vgg16.weight")
    trainer, pairs = trainer_for(data, vgg_w=1.0, vgg=str(tmp_path / "vgg16.weight"), recon_x_cyc_w=1.0)
    batch = pairs.batch(trainer.epoch_order(0, pairs)[:4])
    losses = [u.losses for u in trainer.updates(batch, Rng(0, range(4)), 0)][1]
    assert {n for n in losses if n.startswith("vgg")} == {"vgg_a", "vgg_b"} and all(
        bool(v.isfinite()) for v in losses.values()
    )
    network, photos = VGG16Features(state), torch.rand(1, 3, 32, 32) * 2 - 1
    assert float(perceptual_loss(network, photos, photos)) == 0.0 < float(perceptual_loss(network, photos, -photos))
    for norm in ("in", "ln", "bn", "sn"):
        trainer, _ = trainer_for(data, norm_d=norm, gan_type="nsgan")
        discriminating = next(trainer.updates(batch, Rng(0, range(4)), 0))
        total = torch.stack(list(discriminating.losses.values())).sum()
        total.backward(inputs=list(trainer.discriminator.parameters()))
        assert bool(total.isfinite()) and all(p.grad is not None for p in trainer.discriminator.parameters()), norm


# --- the authors' files -------------------------------------------------------------------------------------------


def written(model: MUNIT) -> dict[str, dict[str, Tensor]]:
    """A generator file as the authors' program writes it."""
    return {name: official.written(model.generators[name], model.generators[name].state_dict()) for name in NAMES}


def test_files_are_identified_and_converted(data: Path, tmp_path: Path) -> None:
    trainer, _ = trainer_for(data)
    model = trainer.model
    torch.save(written(model), tmp_path / "gen_00000004.pt")
    discriminators = {name: trainer.discriminator[name].state_dict() for name in NAMES}
    torch.save(discriminators, tmp_path / "dis_00000004.pt")
    optimizer = {
        "gen": trainer.optimizers()["generator"].state_dict(),
        "dis": trainer.optimizers()["discriminator"].state_dict(),
    }
    torch.save(optimizer, tmp_path / "optimizer.pt")
    for name, role in (("gen", "generator"), ("dis", "discriminator")):
        (network,) = identify(tmp_path / f"{name}_00000004.pt").named
        assert [(c.architecture, c.match.role) for c in network.candidates] == [("munit", role)]
    assert identify(tmp_path / "optimizer.pt").named == []
    files = [tmp_path / f"{name}_00000004.pt" for name in ("gen", "dis")]
    report = convert(
        files,
        tmp_path / "made",
        Statement(variant="edges2shoes", architecture="munit", config={"resolution": "32"}),
        discriminator=True,
    )
    assert report["architecture"] == "munit" and report["discriminator"]
    again = cast(MUNIT, zoo.load(tmp_path / "made"))
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in again.state_dict().items())
    assert (tmp_path / "made/discriminator.safetensors").is_file() and again.config == replace(model.config)
    with pytest.raises(WeightsError, match="a discriminator alone is no model"):
        convert(files[1:], tmp_path / "none")


def test_files_of_pytorch_0_3_and_damaged_ones(tmp_path: Path) -> None:
    model = tiny_munit()
    old = written(model)
    for state in old.values():
        for key in [k for k in state if k.startswith("enc_content") and k.endswith("conv.bias")]:
            state |= {
                key.replace("conv.bias", f"norm.running_{n}"): torch.zeros_like(state[key]) for n in ("mean", "var")
            }
    torch.save(old, tmp_path / "old.pt")
    convert([tmp_path / "old.pt"], tmp_path / "made", Statement(config={"resolution": "32"}))
    assert torch.equal(next(zoo.load(tmp_path / "made").parameters()), next(model.parameters()))
    odd = {
        name: {k: v for k, v in state.items() if k != "mlp.model.2.fc.bias"} for name, state in written(model).items()
    }
    torch.save(odd, tmp_path / "odd.pt")
    with pytest.raises(WeightsError, match=r"holds no network .*nearest: munit generator"):
        convert([tmp_path / "odd.pt"], tmp_path / "none")
    with pytest.raises(WeightsError, match=r"has no tensor 'a\.extra\.weight'"):
        official.convert({"generator": {"a.extra.weight": torch.zeros(1)}})
    with pytest.raises(WeightsError, match="has no network 'encoder'"):
        official.convert({"encoder": {}})


def test_configs_are_read_off_files() -> None:
    for fields in (
        {"dim": 3, "n_downsample": 1, "n_res": 2, "style_dim": 5, "mlp_dim": 7},
        {"dim": 2, "n_downsample": 3, "n_res": 1, "activ": "prelu"},
    ):
        with torch.device("meta"):
            model = MUNIT(MunitConfig(**cast(Any, fields)), zoo.label_space("domains"))
        shapes = {f"{n}.{k}": tuple(v.shape) for n, state in written(model).items() for k, v in state.items()}
        match = official.detect(shapes)
        assert match is not None and match.complete
        read = MunitConfig(**match.config)
        assert all(getattr(read, k) == v for k, v in fields.items()), match.config
    assert official.detect({"a.cnns.0.0.conv.weight": (2, 3, 4, 4)}) is not None


def test_the_inference_form_is_the_plain_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks line by line, as `benchmarks` times them."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[1]))
    readings = importlib.import_module("benchmarks.readings")
    model, photos = tiny_munit(), torch.rand(2, 3, 32, 32)
    style = model.sample_style(2, 1, domain="B")
    with torch.no_grad():
        plain = readings.munit(model, photos, style.tensors["style"])
    for form in (model, model.optimized()):
        assert float((form.translate(photos, style=style) - plain).abs().max()) < 2e-5
