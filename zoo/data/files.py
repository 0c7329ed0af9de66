"""Photos and label maps from files to arrays, and their resizing: photos bicubic with antialiasing, labels nearest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.files.decoding import open_image
from zoo.files.images import photo_pixels
from zoo.files.mapfiles import map_file, read_map_file, to_values
from zoo.labels import IGNORE, LabelSpace

PhotoArray: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""
LabelArray: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W], class numbers."""
LayerArray: TypeAlias = NDArray[np.int64]
"""int64 [H, W], bit c set where class c lies: parts that overlap (`LayeredMap.from_bits`)."""
InstanceArray: TypeAlias = NDArray[np.int32]
"""int32 [H, W], object numbers."""
Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom) in pixels."""


def read_photo_array(path: Path, size: tuple[int, int] | None = None) -> PhotoArray:
    """A photo as uint8 RGB [H, W, 3], as `photo_pixels` reads it, at (H, W) = size if given. Raises DataError for an unreadable file."""
    return photo_array(path, open_image(path), size)


def photo_array(path: Path, image: PIL.Image.Image, size: tuple[int, int] | None = None) -> PhotoArray:
    """`read_photo_array` of a picture that is decoded already. path: for the messages."""
    photo = photo_pixels(image, path)
    return photo if size is None else resize_photo(photo, size)


def read_label_array(path: Path, space: LabelSpace, size: tuple[int, int] | None = None) -> LabelArray:
    """A label map as class numbers uint8 [H, W], at (H, W) = size if given.

    A one-channel file whose values fit the space (and whose palette, if it has one, names the same classes) is taken as
    it stands; everything else goes the way of `SemanticMap.from_png`, with its errors.
    """
    return label_array(path, open_image(path, exact=True), space, size)


def label_array(
    path: Path, image: PIL.Image.Image, space: LabelSpace, size: tuple[int, int] | None = None
) -> LabelArray:
    """`read_label_array` of a picture that is decoded already. path: for the messages."""
    labels = np.array(image, dtype=np.uint8) if _plain(image, space) else to_values(map_file(path, image), space)
    return labels if size is None else resize_labels(labels, size)


def read_instance_array(path: Path, size: tuple[int, int] | None = None) -> InstanceArray:
    """An instance map as object numbers int32 [H, W] (8 or 16 bits per pixel), at (H, W) = size if given.

    Raises DataError for an unreadable file, or one that holds colours.
    """
    file = read_map_file(path)
    if file.values is None:
        raise DataError(f"{path}: an instance map holds a number per pixel, got colours (mode {file.mode}).")
    values = file.values.astype(np.int32, copy=False)
    return values if size is None else resize_instances(values, size)


def _plain(image: PIL.Image.Image, space: LabelSpace) -> bool:
    if image.mode not in ("L", "P") or image.format == "GIF":
        return False
    used = [value for value, count in enumerate(image.histogram()[:256]) if count]
    if any(v >= len(space) and not (space.ignore and v == IGNORE) for v in used):
        return False
    if image.mode == "L":
        return True
    palette = image.getpalette("RGB") or []
    colors = [tuple(palette[3 * v : 3 * v + 3]) for v in used if v < len(space)]
    known = [(cls.color, *cls.colors) for cls in (space.classes[v] for v in used if v < len(space))]
    return all(color in choices for color, choices in zip(colors, known, strict=True))


RESAMPLING = {
    "bicubic": PIL.Image.Resampling.BICUBIC,
    "bilinear": PIL.Image.Resampling.BILINEAR,
    "lanczos": PIL.Image.Resampling.LANCZOS,
}
"""How photos may be resized, each with antialiasing."""


def resize_photo(photo: PhotoArray, size: tuple[int, int], resample: str = "bicubic") -> PhotoArray:
    """uint8 [H, W, 3] at another (H, W). resample: a key of `RESAMPLING`."""
    if photo.shape[:2] == size:
        return photo
    return np.array(PIL.Image.fromarray(photo).resize((size[1], size[0]), RESAMPLING[resample]), dtype=np.uint8)


def box_halved(photo: PhotoArray, target: int) -> PhotoArray:
    """A photo halved, by means of four pixels, as often as its short side stays at least `target` long."""
    image = PIL.Image.fromarray(photo)
    while min(image.size) >= 2 * target:
        image = image.resize((image.width // 2, image.height // 2), PIL.Image.Resampling.BOX)
    return np.array(image, dtype=np.uint8)


def resize_any(array: Any, size: tuple[int, int]) -> Any:
    """A photo, labels, object numbers or packed layers at another (H, W), told apart by axes and type."""
    if array.ndim == 3:
        return resize_photo(array, size)
    if array.dtype == np.uint8:
        return resize_labels(array, size)
    return resize_layers(array, size) if array.dtype == np.int64 else resize_instances(array, size)


def resize_labels(labels: LabelArray, size: tuple[int, int]) -> LabelArray:
    """uint8 [H, W] at another (H, W); never mixes class numbers."""
    if labels.shape == size:
        return labels
    return np.array(
        PIL.Image.fromarray(labels).resize((size[1], size[0]), PIL.Image.Resampling.NEAREST), dtype=np.uint8
    )


def resize_instances(instances: InstanceArray, size: tuple[int, int], box: Box | None = None) -> InstanceArray:
    """int32 [H, W] at another (H, W), from `box` if given; takes the pixels that `resize_labels` takes."""
    return np.array(
        PIL.Image.fromarray(instances).resize((size[1], size[0]), PIL.Image.Resampling.NEAREST, box=box), dtype=np.int32
    )


def resize_layers(layers: LayerArray, size: tuple[int, int], box: Box | None = None) -> LayerArray:
    """int64 [H, W] at another (H, W), from `box` if given; takes the pixels that `resize_labels` takes."""
    height, width = layers.shape
    left, top, right, bottom = box or (0, 0, width, height)
    return layers[_nearest(height, size[0], top, bottom)[:, None], _nearest(width, size[1], left, right)[None]]


def _nearest(length: int, target: int, start: float, stop: float) -> NDArray[np.int32]:
    """Which of `length` pixels Pillow's NEAREST takes for each of `target` pixels that span start .. stop.

    Asked of Pillow itself, which adds up its positions in floating point: a formula would differ at ties.
    """
    line = PIL.Image.fromarray(np.arange(length, dtype=np.int32)[None])
    return np.array(line.resize((target, 1), PIL.Image.Resampling.NEAREST, box=(start, 0, stop, 1)))[0]


def merged(layers: LayerArray) -> LabelArray:
    """Packed layers as one class per pixel: the highest value lies on top, 0 where nothing lies.

    That is the order in which the official CelebAMask-HQ script paints the parts.
    """
    # without the bit below the highest one, float64 cannot round up to the next power of two
    highest = layers & ~(layers >> 1) & ~1
    return np.maximum(np.frexp(highest.astype(np.float64))[1] - 1, 0).astype(np.uint8)


def pack_layers(masks: Mapping[int, NDArray[np.bool_]], size: tuple[int, int]) -> LayerArray:
    """Boolean masks [H, W] by class value as packed layers; what no mask covers is class 0."""
    layers = np.zeros(size, dtype=np.int64)
    for value, mask in masks.items():
        layers |= mask.astype(np.int64) << value
    layers[layers == 0] = 1
    return layers


def moved_layers(layers: LayerArray, table: Sequence[int]) -> LayerArray:
    """The layer of class c moved to class table[c], for another label space or a mirrored picture; dropped where < 0."""
    moved = np.zeros_like(layers)
    for value, other in enumerate(table):
        if other >= 0:
            moved |= ((layers >> value) & 1) << other
    return moved
