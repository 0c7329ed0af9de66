"""Photos and label maps from files to arrays, and their resizing: photos bicubic with antialiasing, labels nearest."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import PIL.Image
import PIL.ImageOps
from numpy.typing import NDArray

from zoo.images import open_image
from zoo.labels import IGNORE, LabelSpace
from zoo.mapfiles import read_map_file, to_values

PhotoArray: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W, 3], RGB."""
LabelArray: TypeAlias = NDArray[np.uint8]
"""uint8 [H, W], class numbers."""


def read_photo_array(path: Path, size: tuple[int, int] | None = None) -> PhotoArray:
    """A photo as uint8 RGB [H, W, 3], upright, at (H, W) = size if given. Raises DataError for an unreadable file."""
    image = PIL.ImageOps.exif_transpose(open_image(path)).convert("RGB")
    if size is not None and image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), PIL.Image.Resampling.BICUBIC)
    return np.array(image, dtype=np.uint8)


def read_label_array(path: Path, space: LabelSpace, size: tuple[int, int] | None = None) -> LabelArray:
    """A label map as class numbers uint8 [H, W], at (H, W) = size if given.

    A one-channel file whose values fit the space (and whose palette, if it has one, names the same classes) is taken as
    it stands; everything else goes the way of `SemanticMap.from_png`, with its errors.
    """
    image = open_image(path)
    labels = np.array(image, dtype=np.uint8) if _plain(image, space) else to_values(read_map_file(path), space)
    return labels if size is None else resize_labels(labels, size)


def _plain(image: PIL.Image.Image, space: LabelSpace) -> bool:
    if image.mode not in ("L", "P"):
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


def resize_photo(photo: PhotoArray, size: tuple[int, int]) -> PhotoArray:
    """uint8 [H, W, 3] at another (H, W)."""
    if photo.shape[:2] == size:
        return photo
    return np.array(PIL.Image.fromarray(photo).resize((size[1], size[0]), PIL.Image.Resampling.BICUBIC), dtype=np.uint8)


def resize_labels(labels: LabelArray, size: tuple[int, int]) -> LabelArray:
    """uint8 [H, W] at another (H, W); never mixes class numbers."""
    if labels.shape == size:
        return labels
    return np.array(
        PIL.Image.fromarray(labels).resize((size[1], size[0]), PIL.Image.Resampling.NEAREST), dtype=np.uint8
    )
