"""GroupDNet behind the zoo's interface: close-ups, codes by class, its inference form, its trainer, trained and composed at toy sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures_models import Ran
from gan_tiny import SPACE, block_maps, check_learning, step_of
from segvae_tiny import small
from torch.nn import functional as F
from training_steps import TwoPairs

import zoo
from zoo.errors import ConfigError, UsageError, WeightsError
from zoo.labels import numbered_space
from zoo.maps import SemanticMap
from zoo.registry import label_space, registry
from zoo.rng import Rng
from zoo_plugins.groupdnet import official
from zoo_plugins.groupdnet.config import VARIANTS, GroupDNetConfig, GroupDNetOptions
from zoo_plugins.groupdnet.encoder import GroupEncoder, class_crops
from zoo_plugins.groupdnet.model import GroupDNet
from zoo_plugins.groupdnet.trainer import GroupDNetTrainer

TINY = GroupDNetConfig(
    label_space="celebamask-hq", network="ade20k", resolution=64, ngf=2, encoder_width=19, code_width=2, upsampling="normal"
)  # fmt: skip
OPTIONS = GroupDNetOptions(steps=10, batch_size=2, perceptual="none", ndf=4, n_layers_d=3)


@torch.no_grad()
def _model(space: Any = SPACE, **changes: Any) -> GroupDNet:
    """With weights and running statistics as training would leave them."""
    torch.manual_seed(0)
    model = GroupDNet(replace(TINY, **changes), space)
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    for seed in range(8):  # also settles u and v
        labels = torch.randint(0, len(space), (4, 4, 4), generator=torch.Generator().manual_seed(seed))
        maps = SemanticMap(labels.repeat_interleave(8, 1).repeat_interleave(8, 2), space)
        planes = model.planes(maps)
        model.generator(planes, torch.randn(4, *model.code_shape).flatten(1, 2))
        model.encode(torch.randn(4, 3, *model.resolution), planes[:, : len(space)])
    return model.eval()


# --- close-ups and encoder --------------------------------------------------------------------------------------------


def test_close_ups_are_boxes_resized_to_the_nearest() -> None:
    images, labels = torch.rand(2, 3, 16, 32) + 0.1, torch.zeros(2, 16, 32, dtype=torch.long)
    labels[0, 3:9, 5:18] = 1
    labels[1, 15:, 31:] = 1
    masks = F.one_hot(labels, 3).permute(0, 3, 1, 2)
    made = class_crops(images, masks).unflatten(1, (3, 3))
    box = F.interpolate(images[:1, :, 3:9, 5:18], size=(16, 32), mode="nearest")[0]
    assert torch.equal(made[0, 1], box) and not made[:, 2].any()
    assert torch.equal(made[1, 1], images[1, :, 15:, 31:].expand(-1, 16, 32))
    assert torch.equal(made[0, 0], images[0] * (labels[0] == 0))  # its box is the whole, with a hole


@torch.no_grad()
def test_classes_that_are_not_there_have_the_biases_and_need_no_work() -> None:
    torch.manual_seed(0)
    encoder = GroupEncoder(5, 10, 4, code_width=2).eval()
    crops, classes = torch.randn(2, 2, 3, 32, 32), torch.tensor([1, 4])
    whole = torch.zeros(2, 5, 3, 32, 32).index_copy(1, classes, crops).flatten(1, 2)
    for ours, theirs in zip(encoder(crops.flatten(1, 2), classes), encoder(whole), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)
    mu, _ = encoder(whole)
    assert torch.equal(mu[:, :2], encoder.absent()[:2, None, None].expand(2, -1, 2, 2))


# --- model ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_variants_fit_their_label_spaces(name: str) -> None:
    config = VARIANTS[name].config
    space = label_space(config.label_space)
    with torch.device("meta"):
        model = GroupDNet(config, space)
    count = sum(p.numel() for p in model.parameters())
    assert model.channels == space.names and count == registry().architecture("groupdnet").parameters[name]


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (19, {}),
        (19, {"norm": "spadeinstance3x3", "code_width": 8}),
        (19, {"norm": "spectralspadebatch5x5"}),
        (8, {"network": "deepfashion", "code_width": 8, "ngf": 8, "hidden": 16, "encoder_width": 8, "norm": "spectralspadegroup3x3"}),
        (35, {"network": "cityscapes", "ngf": 70, "encoder_width": 35, "aspect_ratio": 2.0, "resolution": 128}),
    ],
)  # fmt: skip
def test_inference_form_is_equal(classes: int, changes: dict[str, Any]) -> None:
    space = SPACE if classes == 19 else numbered_space(classes)
    model = _model(space, **changes)
    labels = torch.randint(0, classes, (2, 4, 4), generator=torch.Generator().manual_seed(5)) // 3 * 3
    maps = SemanticMap(labels.repeat_interleave(8, 1).repeat_interleave(8, 2), space)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fast, plain = model.optimized(), model.synthesize(maps, rng=3)
    assert plain.shape[-2:] == model.resolution
    torch.testing.assert_close(fast.synthesize(maps, rng=3), plain, atol=2e-5, rtol=0)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_class_is_changed_alone_and_goes_over_from_another_style() -> None:
    model, maps = _model(), block_maps(1, 64)
    style, other = (model.sample_style(maps, rng=seed) for seed in (1, 2))
    name = model.channels[int(maps.labels[0, 0, 0])]
    index = model.channels.index(name)
    changed = style.take(other, classes=[name])
    apart = (style.tensors["codes"] != changed.tensors["codes"]).flatten(2).any(2)[0]
    assert apart.nonzero().flatten().tolist() == [index]
    assert not torch.equal(model.synthesize(maps, style), model.synthesize(maps, changed))
    half = style.lerp(other, 0.25, classes=[name])
    expected = torch.lerp(style.tensors["codes"][:, index], other.tensors["codes"][:, index], 0.25)
    torch.testing.assert_close(half.tensors["codes"][:, index], expected)
    alone = model.sample_style(block_maps(3, 64)[1], rng=Rng(1, [0]))
    assert torch.equal(alone.tensors["codes"], style.tensors["codes"])  # whatever the map


def test_codes_of_photos() -> None:
    model, maps = _model(), block_maps(2, 64, classes=5)
    photo = torch.rand(2, 3, 64, 64)
    mean = model.encode_style(photo, maps)
    assert mean.present is not None and not mean.tensors["codes"][~mean.present].any()
    mu, _ = model.encode(photo * 2 - 1, model.planes(maps))
    with torch.no_grad():
        expected = (model.generator(model.planes(maps), mu) + 1) / 2
    torch.testing.assert_close(model.synthesize(maps, mean), expected, atol=1e-6, rtol=0)
    drawn = model.encode_style(photo, maps, rng=1)
    assert not torch.equal(drawn.tensors["codes"], mean.tensors["codes"])
    # a class of another map that the photo lacks comes from the prior
    full = model.complete_style(mean, block_maps(2, 64, seed=3), rng=4)
    assert full.present is not None and full.present.sum() > mean.present.sum()
    with pytest.raises(UsageError, match="GroupDNet holds codes"):
        model.synthesize(maps, replace(mean, tensors={"codes": torch.zeros(2, 19, 3, 2, 2)}))
    with pytest.raises(UsageError, match="no fitted prior"):
        model.sample_style(maps, 1, prior="fitted")


def test_bad_configs_are_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"resolution.*ngf"):
        GroupDNetConfig(resolution=100, ngf=0)
    with pytest.raises(ConfigError, match="normal or more"):
        GroupDNetConfig(upsampling="most", resolution=256)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"does not fit 19 classes.*network=ade20k fits"):
        GroupDNet(GroupDNetConfig(label_space="celebamask-hq"), SPACE)
    with pytest.raises(WeightsError, match="unknown keys"):
        official.convert({"generator": {"embedding.weight": torch.zeros(1)}})


# --- training ---------------------------------------------------------------------------------------------------------


def test_training_steps() -> None:
    torch.manual_seed(1)
    trainer = GroupDNetTrainer(GroupDNet(TINY, SPACE), OPTIONS)
    assert set(step_of(trainer, 0)) == {"gan", "gan_feat", "kld", "d_fake", "d_real"}
    for network in trainer.networks.values():
        without = {n for n, p in network.named_parameters() if p.grad is None}
        assert all(n.startswith("generator.up_4.") for n in without)
    rows = trainer.preview(TwoPairs(block_maps(2)).batch, Rng(0, range(2)))
    assert set(rows) == {"map", "photo", "encoded", "random"}
    data: Any = TwoPairs(block_maps(2))
    trainer.gan.eval()
    assert trainer.validate(data) == trainer.validate(data)


def test_training_learns() -> None:
    torch.manual_seed(1)
    options = replace(OPTIONS, lambda_l1=10.0, lr=2e-3, ttur=False)
    check_learning(GroupDNetTrainer(GroupDNet(TINY, SPACE), options), "l1", 20)


@pytest.mark.usefixtures("one_thread")
def test_it_is_trained_and_composes_with_both_mask_generators(
    tmp_path: Path, run: Callable[..., Ran], pair: tuple[str, str]
) -> None:
    sizes = {
        "resolution": 64, "ngf": 4, "encoder_width": 19, "ndf": 4, "batch_size": 2, "steps": 2, "precision": "fp32", "preview_every": 0,
        "validate_every": 0, "perceptual": "none",
    }  # fmt: skip
    changes = [x for k, v in sizes.items() for x in ("--set", f"{k}={v}")]
    made = run(
        "train", "groupdnet/celeba-128", "--device", "cpu", "--data", "toy-faces:6", "--out", tmp_path / "r", *changes
    )
    assert made.code == 0, made.err
    model = tmp_path / "r" / "model"
    segvae = zoo.save(small(), tmp_path / "segvae")
    for generator in (pair[0], segvae):
        pipe = zoo.compose((str(generator), str(model)), device="cpu")
        made = pipe(labels=["skin", "hair", "nose"], n=2, seed=3)
        assert made.images is not None and made.images.shape == (2, 3, 64, 64) and made.styles is not None
        assert bool((made.styles.tensors["codes"][0] != made.styles.tensors["codes"][1]).any())
