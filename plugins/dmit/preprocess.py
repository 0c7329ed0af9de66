"""How the authors bring photos to the network's size (docs/papers/dmit.md, "Data"): Lanczos, as Pillow resizes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from zoo.data.files import PhotoArray


class Window(NamedTuple):
    """The upper left corner of a window, in pixels of the resized photo."""

    top: int
    left: int


def shorter_side(photo: PhotoArray, side: int) -> PhotoArray:
    """uint8 [H, W, 3] with its shorter side brought to `side`, the longer one in proportion (rounded down)."""
    height, width = photo.shape[:2]
    if width <= height:
        return _resized(photo, side, int(side * height / width))
    return _resized(photo, int(side * width / height), side)


def crop(photo: PhotoArray, side: int, window: Window | None = None, *, flip: bool = False) -> PhotoArray:
    """The square window of a resized photo, mirrored afterwards if `flip`; window None: the middle."""
    height, width = photo.shape[:2]
    top, left = window or (round((height - side) / 2), round((width - side) / 2))
    part = photo[top : top + side, left : left + side]
    return np.ascontiguousarray(part[:, ::-1] if flip else part)


def around_box(photo: PhotoArray, box: tuple[int, int, int, int]) -> PhotoArray:
    """The part of a photo of a bird around its box (x, y, width, height), 0.9 of the longer side to each side of its middle; clipped to
    the photo, so not always square."""
    x, y, width, height = box
    radius = int(0.9 * max(width, height))
    across, down = int((2 * x + width) / 2), int((2 * y + height) / 2)
    return photo[
        max(0, down - radius) : min(photo.shape[0], down + radius),
        max(0, across - radius) : min(photo.shape[1], across + radius),
    ]


def squeezed(photo: PhotoArray, side: int) -> PhotoArray:
    """uint8 [side, side, 3], whatever the proportions were (birds when they are tested)."""
    return _resized(photo, side, side)


def _resized(photo: PhotoArray, width: int, height: int) -> PhotoArray:
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.LANCZOS))
