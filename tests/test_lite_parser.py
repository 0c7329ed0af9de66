"""lite-parser: sizes, features, its two optimizers, pretrained weights; and pairs that are turned, squeezed and softened."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo.cards import find
from zoo.composition.parsers import default_parser
from zoo.data import Augment, PairData
from zoo.data.augment import augment_instances, augment_pair
from zoo.data.specs import open_data
from zoo.data.warp import Warp
from zoo.errors import ConfigError, DataError, UsageError
from zoo.interfaces.training_options import TrainingOptions
from zoo.nn.pretrained import LITE0
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.face_parser.config import LITE_VARIANTS, LiteParserConfig, LiteParserTraining
from zoo_plugins.face_parser.lite import ENCODER, LiteEncoder
from zoo_plugins.face_parser.model import LiteParser
from zoo_plugins.face_parser.trainer import LiteParserTrainer

SPACE = label_space("celebamask-hq")
TINY = LiteParserConfig(side=32, widths=(8, 8, 8, 8))
FRESH = LiteParserTraining(pretrained=False, steps=10, batch_size=4, flip=True)


@pytest.fixture(scope="module")
def model() -> LiteParser:
    torch.manual_seed(0)
    return LiteParser(TINY, SPACE).eval()


@pytest.fixture(scope="module")
def toys() -> PairData:
    return open_data("toy-faces:16#train", resolution=32)


@pytest.mark.parametrize("size", [(32, 32), (50, 70), (20, 20)])
def test_maps_have_the_photos_size(model: LiteParser, size: tuple[int, int]) -> None:
    found = model.parse(torch.rand(2, 3, *size))
    assert found.size == size and len(found) == 2 and found.space is SPACE


def test_features_and_sides(model: LiteParser) -> None:
    images = torch.rand(1, 3, 64, 64, requires_grad=True)
    found = model.features(images)
    assert [tuple(f.shape[1:]) for f in found] == [(16, 16, 16), (24, 8, 8), (40, 4, 4), (112, 2, 2), (192, 1, 1)]
    sum((f.square().mean() for f in found), torch.zeros(())).backward()
    assert images.grad is not None and float(images.grad.abs().sum()) > 0
    assert [f.shape[1] for f in model.features(images, ("up2", "stride4"))] == [8, 24]
    with pytest.raises(UsageError, match=f"stages: {', '.join(ENCODER)}"):
        model.features(images, ("conv1",))
    with pytest.raises(DataError, match="multiples of 32, got 48 x 64: resize to 64 x 64"):
        model.logits(torch.rand(1, 3, 48, 64))
    with pytest.raises(ConfigError, match="multiple of 32, got 48; widths"):
        LiteParserConfig(side=48, widths=(0, 1, 1, 1))


def test_small_enough_to_be_embedded() -> None:
    model = LiteParser(LITE_VARIANTS["celeba-160"].config, SPACE)
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert 2 * sum(p.numel() for p in model.parameters()) + buffers < 6_100_000


def test_encoder_and_decoder_have_rates_of_their_own(toys: PairData) -> None:
    torch.manual_seed(0)
    trainer = LiteParserTrainer(LiteParser(TINY, SPACE), FRESH)
    trainer.prepare(toys)
    optimizers = trainer.optimizers()
    owned = [p for o in optimizers.values() for g in o.param_groups for p in g["params"]]
    assert len(owned) == len({id(p) for p in owned}) == len(list(trainer.model.parameters()))
    assert trainer.rates(0, 0) == pytest.approx({"model": 1.5e-3, "encoder": 4.5e-4})
    assert trainer.rates(0, 9)["encoder"] < 1e-4
    losses = []
    for step in range(12):
        for update in trainer.updates(toys.batch(range(8)), Rng(0, range(8)), step):
            assert update.optimizers == ("model", "encoder")
            loss = sum(update.losses.values(), torch.zeros(()))
            losses.append(loss.item())
            for optimizer in optimizers.values():
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers.values():
                optimizer.step()
    assert losses[-1] < losses[0]


def test_imagenet_weights() -> None:
    """The encoder is the one that the pip package's weights belong to: its features are those of the frozen network."""
    try:
        LITE0.path()
    except UsageError as error:
        pytest.skip(f"needs the extra train: {error}")
    from zoo.nn.pretrained import lite0

    encoder = LiteEncoder()
    encoder.load_pretrained()
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        pairs = zip(encoder.eval()(images), lite0((0, 1, 2, 4, 5))(images), strict=True)
        assert all(torch.allclose(a, b, atol=1e-4, rtol=1e-4) for a, b in pairs)  # its norms are folded


