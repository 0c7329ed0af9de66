"""One forward of a fresh model on drawn input: shapes right, numbers finite."""

from __future__ import annotations

import torch
from torch import Tensor

from zoo.errors import WeightsError
from zoo.interfaces.capabilities import EncodesStyle
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.maps import SemanticMap


@torch.no_grad()
def smoke(model: Model) -> None:
    """Run a model once on stripes of all its classes. Raises WeightsError if the result is no picture or map of its size."""
    height, width = model.resolution
    if isinstance(model, ImageSynthesizer):
        _check_images(model, _synthesize(model))
    elif isinstance(model, MaskGenerator):
        _check_map(model, model.generate([model.label_space.label_set(model.channels)], rng=0))
    elif isinstance(model, ImageGenerator):
        _check_images(model, model.generate([model.label_space.label_set(model.channels)], rng=0))
    elif isinstance(model, MaskParser):
        _check_map(model, model.parse(torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))))


def stripes(model: Model) -> SemanticMap:
    """A map [1, H, W] at the model's resolution that shows its classes side by side."""
    height, width = model.resolution
    values = torch.tensor([model.label_space.index(name) for name in model.channels])
    columns = values[torch.arange(width) * len(values) // width]
    return SemanticMap(columns.expand(1, height, width).contiguous(), model.label_space)


def _synthesize(model: ImageSynthesizer) -> Tensor:
    """With the style of a photo where the model reads one, so that its encoder runs, too."""
    given = stripes(model)
    if "photo" in model.styles and isinstance(model, EncodesStyle):
        photo = torch.rand(1, 3, *model.resolution, generator=torch.Generator().manual_seed(0))
        return model.synthesize(given, model.encode_style(photo, given), rng=0)
    return model.synthesize(given, rng=0)


def _check_images(model: Model, images: Tensor) -> None:
    if tuple(images.shape) != (1, 3, *model.resolution) or not bool(torch.isfinite(images).all()):
        raise WeightsError(
            f"The converted {type(model).__name__} gives no picture (shape {tuple(images.shape)}, finite:"
            f" {bool(torch.isfinite(images).all())}): the weights are damaged, or a stated field of the config is wrong."
        )


def _check_map(model: Model, found: SemanticMap) -> None:
    if found.size != tuple(model.resolution):
        raise WeightsError(
            f"The converted {type(model).__name__} gives a map of {found.size[0]} x {found.size[1]}, expected"
            f" {model.resolution[0]} x {model.resolution[1]}: a stated field of the config is wrong."
        )
