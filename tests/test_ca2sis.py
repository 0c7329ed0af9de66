"""CA2SIS behind the zoo's interface, its inference form and its trainer, at toy sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from gan_tiny import SPACE, block_maps
from test_training_cli import zoo as cli

import zoo
from zoo.data import PairData
from zoo.data.toy_faces import ToyFaces
from zoo.errors import ConfigError, DataError, LabelError, UsageError
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo_plugins.ca2sis.config import VARIANTS, CA2SISConfig, CA2SISOptions
from zoo_plugins.ca2sis.fitting import fit_mean_style
from zoo_plugins.ca2sis.model import CA2SIS
from zoo_plugins.ca2sis.trainer import CA2SISTrainer

TINY = CA2SISConfig(
    resolution=32, layout_side=16, latent=16, width=16, widths=(16, 8, 8, 8), groups=4, heads=(2, 2, 2, 1),
    head_sizes=(8, 8, 8, 8), self_attention=1, style_features=1, style_layers=3, style_dim=5,
)  # fmt: skip
OPTIONS = CA2SISOptions(steps=10, batch_size=2, perceptual="none", ndf=4, lr=2e-3)


def _model(seed: int = 0, **changes: Any) -> CA2SIS:
    torch.manual_seed(seed)
    model = CA2SIS(replace(TINY, **changes), SPACE)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # away from the zero convolutions of the start
                parameter.copy_(torch.randn_like(parameter) / parameter[0].numel() ** 0.5)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))
    return model.eval()


def _maps(count: int, side: int = 32, seed: int = 0) -> SemanticMap:
    return block_maps(count, side, seed, classes=8)


def _photos(count: int, side: int = 32, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_what_it_can() -> None:
    model = _model()
    assert isinstance(model, SamplesStyle) and isinstance(model, EncodesStyle)
    assert model.styles == {"photo"} and model.channels == SPACE.names
    assert model.layers == ("1/4", "1/2") and model.resolution == (32, 32)
    assert len(model.generator.parts) == len(SPACE) - 1 and 0 not in model.generator.parts


def test_the_style_is_that_of_the_classes_shown() -> None:
    model, maps, photos = _model(), _maps(2), _photos(2)
    style = model.encode_style(photos, maps)
    tokens, present = style.tensors["tokens"], style.present
    assert tokens.shape == (2, 19, 2, 5) and present is not None and torch.equal(present, maps.present())
    assert not tokens[~present].any() and tokens[present].abs().max() < 1
    # what the generator sees of an absent class is what the encoder itself gives for one
    planes = model.planes(maps)
    with torch.no_grad():
        expected = model.encoder(model.fit_image(photos) * 2 - 1, planes).flatten(2)
    torch.testing.assert_close(model.tokens(style), expected, atol=1e-5, rtol=1e-4)


def test_tokens_are_means_over_each_classs_pixels() -> None:
    model, maps = _model(), _maps(2)
    planes = model.planes(maps)
    features = torch.randn(2, 19 * 3, 8, 8)
    pooled = model.encoder.pool(features, planes).unflatten(1, (19, 3))
    small = maps.labels[:, ::4, ::4]
    for row in range(2):
        for value in small[row].unique().tolist():
            where = small[row] == value
            expected = features[row].unflatten(0, (19, 3))[value][:, where].mean(1)
            torch.testing.assert_close(pooled[row, value], expected, atol=1e-4, rtol=1e-4)
    assert not pooled[~maps.present()].any()


def test_changing_one_classs_style_is_a_change_of_its_token() -> None:
    model, maps = _model(), _maps(2)
    one, other = (model.encode_style(_photos(1, seed=s), maps[0]) for s in (0, 1))
    names = maps.label_set(0).names
    swapped = one.take(other, classes=names[:1])
    index = model.channels.index(names[0])
    assert torch.equal(swapped.tensors["tokens"][:, index], other.tensors["tokens"][:, index])
    rest = [i for i in range(19) if i != index]
    assert torch.equal(swapped.tensors["tokens"][:, rest], one.tensors["tokens"][:, rest])
    assert not torch.equal(model.synthesize(maps[0], swapped), model.synthesize(maps[0], one))
    coarse = one.take(other, layers=("1/4",))
    assert torch.equal(coarse.tensors["tokens"][:, :, 1], one.tensors["tokens"][:, :, 1])


def test_an_equal_map_keeps_its_layout() -> None:
    model, maps = _model(), _maps(3)
    layout = model.layout(maps)
    assert model.layout(maps, reuse=layout) is layout


def test_the_background_takes_no_part_in_the_layout() -> None:
    model = _model()
    planes = torch.zeros(1, 19, 32, 32)
    planes[:, 0] = 1
    empty = model.generator.codes(torch.zeros_like(planes))
    torch.testing.assert_close(model.generator.codes(planes), empty)


@pytest.mark.parametrize(
    "changes",
    [{}, {"self_attention": 4, "tanh": True}, {"head_sizes": (24, 24, 20, 24)}],  # more channels than tokens
)
def test_inference_form_equals(changes: dict[str, Any]) -> None:
    model, maps = _model(**changes), _maps(3)
    style = model.encode_style(_photos(3), maps)
    with torch.no_grad():
        plain = model.generator(model.planes(maps), model.tokens(style))
        fast = model.optimized()
        folded = fast.generator(fast.planes(maps), fast.tokens(style))
    torch.testing.assert_close(folded, plain, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(fast.synthesize(maps, style), model.synthesize(maps, style), atol=1e-4, rtol=0)


def test_the_mean_style_is_an_asset() -> None:
    model, maps = _model(), _maps(2)
    with pytest.raises(UsageError, match="zoo fit"):
        model.synthesize(maps)
    with pytest.raises(UsageError, match="no prior 'normal'"):
        model.sample_style(maps, 0, prior="normal")
    data = PairData(ToyFaces("6", "train"), 32)
    asset = fit_mean_style(model, data)
    model.assets["mean_style"] = asset
    assert model.styles == {"photo", "mean"} and model.fit_asset("other", data, OPTIONS) is None
    batch = next(data.batches(6))
    assert batch.images is not None
    style = model.encode_style(batch.images, batch.maps)
    hair = SPACE.index("hair")
    assert style.present is not None and asset["photos"].tolist() == style.present.sum(0).tolist()
    shown = style.tensors["tokens"][style.present[:, hair], hair]
    torch.testing.assert_close(asset["tokens"][hair], shown.mean(0), atol=1e-5, rtol=0)
    assert torch.equal(model.synthesize(maps, rng=1), model.synthesize(maps, rng=2))


def test_classes_that_the_photo_lacks_get_the_model_s_own_token(inputs: Path, tmp_path: Path) -> None:
    """On the command line as in Python: without a prior nothing is drawn for them, with or without the mean, and it is told."""
    model = _model()
    face = SemanticMap.from_png(inputs / "face.png", SPACE)
    bare = SemanticMap(torch.where(face.labels == SPACE.index("nose"), SPACE.index("skin"), face.labels), SPACE)
    bare.to_png(tmp_path / "bare.png")
    photo = f"{inputs / 'photo.png'}::{tmp_path / 'bare.png'}"
    for _ in range(2):
        pipe = zoo.compose((None, model), device="cpu")
        made = pipe(maps=inputs / "face.png", n=2, seed=0, style=photo, batch_size=1)
        assert made.styles is not None and made.styles.present is not None and made.images is not None
        assert not made.styles.present[:, SPACE.index("nose")].any() and "style_from_prior" not in made.report
        assert made.report["notes"] == ["The style has no nose, and this model has no prior: it fills in its own."]
        torch.testing.assert_close(model.synthesize(face, made.styles[0]), made.images[:1], atol=1e-4, rtol=1e-4)
        model.assets["mean_style"] = fit_mean_style(model, PairData(ToyFaces("2", "train"), 32))


def test_wrong_pairs_are_told() -> None:
    model, maps = _model(), _maps(2)
    with pytest.raises(UsageError, match="maps of 32 x 32"):
        model.encode_style(_photos(2, side=40), maps)
    with pytest.raises(UsageError, match="1 photos"):
        model.encode_style(_photos(1), maps)
    with pytest.raises(LabelError, match="atr"):
        model.encode_style(_photos(2), SemanticMap(maps.labels, label_space("atr")))
    style = model.encode_style(_photos(2), maps)
    with pytest.raises(UsageError, match="one style"):
        model.synthesize(_maps(3), style)
    with pytest.raises(UsageError, match="holds tokens"):
        _model(style_dim=6).synthesize(maps, style)
    with pytest.raises(UsageError, match="another architecture"):
        model.synthesize(cast(Any, object()), style)


def test_configs() -> None:
    for changes, words in (
        ({"latent": 15}, "square"), ({"resolution": 64}, "resolution must be"), ({"heads": (2,)}, "same number"),
        ({"groups": 5}, "multiples of groups"), ({"style_layers": 6}, "style_layers"), ({"self_attention": 5}, "self_attention"),
        ({"style_dim": 0}, "at least 1"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=words):
            replace(TINY, **changes)
    with torch.device("meta"):
        model = CA2SIS(VARIANTS["celeba-128"].config, SPACE)
    assert model.resolution == (128, 128) and 2 * sum(p.numel() for p in model.parameters()) <= 9e6
    assert CA2SIS(TINY, numbered_space(5)).generator.parts == [0, 1, 2, 3, 4]  # without a background all take part


# --- training -----------------------------------------------------------------------------------------------------


def test_a_step_of_each_network() -> None:
    torch.manual_seed(0)
    trainer = CA2SISTrainer(CA2SIS(TINY, SPACE).train(), OPTIONS)
    data = PairData(ToyFaces("2", "train"), 32)
    batch = next(data.batches(2))
    rates = trainer.rates(0.0, 0)
    assert rates == {"generator": 1e-3, "discriminator": 4e-3} and trainer.rates(40.0, 0)["generator"] == 0
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
    # at the start the attention is closed by its zero convolution, so only that opens, and the blocks learn
    assert {"generator.out_conv.weight", "generator.attention.0.outward.weight", "generator.layout.weight"} <= moved


def test_it_learns_a_photo_from_its_own_style() -> None:
    torch.manual_seed(0)
    options = replace(OPTIONS, lambda_l1=20.0, lambda_feat=0.0, lr=4e-3, ttur=False)
    trainer = CA2SISTrainer(CA2SIS(replace(TINY, tanh=True), SPACE).train(), options)
    data = PairData(ToyFaces("2", "train"), 32)
    batch = next(data.batches(2))
    trainer.model.eval()
    before = trainer.validate(data)["l1"]
    for step in range(40):
        trainer.model.train()
        for update in trainer.updates(batch, Rng(0, [0, 1]), step):
            optimizer = trainer.optimizers()[update.optimizers[0]]
            optimizer.zero_grad()
            torch.stack(list(update.losses.values())).sum().backward()
            optimizer.step()
    trainer.model.eval()
    assert trainer.validate(data)["l1"] < 0.7 * before
    rows = trainer.preview(batch, Rng(0, [0, 1]))
    assert set(rows) == {"map", "photo", "encoded", "exchanged"}
    assert all(r.shape == (2, 3, 32, 32) for r in rows.values())


def test_maps_alone_are_refused() -> None:
    class Maps(ToyFaces):
        has_images = False

        def read(self, index: int, size: tuple[int, int] | None = None):
            return None, super().read(index, size)[1]

    data = PairData(Maps("2", "train"), 32)
    with pytest.raises(DataError, match="maps alone"):
        CA2SISTrainer(_model(), OPTIONS).prepare(data)
    with pytest.raises(DataError, match="maps alone"):
        fit_mean_style(_model(), data)


@pytest.mark.slow
def test_from_the_command_line(tmp_path: Path) -> None:
    sets = {
        "steps": 2,
        "batch_size": 2,
        "precision": "fp32",
        "perceptual": "none",
        "ndf": 4,
        "preview_every": 0,
        "zoom": 0,
    }
    sets |= {"preprocess": "resize_and_crop", "load_size": 140, "validate_every": 0}
    changes = [x for k, v in sets.items() for x in ("--set", f"{k}={v}")]
    command = [
        "train",
        "ca2sis/celeba-128",
        "--device",
        "cpu",
        "--data",
        "toy-faces:4",
        "--out",
        str(tmp_path),
        *changes,
    ]
    assert cli(*command) == 0
    model = cast(CA2SIS, zoo.load(str(tmp_path / "model")))
    assert model.styles == {"photo", "mean"} and model.synthesize(_maps(1)).shape == (1, 3, 128, 128)
