"""OASIS's noise as Styles and back: drawn, built from vectors of classes or regions, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zoo.plugin import RngLike, SemanticMap, Style, UsageError
from zoo.rng import take_rows
from zoo_plugins.oasis.noise import connected_regions

if TYPE_CHECKING:
    from zoo_plugins.oasis.model import OASIS

CLASS_AXES = {"z": ("sample", "class", "channel")}
REGION_AXES = {"z": ("sample", "region", "channel"), "regions": ("sample", "height", "width")}


def draw(model: OASIS, rng: RngLike, *key: str | int, noise: str) -> Tensor:
    """Standard normals [B, classes, z_dim]: of noise "image" one vector of the key for all classes, of "class" one of (*key, class) each."""
    shape = (model.config.z_dim,)
    if noise == "image":
        return rng.normal(*key, shape=shape)[:, None].expand(-1, len(model.channels), -1).contiguous()
    return torch.stack([rng.normal(*key, name, shape=shape) for name in model.channels], 1)


def draw_regions(model: OASIS, semantic_map: SemanticMap, rng: RngLike) -> Style:
    """A vector for each region of the maps; see `OASIS.sample_style`."""
    small = semantic_map.resize(model.resolution)
    channels = model.label_input.read(small.to(model.device)).cpu()
    marks = channels
    if small.instances is not None:  # numbers may be used again in another class
        numbers = torch.unique(small.instances.cpu().long(), return_inverse=True)[1]
        marks = numbers * len(model.channels) + channels
        _, regions = torch.unique(marks, return_inverse=True)
        regions = torch.stack([_in_reading_order(row) for row in regions])
    else:
        regions = connected_regions(marks)
    count = int(regions.max()) + 1
    z = torch.zeros(len(regions), count, model.config.z_dim)
    for sample, (row, names) in enumerate(zip(regions, channels, strict=True)):
        seen: dict[int, int] = {}
        for region, channel in enumerate(_channel_of(row, names)):
            place = seen[channel] = seen.get(channel, -1) + 1
            z[sample, region] = take_rows(rng, [sample]).normal(
                "z", model.channels[channel], place, shape=(model.config.z_dim,)
            )[0]
    return of_regions(model, z, regions)


def _in_reading_order(numbers: Tensor) -> Tensor:
    """int64 [H, W] -> 0..R-1 by the first pixel of each number."""
    values, inverse = torch.unique(numbers, return_inverse=True)
    flat = inverse.flatten()
    first = torch.full((len(values),), flat.numel(), dtype=torch.int64)
    first.scatter_reduce_(0, flat, torch.arange(flat.numel()), "amin")
    order = torch.empty_like(first)
    order[first.argsort()] = torch.arange(len(first))
    return order[inverse]


def _channel_of(regions: Tensor, channels: Tensor) -> list[int]:
    """The channel of each region of one map."""
    found = torch.zeros(int(regions.max()) + 1, dtype=torch.int64)
    return found.scatter_(0, regions.flatten(), channels.flatten()).tolist()


def of_classes(model: OASIS, z: Tensor) -> Style:
    """A style of vectors [samples, classes, z_dim]. Raises UsageError for another shape."""
    style = Style({"z": z}, CLASS_AXES, model.channels) if z.dim() == 3 and z.shape[1] == len(model.channels) else None
    if style is None or z.shape[2] != model.config.z_dim:
        raise UsageError(_expected(model, f"z {list(z.shape)}"))
    return style


def of_regions(model: OASIS, z: Tensor, regions: Tensor) -> Style:
    """A style of vectors [samples, regions, z_dim] and the number of each pixel's, [samples, h, w]. Raises UsageError."""
    fits = z.dim() == regions.dim() == 3 and len(z) == len(regions) and z.shape[2] == model.config.z_dim
    if not fits:
        raise UsageError(_expected(model, f"z {list(z.shape)}, regions {list(regions.shape)}"))
    _check_numbers(regions, z.shape[1])
    # float32 holds them exactly up to 2 ** 24, and a style is made of numbers with fractions
    return Style({"z": z, "regions": regions.float()}, REGION_AXES)


def _check_numbers(regions: Tensor, count: int) -> None:
    low, high = (float(regions.min()), float(regions.max())) if regions.numel() else (-1.0, -1.0)
    if low < 0 or high >= count:
        raise UsageError(f"Noise of {count} regions: expected their numbers 0..{count - 1}, got {low:g}..{high:g}.")


def is_regional(model: OASIS, style: Style) -> bool:
    """Whether a style goes by regions and not by classes. Raises UsageError for the style of another model."""
    z, regions = style.tensors.get("z"), style.tensors.get("regions")
    if z is not None and z.dim() == 3 and z.shape[2] == model.config.z_dim:
        if regions is not None and style.axes["z"] == REGION_AXES["z"] and regions.dim() == 3:
            _check_numbers(regions, z.shape[1])
            return True
        if regions is None and style.axes["z"] == CLASS_AXES["z"] and style.classes == model.channels:
            return False
    raise UsageError(_expected(model, ", ".join(f"{n} {list(t.shape)}" for n, t in style.tensors.items())))


def _expected(model: OASIS, got: str) -> str:
    size = model.config.z_dim
    return (
        f"A style of this OASIS holds z [samples, {len(model.channels)} classes, {size}], or z [samples, regions, {size}] and regions"
        f" [samples, height, width]; got {got}."
    )