# --- augmentation -----------------------------------------------------------------------------------------------------


def cells(seed: int = 0) -> np.ndarray:
    """A map of blocks of 8 pixels."""
    return np.random.default_rng(seed).integers(0, 19, (8, 8)).repeat(8, 0).repeat(8, 1).astype(np.uint8)


def test_photo_and_map_move_together() -> None:
    """The photo shows its map's numbers: after the change the two agree away from the borders of parts."""
    labels = cells()
    photo = np.repeat(labels[..., None] * 12, 3, -1)
    augment = Augment(turn=30, squeeze=0.6)
    pairs = augment_pair([(photo, labels)] * 6, (64, 64), augment, Rng(0, range(6)), label_space("celebamask-hq"))
    for changed, moved in pairs:
        assert changed is not None and not np.array_equal(moved, labels)
        assert (np.abs(changed[..., 0].astype(int) - moved * 12) <= 1).mean() > 0.6
    numbers = augment_instances([labels.astype(np.int32)] * 6, (64, 64), augment, Rng(0, range(6)))
    assert all(np.array_equal(n, moved) for n, (_, moved) in zip(numbers, pairs, strict=True))


def test_what_was_not_asked_stays() -> None:
    labels, photo = cells(), np.repeat(cells(1)[..., None], 3, -1)
    plain = augment_pair([(photo, labels)], (64, 64), Augment(flip=True, zoom=0.2), Rng(3, [0]), SPACE)
    more = augment_pair([(photo, labels)], (64, 64), Augment(flip=True, zoom=0.2, soften=1.0), Rng(3, [0]), SPACE)
    assert np.array_equal(plain[0][1], more[0][1]), "softening leaves the map and the other draws"
    assert Augment().nothing and not Augment(turn=1).nothing and not Augment(soften=1).nothing
    with pytest.raises(ConfigError, match="turn, squeeze and soften must be 0 or more"):
        TrainingOptions(turn=-1)


def test_quarter_turns_and_halves() -> None:
    labels = cells()
    quarter = Warp(np.pi / 2, 1, 0).cells(labels)
    assert np.array_equal(quarter, np.rot90(labels, -1)), "clockwise"
    narrow = Warp(0, 2, 0).cells(labels)
    assert np.array_equal(
        narrow[:, 16:48], labels[:, np.clip((np.arange(16, 48) - 31.5) * 2 + 31.5, 0, 63).round().astype(int)]
    )
    assert np.array_equal(narrow[:, :15], narrow[:, 17:32][:, ::-1]), "beside it lies the mirrored picture"
    photo = np.repeat(labels[..., None], 3, -1)
    assert np.abs(Warp(np.pi / 2, 1, 0).photo(photo, 0).astype(int) - quarter[..., None]).max() <= 1  # type: ignore[union-attr]


# --- the published one --------------------------------------------------------------------------------------------


def test_the_best_published_parser_reads_photos_where_none_is_named() -> None:
    assert default_parser() == default_parser(label_space("face-parsing")) == "lite-parser-celeba"
    assert default_parser(label_space("atr")) == "lite-parser-ccp"


@pytest.mark.parametrize(
    "scores", [None, "good", [1], {}, *({"segmentation.miou": v} for v in ("0.7", True, float("nan"), [1], None))]
)
def test_a_card_that_states_no_number_has_no_score(scores: object) -> None:
    card = replace(find("lite-parser-celeba"), facts={"scores": scores})
    assert card.score("segmentation.miou") is None and card.score("nothing") is None
    assert find("lite-parser-celeba").score("segmentation.miou") == 0.6351
