"""A square frame in a photo: cut out of it, and a picture blended back into it. No torch in here.

A frame may be turned and may reach beyond the photo, where the mirrored photo lies (as CelebA-HQ's own crops have it).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoo.errors import UsageError

SIDES = (16, 65_536)
"""Pixels of a frame's side."""
LARGEST = 1024
"""A frame is cut at its own side up to this one; larger ones are scaled down to it, which is above every model's resolution."""
SOFT = 0.12
"""Share of the side over which a pasted picture fades into the photo."""
FAR = 4
"""A frame may reach beyond the photo by this many of its sides; farther out nothing of the photo is in it."""


@dataclass(frozen=True)
class Frame:
    """x, y: the upper left corner, in pixels of the upright photo, of the square before it is turned; side: its side; angle: degrees by
    which it is turned about its centre, clockwise as seen, so that a head leaning to the right of the picture has a positive one."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def __str__(self) -> str:
        """As an option takes it: X,Y,SIDE, and ANGLE where it is turned."""
        numbers = [self.x, self.y, self.side, *([self.angle] if self.angle else [])]
        return ",".join(f"{n:.1f}".removesuffix(".0") for n in numbers)

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle (x, y)."""
        return self.x + self.side / 2, self.y + self.side / 2

    def corners(self) -> list[tuple[float, float]]:
        """The four corners (x, y) of the turned square, from the upper left one clockwise."""
        (a, b), (c, d) = self._axes()
        x, y = self.centre
        half = self.side / 2
        return [
            (x + half * (a * u + c * v), y + half * (b * u + d * v)) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]

    def _axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Unit vectors along its upper and its left edge."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        return (cos, sin), (-sin, cos)

    def places(self, side: int) -> tuple[NDArray, NDArray]:
        """Where the pixels of its picture of `side` lie in the photo: rows and columns of their centres, float64 [side, side]."""
        (a, b), (c, d) = self._axes()
        x, y = self.centre
        steps = (np.arange(side) + 0.5) / side * self.side - self.side / 2
        across, down = steps[None, :], steps[:, None]
        return y + b * across + d * down - 0.5, x + a * across + c * down - 0.5


def read_frame(numbers: list[float]) -> Frame:
    """The frame of three or four numbers. Raises ValueError that says what they should be."""
    if len(numbers) not in (3, 4) or not all(math.isfinite(n) for n in numbers):
        raise ValueError("a frame is X,Y,SIDE or X,Y,SIDE,ANGLE in pixels and degrees")
    x, y, side, angle = *numbers, *([0.0] if len(numbers) == 3 else [])
    if not SIDES[0] <= side <= SIDES[1]:
        raise ValueError(f"the side of a frame is {SIDES[0]} to {SIDES[1]} pixels, got {side:g}")
    if max(abs(x), abs(y)) > SIDES[1] or not -180 <= angle <= 180:
        raise ValueError(f"a frame lies within {SIDES[1]} pixels and is turned by -180 to 180 degrees")
    return Frame(float(x), float(y), float(side), float(angle))


def check_inside(frame: Frame, size: tuple[int, int], name: str) -> None:
    """Raise UsageError where the middle of a frame lies outside a photo of (height, width), or the photo is far smaller than it."""
    x, y = frame.centre
    height, width = size
    if not (0 <= x <= width and 0 <= y <= height):
        raise UsageError(
            f"The middle ({x:g}, {y:g}) of the frame {frame} lies outside {name}, which has {width} x {height} pixels."
        )
    if frame.side > FAR * max(height, width):
        raise UsageError(f"The frame {frame} is more than {FAR} times as large as {name} ({width} x {height} pixels).")


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
    (a, b), (c, d) = frame._axes()
    x, y = frame.centre
    step, half = frame.side / side, frame.side / 2
    # Pillow: the point (u, v) of the result, from its corner on, shows (a u + b v + c, d u + e v + f) of the picture
    corner = (x - half * (a + c) - left, y - half * (b + d) - top)
    matrix = (a * step * sx, c * step * sx, corner[0] * sx, b * step * sy, d * step * sy, corner[1] * sy)
    turned = image.transform((side, side), PIL.Image.Transform.AFFINE, matrix, PIL.Image.Resampling.BICUBIC)
    return np.array(turned)


def cut_cells(cells: NDArray, frame: Frame) -> NDArray:
    """The part of a map [H, W] (classes or object numbers) in a frame, by the nearest pixel, at the side that `cut` gives the photo."""
    rows, columns = frame.places(min(LARGEST, max(1, round(frame.side))))
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
    (a, b), (c, d) = frame._axes()
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
