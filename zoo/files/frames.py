"""A square frame in a photo: cut out of it, and a picture blended back into it. No torch in here.

A frame may be turned and may reach beyond the photo, where the mirrored photo lies (as CelebA-HQ's own crops have it).
"""

from __future__ import annotations

import math

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoo.files.squares import Frame

LARGEST = 1024
"""A frame is cut at its own side up to this one; larger ones are scaled down to it, which is above every model's resolution."""
SOFT = 0.12
"""Share of the side over which a pasted picture fades into the photo."""


def places(frame: Frame, side: int) -> tuple[NDArray, NDArray]:
    """Where the pixels of a frame's picture of `side` lie in the photo: rows and columns of their centres, float64 [side, side]."""
    (a, b), (c, d) = frame.axes()
    x, y = frame.centre
    steps = (np.arange(side) + 0.5) / side * frame.side - frame.side / 2
    across, down = steps[None, :], steps[:, None]
    return y + b * across + d * down - 0.5, x + a * across + c * down - 0.5


def cut(pixels: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """The picture uint8 [S, S, 3] in a frame of a photo uint8 [H, W, 3]: at the frame's own side, at most `LARGEST`.

    An unturned frame on whole pixels gives the photo's own bytes; else it is resampled (bicubic, antialiased where it is made smaller).
    """
    side = min(LARGEST, max(1, round(frame.side)))
    left, top, right, bottom = _bounds(frame)
    region = _region(pixels, left, top, right, bottom)
    if frame.angle == 0 and (frame.x, frame.y, frame.side) == (left, top, right - left):
        if region.shape[0] == side:
            return region
        return np.array(PIL.Image.fromarray(region).resize((side, side), PIL.Image.Resampling.BICUBIC))
    image, scale = PIL.Image.fromarray(region), min(1.0, side / frame.side)
    if scale < 1:
        small = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(small, PIL.Image.Resampling.BICUBIC)
    sx, sy = image.width / (right - left), image.height / (bottom - top)
    (a, b), (c, d) = frame.axes()
    x, y = frame.centre
    step, half = frame.side / side, frame.side / 2
    # Pillow: the point (u, v) of the result, from its corner on, shows (a u + b v + c, d u + e v + f) of the picture
    corner = (x - half * (a + c) - left, y - half * (b + d) - top)
    matrix = (a * step * sx, c * step * sx, corner[0] * sx, b * step * sy, d * step * sy, corner[1] * sy)
    turned = image.transform((side, side), PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BICUBIC)
    return np.array(turned)


def cut_cells(cells: NDArray, frame: Frame) -> NDArray:
    """The part of a map [H, W] (classes or object numbers) in a frame, by the nearest pixel, at the side that `cut` gives the photo."""
    rows, columns = places(frame, min(LARGEST, max(1, round(frame.side))))
    return cells[_mirrored(rows, cells.shape[0]), _mirrored(columns, cells.shape[1])]


def paste(pixels: NDArray[np.uint8], picture: NDArray[np.uint8], frame: Frame, soft: float = SOFT) -> NDArray[np.uint8]:
    """A photo uint8 [H, W, 3] with a picture uint8 [S, S, 3] blended into its frame: whole in the middle, fading to nothing over the
    outer `soft` of the side. Pixels whose centre lies outside the frame keep their bytes."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = _bounds(frame)
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    result = pixels.copy()
    if left >= right or top >= bottom:
        return result
    u, v = _inside(frame, left, top, right, bottom)
    weight = _smooth(np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v)) / max(soft, 1e-6))[..., None]
    shown = _sampled(_scaled(picture, frame.side), u, v)
    part = result[top:bottom, left:right]
    blended = np.rint(part * (1 - weight) + shown * weight).clip(0, 255).astype(np.uint8)
    result[top:bottom, left:right] = np.where(weight > 0, blended, part)
    return result


def place(cells: NDArray, frame: Frame, size: tuple[int, int], outside: int) -> NDArray:
    """A map [S, S] of a frame, back in its photo of (height, width): the nearest pixel of it inside the frame, `outside` elsewhere."""
    height, width = size
    left, top, right, bottom = _bounds(frame)
    left, top, right, bottom = max(0, left), max(0, top), min(width, right), min(height, bottom)
    whole = np.full(size, outside, dtype=cells.dtype)
    if left < right and top < bottom:
        u, v = _inside(frame, left, top, right, bottom)
        side, within = cells.shape[0], (u >= 0) & (u < 1) & (v >= 0) & (v < 1)
        rows, columns = ((w * side).astype(np.int64).clip(0, side - 1) for w in (v, u))
        whole[top:bottom, left:right] = np.where(within, cells[rows, columns], outside)
    return whole


# --- geometry ---------------------------------------------------------------------------------------------------------


def _bounds(frame: Frame) -> tuple[int, int, int, int]:
    """The whole pixels that hold the turned square: left, top, right, bottom."""
    xs, ys = zip(*frame.corners(), strict=True)
    margin = 0 if frame.angle == 0 else 1
    return (
        math.floor(min(xs) + 1e-6) - margin,
        math.floor(min(ys) + 1e-6) - margin,
        math.ceil(max(xs) - 1e-6) + margin,
        math.ceil(max(ys) - 1e-6) + margin,
    )


def _region(pixels: NDArray[np.uint8], left: int, top: int, right: int, bottom: int) -> NDArray[np.uint8]:
    """A box of the photo, with the mirrored photo beyond its border."""
    height, width = pixels.shape[:2]
    if left >= 0 and top >= 0 and right <= width and bottom <= height:
        return pixels[top:bottom, left:right].copy()
    rows, columns = _mirrored(np.arange(top, bottom), height), _mirrored(np.arange(left, right), width)
    return pixels[rows[:, None], columns[None, :]]


def _mirrored(places: NDArray, size: int) -> NDArray[np.int64]:
    """Places as whole ones from 0 to size - 1, reflected at the outer edges."""
    folded = np.rint(places).astype(np.int64) % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)


def _inside(frame: Frame, left: int, top: int, right: int, bottom: int) -> tuple[NDArray, NDArray]:
    """Where the pixels of a box lie in the frame: shares of its side from its left and its upper edge, float64 [h, w]."""
    (a, b), (c, d) = frame.axes()
    x, y = frame.centre
    dx = (np.arange(left, right) + 0.5 - x)[None, :]
    dy = (np.arange(top, bottom) + 0.5 - y)[:, None]
    return (a * dx + b * dy) / frame.side + 0.5, (c * dx + d * dy) / frame.side + 0.5


def _smooth(distance: NDArray) -> NDArray:
    """0 at and beyond the edge, 1 from the distance 1 on, without a corner between (3 t^2 - 2 t^3)."""
    t = distance.clip(0, 1)
    return t * t * (3 - 2 * t)


def _scaled(picture: NDArray[np.uint8], side: float) -> NDArray[np.uint8]:
    """The picture near the frame's own side, so that sampling neighbours neither loses nor blocks: Lanczos."""
    wanted = max(1, min(4 * LARGEST, round(side)))
    if wanted == picture.shape[0]:
        return picture
    return np.asarray(PIL.Image.fromarray(picture).resize((wanted, wanted), PIL.Image.Resampling.LANCZOS))


def _sampled(picture: NDArray[np.uint8], u: NDArray, v: NDArray) -> NDArray[np.float64]:
    """The picture at these shares of its side (bilinear; beyond the border its border pixel): float64 [h, w, 3]."""
    size = picture.shape[0]
    x, y = (u * size - 0.5).clip(0, size - 1), (v * size - 0.5).clip(0, size - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, size - 1), np.minimum(top + 1, size - 1)
    across, down = (x - left)[..., None], (y - top)[..., None]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[bottom, left] * (1 - across) + picture[bottom, right] * across
    return upper * (1 - down) + lower * down
