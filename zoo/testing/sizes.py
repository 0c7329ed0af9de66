"""Names, sizes, types and ranges of what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.edits import Remove
from zoo.errors import ZooError
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo.testing.abilities import refused
from zoo.testing.asker import Asker, can, interface_of
from zoo.testing.samples import Samples, foreign_space
from zoo.testing.subject import Subject

KINDS = {
    "mask-generator": MaskGenerator, "image-synthesizer": ImageSynthesizer, "mask-parser": MaskParser, "image-generator": ImageGenerator,
    "image-translator": ImageTranslator, "map-judge": MapJudge,
}  # fmt: skip
SEED = Rng(0, [0, 1, 2])


class Sizes(Subject):
    """Tests of the plain facts about a model."""

    def test_it_is_what_its_plugin_registers(self, model: Model) -> None:
        """The kind, the sampling options, classes of the label space in `channels`, a size in `resolution`."""
        assert interface_of(model) is KINDS[self.declared.kind]
        space = model.label_space
        values = [space.index(name) for name in model.channels]
        assert len(set(values)) == len(values) > 0 and tuple(space.names[v] for v in values) == model.channels
        assert len(model.resolution) == 2 and all(isinstance(n, int) and n > 0 for n in model.resolution)
        options = self.declared.options
        assert (options is None) == (model.OPTIONS is None), "`options` of the architecture are `OPTIONS` of the model"
        if options is not None and model.OPTIONS is not None:
            assert options == f"{model.OPTIONS.__module__}:{model.OPTIONS.__name__}"

    def test_maps_and_pictures_have_the_models_size(
        self, model: Any, samples: Samples, asker: Callable[[Model], Asker]
    ) -> None:
        """Maps int64 in the model's label space, pictures float32 in [0, 1]; both at `resolution`, and not of one colour."""
        more = asker(model).options
        if isinstance(model, MaskGenerator):
            made: Any = model.generate(samples.sets, rng=SEED, **more)
            _check_map(made, model, model.resolution)
            for asked, shown in zip(samples.sets, made.label_sets(), strict=True):
                assert set(shown.names) <= {*asked.names, model.label_space.background}, (
                    "classes that were not asked for"
                )
        elif isinstance(model, ImageSynthesizer):
            _check_images(model.synthesize(samples.maps, rng=SEED, **more), model)
            _check_images(model.synthesize(samples.other(), rng=Rng(0, [0]), **more), model)
        elif isinstance(model, ImageGenerator):
            _check_images(model.generate(samples.sets, rng=SEED, **more), model)
        elif isinstance(model, ImageTranslator):
            _check_translations(model, samples)
        else:
            _check_map(model.parse(samples.photos), model, model.resolution)
            height, width = model.resolution
            larger = torch.nn.functional.interpolate(samples.photos, (height + 5, 2 * width))
            _check_map(model.parse(larger), model, (height + 5, 2 * width))
            grown = samples.photos.clone().requires_grad_()
            with torch.enable_grad():
                total = torch.stack([f.square().mean() for f in model.features(grown)]).sum()
            assert bool(torch.autograd.grad(total, grown)[0].any()), "features are differentiable"

    def test_label_sets_are_drawn_as_the_data_have_them(self, model: Any) -> None:
        """With the asset `label_sets`: sets of the model's classes, by the seed; without it a sentence."""
        if not isinstance(model, MaskGenerator | ImageGenerator):
            pytest.skip("takes no label sets")
        if "label_sets" in model.assets:
            drawn = model.sample_label_sets(4, 0)
            assert drawn == model.sample_label_sets(4, Rng(0, range(4))) and len(drawn) == 4
            assert all(s.names and set(s.names) <= set(model.channels) for s in drawn)
        kept, model.assets = model.assets, {}
        try:
            refused(lambda: model.sample_label_sets(1, 0), "a label set without the asset")
        finally:
            model.assets = kept

    def test_another_label_space_is_refused(self, model: Any, samples: Samples) -> None:
        """Maps and label sets of classes that the model does not know: an error that says so, no picture."""
        space = foreign_space()
        maps = SemanticMap(torch.ones(3, *model.resolution, dtype=torch.long), space)
        sets = [space.label_set([space.names[1]])]
        asked: Any = model  # optional methods, which its interface does not name
        if isinstance(model, MaskGenerator | ImageGenerator):
            refused(lambda: model.generate(sets, rng=Rng(0, [0])), "a label set of another space")
        if "reconstruct" in can(model):
            refused(lambda: asked.encode(maps), "encoding a map of another space")
        if any(name.startswith("edit:") for name in can(model)):
            refused(lambda: asked.edit(maps, [Remove((samples.shown,))], rng=SEED), "editing a map of another space")
        if isinstance(model, ImageSynthesizer):
            refused(lambda: model.layout(maps), "a layout of a map of another space")
            refused(lambda: model.synthesize(maps, rng=SEED), "a picture of a map of another space")
        if isinstance(model, ImageTranslator):
            photos, foreign = samples.photos, space.names[1]
            refused(lambda: model.translate(photos, to=foreign, rng=SEED), "a photo of an unknown domain")
            refused(lambda: model.sample_style(3, SEED, domain=foreign), "a style of an unknown domain")
            refused(lambda: model.encode_style(photos, foreign), "reading a style of an unknown domain")
            if not model.shared_content:
                refused(lambda: model.encode_content(photos, foreign), "the content of an unknown domain")
        if "style:photo" in can(model):
            try:
                blind = asked.encode_style(samples.photos, maps)
            except ZooError:
                return
            seeing = asked.encode_style(samples.photos, samples.maps)
            same = [torch.equal(blind.tensors[k], seeing.tensors[k]) for k in seeing.tensors]
            assert all(same), (
                "a style is read from a map of another space"
            )  # a model that looks at photos alone may take any


