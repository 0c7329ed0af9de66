"""face-parser: sizes, orders of classes, features, training steps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from zoo.configs import from_dict, override, to_dict
from zoo.data import Augment, Batch, PairData
from zoo.data.specs import open_data
from zoo.errors import ConfigError, DataError, UsageError
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.face_parser import official
from zoo_plugins.face_parser.config import VARIANTS, FaceParserConfig, FaceParserTraining
from zoo_plugins.face_parser.losses import cross_entropy, inverse_frequency_weights
from zoo_plugins.face_parser.model import FaceParser
from zoo_plugins.face_parser.trainer import FaceParserTrainer

SPACE = label_space("celebamask-hq")
TINY = FaceParserConfig(side=32, feature_scale=16, resize="bicubic")


@pytest.fixture
def model() -> FaceParser:
    torch.manual_seed(0)
    return FaceParser(TINY, SPACE).eval()


@pytest.fixture(scope="module")
def toys() -> PairData:
    return open_data("toy-faces:16#train", resolution=32)


@pytest.mark.parametrize("size", [(32, 32), (50, 70), (20, 20), (32, 48)])
@pytest.mark.parametrize("resize", ["nearest", "bilinear", "bicubic"])
def test_maps_have_the_photos_size(size: tuple[int, int], resize: str) -> None:
    model = FaceParser(override(TINY, {"resize": resize}), SPACE).eval()
    found = model.parse(torch.rand(2, 3, *size))
    assert found.size == size and len(found) == 2 and found.space is SPACE and not found.labels.requires_grad


def test_photos_of_the_models_size_are_taken_as_they_are(model: FaceParser) -> None:
    images = torch.rand(3, 3, 32, 32)
    assert torch.equal(model.parse(images).labels, model.unet(2 * images - 1).argmax(1))
    one = torch.cat([model.parse(image[None]).labels for image in images])
    assert torch.equal(one, model.parse(images).labels)


def test_wrong_input(model: FaceParser) -> None:
    with pytest.raises(DataError, match=r"reads RGB photos \[B, 3, H, W\], got \(2, 1, 32, 32\)"):
        model.parse(torch.rand(2, 1, 32, 32))
    with pytest.raises(DataError, match="multiples of 16, got 30 x 32: resize to 32 x 32"):
        model.logits(torch.rand(1, 3, 30, 32))


def test_channel_order_is_translated_by_name(model: FaceParser) -> None:
    names = tuple(reversed(SPACE.names))
    turned = FaceParser(dataclasses.replace(TINY, channels=names), SPACE).eval()
    turned.load_state_dict(model.state_dict())
    assert turned.channels == names and model.channels == SPACE.names
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(turned.parse(images).labels, 18 - model.parse(images).labels)
    maps = turned.parse(images)
    assert torch.equal(turned.targets(maps), 18 - maps.labels)


def test_a_class_without_channel_is_left_out_of_the_loss(toys: PairData) -> None:
    part = FaceParser(dataclasses.replace(TINY, channels=("background", "skin", "hair")), SPACE)
    batch = toys.batch([0, 1])
    targets = part.targets(batch.maps)
    assert set(targets.unique().tolist()) == {-100, 0, 1, 2}
    assert torch.equal(targets == 2, batch.maps.labels == SPACE.index("hair"))


def test_features_are_differentiable_and_stop_early(model: FaceParser) -> None:
    images = torch.rand(2, 3, 32, 32, requires_grad=True)
    found = model.features(images)
    assert [tuple(f.shape[1:]) for f in found] == [(4, 32, 32), (8, 16, 16), (16, 8, 8), (32, 4, 4), (64, 2, 2)]
    sum((f.square().mean() for f in found), torch.zeros(())).backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0
    chosen = model.features(images, ("up_concat1", "conv2"))
    assert [f.shape[1] for f in chosen] == [4, 8]
    assert model.features(torch.rand(1, 3, 48, 40))[0].shape[-2:] == (32, 32)
    with pytest.raises(UsageError, match="did you mean 'conv1'"):
        model.features(images, ("conv_1",))


def test_no_batch_norm_has_keys_without_norms() -> None:
    model = FaceParser(override(TINY, {"batch_norm": False}), SPACE).eval()
    state = {k.removeprefix("unet."): v for k, v in model.state_dict().items()}
    match = official.detect({k: tuple(v.shape) for k, v in state.items()})
    assert (
        match is not None
        and match.config == {"feature_scale": 16, "batch_norm": False}
        and not match.missing
        and not match.unknown
    )
    model.load_state_dict(official.convert({"parser": {f"module.{k}": v for k, v in state.items()}}))


def test_config_faults_are_listed_together() -> None:
    with pytest.raises(ConfigError, match=r"multiple of 16, got 100; feature_scale must be 1\.\.64"):
        FaceParserConfig(side=100, feature_scale=0)
    with pytest.raises(ConfigError, match="did you mean 'feature_scale'"):
        from_dict(FaceParserConfig, {"feature_scales": 2})
    assert from_dict(FaceParserConfig, to_dict(TINY), complete=True) == TINY
    assert VARIANTS["celeba"].config == FaceParserConfig() and VARIANTS["celeba"].training == FaceParserTraining()


def test_embedded_variant_is_small_enough() -> None:
    model = FaceParser(VARIANTS["celeba-128"].config, SPACE)
    parameters = sum(p.numel() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert model.resolution == (128, 128) and 2 * parameters + buffers < 3_930_000


# --- losses and training --------------------------------------------------------------------------------------------


def test_cross_entropy_options() -> None:
    logits, labels = torch.randn(2, 5, 4, 4), torch.randint(0, 5, (2, 4, 4))
    plain = torch.nn.functional.cross_entropy(logits, labels)
    assert torch.equal(cross_entropy(logits, labels), plain)
    marked = labels.clone()
    marked[:, 0] = 250
    assert cross_entropy(logits, marked) == pytest.approx(
        float(torch.nn.functional.cross_entropy(logits[:, :, 1:], labels[:, 1:]))
    )
    assert torch.isnan(cross_entropy(logits, torch.full_like(labels, 250)))
    assert cross_entropy(logits, torch.randint(0, 5, (2, 8, 8))).isfinite()
    assert torch.allclose(cross_entropy(logits, labels, weights=torch.ones(5)), plain)


def test_frequency_weights() -> None:
    counts = torch.tensor([900, 100, 0])
    weights = inverse_frequency_weights(counts, 0.5)
    assert float(weights[1] / weights[0]) == pytest.approx(3) and weights[2] == weights[1]
    assert float((weights * counts / 1000).sum()) == pytest.approx(1)
    assert torch.equal(inverse_frequency_weights(counts, 0.0), torch.ones(3))


def steps(trainer: FaceParserTrainer, data: PairData, count: int) -> list[float]:
    losses = []
    for step in range(count):
        rng = Rng(0, range(step * 8, step * 8 + 8))
        for update in trainer.updates(data.batch(range(8), Augment(flip=True), rng), rng, step):
            loss: Tensor = sum(update.losses.values(), torch.zeros(()))
            optimizer = trainer.optimizers()[update.optimizers[0]]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
    return losses


def test_training_lowers_the_loss_and_scores(model: FaceParser, toys: PairData) -> None:
    options = FaceParserTraining(steps=40, batch_size=8, lr=5e-3, weight_power=0.5, decay=0.5)
    trainer = FaceParserTrainer(model, options)
    assert trainer.networks == {"model": model}
    with pytest.raises(DataError, match="call prepare"):
        next(trainer.updates(toys.batch([0]), Rng(0), 0))
    trainer.prepare(toys)
    model.train()
    losses = steps(trainer, toys, 40)
    assert losses[-1] < 0.7 * losses[0]
    scores = trainer.validate(toys)
    assert (
        next(iter(scores)) == "miou"
        and set(scores) == {"miou", "miou_all", "accuracy"}
        and scores["accuracy"] > 0.35
        and model.training
    )
    pictures = trainer.preview(toys.batch([0, 1]), Rng(0, [0, 1]))
    assert {k: tuple(v.shape) for k, v in pictures.items()} == dict.fromkeys(("photo", "map", "parsed"), (2, 3, 32, 32))


def test_rates() -> None:
    flat = FaceParserTrainer(FaceParser(TINY, SPACE), FaceParserTraining(steps=100, lr=1.0))
    assert [flat.rates(0, s)["model"] for s in (0, 50, 99)] == [1, 1, 1]
    falling = FaceParserTrainer(FaceParser(TINY, SPACE), FaceParserTraining(steps=100, lr=1.0, decay=0.4))
    assert [falling.rates(0, s)["model"] for s in (0, 60, 80, 100)] == pytest.approx([1, 1, 0.5, 0])
    assert falling.optimizers() is falling.optimizers()


def test_data_in_another_label_space_and_without_photos(model: FaceParser, toys: PairData) -> None:
    trainer = FaceParserTrainer(model, FaceParserTraining())
    batch = toys.batch([0, 1])
    other = Batch(batch.images, batch.maps.to_space(label_space("face-parsing")), batch.names)
    assert torch.allclose(
        next(trainer.updates(other, Rng(0, [0, 1]), 0)).losses["cross_entropy"],
        next(trainer.updates(batch, Rng(0, [0, 1]), 0)).losses["cross_entropy"],
    )
    with pytest.raises(DataError, match="maps alone"):
        next(trainer.updates(Batch(None, batch.maps, batch.names), Rng(0, [0, 1]), 0))


def test_registered_as_declared() -> None:
    from zoo.registry import import_string
    from zoo_plugins.face_parser import plugin

    architecture, _ = plugin.architectures
    assert import_string(architecture.model, "test") is FaceParser
    assert import_string(architecture.variants, "test") is VARIANTS
    assert architecture.official is not None and import_string(architecture.official, "test") is official
    assert [
        import_string(target, "test").__name__ for target in (*plugin.networks.values(), *plugin.losses.values())
    ] == ["UNet", "LiteNet", "cross_entropy"]
