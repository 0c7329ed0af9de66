"""CLVAE behind the zoo's interface: layouts, styles, priors, and what it refuses, at toy sizes."""

from __future__ import annotations

import pytest
import torch
from clvae_tiny import SPACE, maps_of, model_of, photos_of

from zoo.errors import LabelError, UsageError
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.maps import SemanticMap
from zoo.registry import label_space
from zoo.rng import Rng
from zoo.style import Style


def test_capabilities_and_shapes() -> None:
    model, maps = model_of(), maps_of(2)
    assert isinstance(model, SamplesStyle) and isinstance(model, EncodesStyle)
    assert model.styles == {"prior", "mean", "photo"} and model.channels == SPACE.names
    style = model.sample_style(maps, 0)
    assert style.tensors["codes"].shape == (2, 19, 5, 4) and style.tensors["z"].shape == (2, 6)
    images = model.synthesize(maps, style)
    assert images.shape == (2, 3, 32, 32) and images.min() >= 0 and images.max() <= 1
    assert model.synthesize(maps_of(1, (64, 64)), rng=0).shape[-2:] == (32, 32)
    wide = model_of(resolution=64, aspect_ratio=2.0)
    assert wide.resolution == (32, 64) and wide.synthesize(maps_of(1, (32, 64)), rng=0).shape == (1, 3, 32, 64)


def test_a_class_s_numbers_depend_on_its_name_alone() -> None:
    model, maps = model_of(), maps_of(3)
    together = model.sample_style(maps, Rng(5, range(3)))
    shown = torch.zeros(3, 19, dtype=torch.bool).scatter_(1, maps.labels.flatten(1), True)
    assert together.present is not None and torch.equal(together.present, shown)
    for i in range(3):
        alone = model.sample_style(maps[i], Rng(5, [i]))
        assert torch.equal(alone.tensors["codes"], together.tensors["codes"][[i]])
    index = int(maps.labels[0, 0, 0])
    expected = Rng(5, [0]).normal(SPACE.names[index], 3, shape=(4,))
    assert torch.equal(together.tensors["codes"][:1, index, 2], expected)
    assert not together.tensors["codes"][~shown].any()


def test_only_the_changed_class_and_layer_change_the_picture_s_latents() -> None:
    model, maps = model_of(), maps_of(1)
    name = SPACE.names[int(maps.labels[0, 5, 5])]
    style = model.sample_style(maps, 1)
    again = model.resample(style, maps, classes=[name], layers=["1/2"], rng=2)
    changed = (again.tensors["codes"] != style.tensors["codes"]).any(-1)[0]
    assert changed.nonzero().tolist() == [[SPACE.index(name), 4]]
    assert torch.equal(again.tensors["z"], style.tensors["z"])
    everything = model.resample(style, maps, rng=2)
    assert torch.equal(everything.tensors["z"], model.sample_style(maps, 2).tensors["z"])
    assert not torch.equal(model.synthesize(maps, again), model.synthesize(maps, style))


def test_styles_of_photos() -> None:
    model, maps, photos = model_of(), maps_of(2), photos_of(2)
    mean = model.encode_style(photos, maps)
    assert torch.equal(mean.tensors["codes"], model.encode_style(photos, maps).tensors["codes"])
    drawn = model.encode_style(photos, maps, rng=1)
    assert mean.present is not None and mean.visible is not None
    assert not torch.equal(drawn.tensors["codes"], mean.tensors["codes"])
    assert not drawn.tensors["codes"][~mean.visible].any() and not drawn.tensors["codes"][~mean.present].any()
    with pytest.raises(UsageError, match="2 photos of 32 x 32 pixels and 2 maps of 48 x 48"):
        model.encode_style(photos, maps_of(2, (48, 48)))
    with pytest.raises(LabelError, match="face-parsing"):
        model.encode_style(photos, SemanticMap(maps.labels, label_space("face-parsing")))


def test_classes_that_a_photo_lacks_are_drawn() -> None:
    model, maps = model_of(), maps_of(1)
    plain = SemanticMap(torch.full((1, 32, 32), int(maps.labels[0, 0, 0])), SPACE)
    style = model.encode_style(photos_of(1), plain)
    whole = model.complete_style(style, maps, Rng(3, [0]))
    drawn = model.sample_style(maps, Rng(3, [0]))
    assert style.present is not None and whole.present is not None and int(style.present.sum()) == 1
    assert torch.equal(whole.present, style.present | drawn.present)  # type: ignore[operator]
    lacking = ~style.present
    assert torch.equal(whole.tensors["codes"][lacking], drawn.tensors["codes"][lacking])
    assert torch.equal(whole.tensors["codes"][style.present], style.tensors["codes"][style.present])
    assert torch.equal(model.synthesize(maps, style, rng=Rng(3, [0])), model.synthesize(maps, whole))
    assert model.complete_style(whole, maps, None) is whole


def test_priors() -> None:
    model, maps = model_of(), maps_of(2)
    assert not model.sample_style(maps, None, prior="mean").tensors["codes"].any()
    with pytest.raises(UsageError, match="fitted"):
        model.sample_style(maps, 1, prior="fitted")
    with pytest.raises(UsageError, match="normal, fitted or mean"):
        model.sample_style(maps, 1, prior="median")
    model.assets["latent_prior"] = {
        "mean": torch.full((6,), 3.0), "factor": torch.zeros(6, 6),
        "class_mean": torch.full((19, 20), 2.0), "class_factor": torch.zeros(19, 20, 20),
    }  # fmt: skip
    fitted = model.sample_style(maps, 1)
    assert fitted.present is not None and torch.equal(fitted.tensors["z"], torch.full((2, 6), 3.0))
    assert (fitted.tensors["codes"][fitted.present] == 2).all() and not fitted.tensors["codes"][~fitted.present].any()
    assert torch.equal(model.sample_style(maps, None, prior="mean").tensors["codes"], fitted.tensors["codes"])
    model.assets["latent_prior"]["class_factor"] = torch.ones(19, 20)
    normal = model.sample_style(maps, 1, prior="normal").tensors["codes"]
    torch.testing.assert_close(model.sample_style(maps, 1).tensors["codes"][fitted.present], normal[fitted.present] + 2)


def test_layouts() -> None:
    model, maps = model_of(), maps_of(2)
    layout = model.layout(maps)
    assert model.layout(maps, reuse=layout) is layout
    with pytest.raises(UsageError, match="3 maps"):
        model.synthesize(maps_of(3), model.sample_style(maps, 0))


def test_styles_of_other_models_are_refused() -> None:
    model, maps = model_of(), maps_of(1)
    with pytest.raises(UsageError, match=r"codes \[samples, 19, 5, 4\]"):
        model.synthesize(maps, Style({"z": torch.zeros(1, 6)}, {"z": ("sample", "channel")}))
    with pytest.raises(UsageError, match=r"1/32, 1/16, 1/8, 1/4, 1/2"):
        model.synthesize(maps, model_of(layers=3).sample_style(maps, 0))