def _check_map(maps: SemanticMap, model: Model, size: tuple[int, int]) -> None:
    assert isinstance(maps, SemanticMap) and maps.space is model.label_space and maps.labels.dtype == torch.int64
    assert maps.size == tuple(size) and len(maps) == 3
    assert len(maps.labels.unique()) > 1, "three maps of one class alone: the tiny model shows nothing"


def _check_translations(model: ImageTranslator, samples: Samples) -> None:
    """Every target; one photo in several styles; a photo of another shape at the size that the model gives it, and no other size."""
    assert model.targets and set(model.targets) <= set(model.channels)
    for domain in model.targets:
        _check_images(model.translate(samples.photos, to=domain, rng=SEED), model)
    styles = model.sample_style(2, Rng(0, [0, 1]), domain=model.targets[0])
    photo = samples.photos[:1]
    several = model.translate(photo, to=model.targets[0], style=styles)
    one = torch.cat([model.translate(photo, to=model.targets[0], style=styles[i]) for i in (0, 1)])
    assert torch.allclose(several, one, atol=1e-4), "several styles of one photo are the photo in each style"
    height, width = model.resolution
    other = model.size_for(height + 3, 2 * width + 1)
    assert model.size_for(*other) == other and model.size_for(height, width) == (height, width)
    stretched = torch.nn.functional.interpolate(photo, other)
    _check_images(model.translate(stretched, rng=0), model, other)
    wrong = torch.nn.functional.interpolate(photo, (height + 1, width + 1))
    if model.size_for(height + 1, width + 1) != (height + 1, width + 1):
        refused(lambda: model.translate(wrong, rng=0), "a photo of another size")
    refused(lambda: model.translate(photo[0], rng=0), "a photo without the axis of samples")


def _check_images(images: Tensor, model: Model, size: tuple[int, int] | None = None) -> None:
    assert images.dtype == torch.float32 and images.shape[1:] == (3, *(size or model.resolution))
    assert bool(images.isfinite().all()) and 0 <= float(images.min()) <= float(images.max()) <= 1
    assert float(images.std()) > 1e-3, "pictures of one colour: the tiny model shows nothing"
