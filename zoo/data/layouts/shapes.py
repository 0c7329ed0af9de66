"""Regions as labelling tools write them, drawn into a mask."""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from zoo.errors import DataError
from zoo.files.decoding import decode_image

Mask = NDArray[np.bool_]
Points = Sequence[tuple[float, float]]
LEAST = {"polygon": 3, "circle": 2, "rectangle": 2, "line": 2, "linestrip": 2, "point": 1, "oriented_rectangle": 4}
"""labelme's kinds of shapes, masks apart, and how many points each needs."""


def labelme_shape(kind: str | None, points: Points, mask: str | None, size: tuple[int, int]) -> Mask | None:
    """A shape of labelme as its `shape_to_mask` draws it (5.11.4 and 6.3.1), bool [H, W]; None for a kind it cannot draw.

    points: (x, y) in pixels; mask: of the kind "mask", a PNG in base64. Raises ValueError where points or mask do not fit the kind.
    """
    if kind == "mask":
        return _placed(_decoded(mask), points, size)
    image = PIL.Image.new("L", (size[1], size[0]))
    draw = PIL.ImageDraw.Draw(image)
    if kind is not None and kind not in LEAST:
        return None
    if len(points) < LEAST[kind or "polygon"]:
        raise ValueError(f"a {kind or 'polygon'} of {len(points)} points")
    xy = [(float(x), float(y)) for x, y in points]
    if kind == "circle":
        (x, y), (px, py) = xy[:2]
        radius = math.hypot(x - px, y - py)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)
    elif kind == "rectangle":
        xs, ys = sorted(p[0] for p in xy[:2]), sorted(p[1] for p in xy[:2])
        draw.rectangle((xs[0], ys[0], xs[1], ys[1]), outline=1, fill=1)
    elif kind in ("line", "linestrip"):
        draw.line(xy, fill=1, width=10)
    elif kind == "point":
        x, y = xy[0]
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), outline=1, fill=1)
    else:
        draw.polygon(xy, outline=1, fill=1)
    return np.asarray(image) != 0


def _decoded(mask: str | None) -> Mask:
    try:
        content = io.BytesIO(base64.b64decode(mask or "", validate=True))
        return np.asarray(decode_image(Path("mask"), content, exact=True).convert("L")) != 0
    except (binascii.Error, DataError) as error:
        raise ValueError("a mask that is no PNG in base64") from error


def _placed(mask: Mask, points: Points, size: tuple[int, int]) -> Mask:
    """A mask in its box within the picture."""
    if not points:
        raise ValueError("a mask without a place")
    left, top = int(points[0][0]), int(points[0][1])
    whole = np.zeros(size, dtype=bool)
    if left < 0 or top < 0 or top + mask.shape[0] > size[0] or left + mask.shape[1] > size[1]:
        raise ValueError("a mask that does not lie in the picture")
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return whole


def filled(points: Points, size: tuple[int, int]) -> Mask:
    """The pixels whose centres lie in a polygon (even-odd), bool [H, W]; points in pixels from the corner of the picture."""
    mask = np.zeros(size, dtype=bool)
    centers = np.arange(size[1]) + 0.5
    edges = list(pairwise([*points, points[0]]))
    for row in range(size[0]):
        y = row + 0.5
        cuts = sorted(x0 + (y - y0) * (x1 - x0) / (y1 - y0) for (x0, y0), (x1, y1) in edges if (y0 <= y) != (y1 <= y))
        for start, stop in zip(cuts[::2], cuts[1::2], strict=True):
            mask[row] ^= (centers >= start) & (centers < stop)
    return mask


def from_runs(runs: Sequence[int], box: tuple[int, int, int, int], size: tuple[int, int]) -> Mask:
    """CVAT's runs, lengths of 0 and 1 in turn, row by row in the box (left, top, width, height). Raises ValueError."""
    left, top, width, height = box
    if any(r < 0 for r in runs) or sum(runs) != width * height:
        raise ValueError(f"runs of {sum(runs)} pixels in a box of {width} x {height}")
    mask = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    return _placed(mask, [(left, top)], size)
