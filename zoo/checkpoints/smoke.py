"""One forward of a fresh model on drawn input: shapes right, numbers finite."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import PluginError, WeightsError
from zoo.interfaces.capabilities import EncodesStyle
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.maps import SemanticMap
from zoo.registry import import_string
from zoo.registry.kinds import kind_of


@torch.no_grad()
def smoke(model: Model) -> None:
    """Run a model once on all its classes, as its kind is run; an asset without which it makes nothing may be a drawn one.

    Raises WeightsError if the result is no picture or map of its size, PluginError for a model of no kind."""
    kind = kind_of(type(model))
    if kind is None:
        raise PluginError(f"{type(model).__name__} is derived from no kind of model (see the kinds: zoo list --help).")
    own = model.assets
    drawn = {n: a.stand_in(model) for n, a in model.ASSETS.items() if a.stand_in is not None and n not in own}
    model.assets = own | drawn
    try:
        import_string(kind.smoke, kind.name)(model)
    finally:
        model.assets = own


def draw_maps(model: MaskGenerator) -> None:
    """A map of all classes."""
    _check_map(model, model.generate([model.label_space.label_set(model.channels)], rng=0))


def draw_pictures(model: ImageGenerator) -> None:
    """A picture of all classes."""
    _check_images(model, model.generate([model.label_space.label_set(model.channels)], rng=0))


def parse_picture(model: MaskParser) -> None:
    """The map of a picture of noise."""
    _check_map(model, model.parse(_noise(model)))


def judge_map(model: MapJudge) -> None:
    """The error of a map of stripes. Raises WeightsError if it is no finite number."""
    found = model.errors(stripes(model))
    if found.shape != (1,) or not bool(torch.isfinite(found).all()):
        raise WeightsError(f"The model gives no error of a map, but {found}.")


def paint_map(model: ImageSynthesizer) -> None:
    """A picture of stripes, with the style of a photo where the model reads one, so that its encoder runs, too."""
    given = stripes(model)
    style = None
    if "style:photo" in model.capabilities():
        assert isinstance(model, EncodesStyle)
        style = model.encode_style(_noise(model), given)
    _check_images(model, model.synthesize(given, style, rng=0))


def translate_photo(model: ImageTranslator) -> None:
    """A picture of noise in every target domain, in a drawn style and in that of noise, so that every network runs."""
    photo = _noise(model)
    for domain in model.targets:
        for style in (None, model.encode_style(photo, domain)):
            _check_images(model, model.translate(photo, to=domain, style=style, rng=0))


def _noise(model: Model) -> Tensor:
    """A picture [1, 3, H, W] at the model's resolution, always the same."""
    return torch.rand(1, 3, *model.resolution, generator=torch.Generator().manual_seed(0))


def stripes(model: Model) -> SemanticMap:
    """A map [1, H, W] at the model's resolution that shows its classes side by side."""
    height, width = model.resolution
    values = torch.tensor([model.label_space.index(name) for name in model.channels])
    columns = values[torch.arange(width) * len(values) // width]
    return SemanticMap(columns.expand(1, height, width).contiguous(), model.label_space)


def _check_images(model: Model, images: Tensor) -> None:
    if tuple(images.shape) != (1, 3, *model.resolution) or not bool(torch.isfinite(images).all()):
        raise WeightsError(
            f"The converted {type(model).__name__} gives no picture (shape {tuple(images.shape)}, finite:"
            f" {bool(torch.isfinite(images).all())}): the weights are damaged, or a stated field of the config is wrong."
        )


def _check_map(model: Model, semantic_map: SemanticMap) -> None:
    if semantic_map.size != tuple(model.resolution):
        raise WeightsError(
            f"The converted {type(model).__name__} gives a map of {semantic_map.size[0]} x {semantic_map.size[1]}, expected"
            f" {model.resolution[0]} x {model.resolution[1]}: a stated field of the config is wrong."
        )
