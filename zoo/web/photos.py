"""Photos that were dropped into the page: judged before they are decoded, kept in memory, cut by a frame. Nothing is written to a disk."""

from __future__ import annotations

import hashlib
import io
import math
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.errors import DataError
from zoo.files.containers import look_at
from zoo.files.decoding import decode_image, orientation
from zoo.files.images import photo_pixels, photo_tensor
from zoo.web.bounded import Recent
from zoo.web.limits import Limits
from zoo.web.wire import Frame

NAME = Path("The photo")
"""What messages call it."""
SIDE = 1024
"""Pixels of a side to which a turned or scaled cut is sampled at most."""


class Forgotten(DataError):
    """Photos that the server no longer has; the page sends them again."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__("The server no longer has this photo: it is needed again.")
        self.ids = ids


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo as it came. size: (height, width), upright."""

    id: str
    content: bytes
    size: tuple[int, int]
    notes: tuple[str, ...]


class Photos:
    """By the sha256 of their bytes; the oldest are forgotten where they do not fit."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._kept = Recent(limits.photos)
        self._pixels = Recent(limits.decoded)
        self._decoding = threading.Lock()  # one at a time: a picture takes many times its bytes

    def add(self, content: bytes) -> Photo:
        """Judge, decode and keep a photo. Raises DataError for what is none, or too large."""
        key = hashlib.sha256(content).hexdigest()
        found = self._kept.get(key)
        if found is None:
            pixels, notes = self._decode(content)
            found = Photo(key, content, (pixels.shape[0], pixels.shape[1]), notes)
            self._pixels.put(key, pixels, pixels.nbytes)
        self._kept.put(key, found, len(content))
        return found

    def get(self, keys: list[str]) -> dict[str, Photo]:
        """Photos by id, to hold for one job. Raises Forgotten."""
        found = {key: self._kept.get(key) for key in dict.fromkeys(keys)}
        if missing := [key for key, photo in found.items() if photo is None]:
            raise Forgotten(missing)
        return found

    def forget(self) -> None:
        """Drop all of them."""
        self._kept.drop(lambda _: True)
        self._pixels.drop(lambda _: True)

    def pixels(self, photo: Photo) -> np.ndarray:
        """uint8 RGB [H, W, 3], upright, not to be written to."""
        found = self._pixels.get(photo.id)
        if found is None:
            found, _ = self._decode(photo.content)
            self._pixels.put(photo.id, found, found.nbytes)
        return found

    def _decode(self, content: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
        with self._decoding:
            return decode_photo(content, self.limits.pixels)


def decode_photo(content: bytes, most: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """uint8 RGB [H, W, 3], upright, and what is to be said of it. most: pixels that it may have, judged before any is decoded.

    Raises DataError.
    """
    image = decode_image(NAME, io.BytesIO(content), max_pixels=most, told=True)
    notes = []
    container = look_at(io.BytesIO(content))
    if container is not None and container.pages > 1:
        notes.append("The file holds several pictures: the first is taken.")
    if orientation(image) > 1:
        notes.append("The photo was turned upright, as its EXIF tag says.")
    return photo_pixels(image, NAME), tuple(notes)


def cut(pixels: np.ndarray, frame: Frame | None) -> Tensor:
    """The part of a photo that a frame shows: float32 [1, 3, S, S] in [0, 1]; without a frame all of it [1, 3, H, W].

    A square on whole pixels inside the photo is taken as it is; any other is sampled (bilinear, after a reduction by areas where it is
    larger than `SIDE`), and what lies outside the photo repeats the pixels at its edge.
    """
    if frame is None:
        return photo_tensor(np.ascontiguousarray(pixels))[None]
    height, width = pixels.shape[:2]
    left, top, side = frame.x - frame.side / 2, frame.y - frame.side / 2, frame.side
    straight = frame.angle % 360 == 0 and all(float(v).is_integer() for v in (left, top, side))
    if straight and left >= 0 and top >= 0 and left + side <= width and top + side <= height:
        x, y, s = int(left), int(top), int(side)
        return photo_tensor(np.ascontiguousarray(pixels[y : y + s, x : x + s]))[None]
    return _sampled(pixels, frame)


def _sampled(pixels: np.ndarray, frame: Frame) -> Tensor:
    """The square in as many pixels as it has in the photo, `SIDE` at most."""
    height, width = pixels.shape[:2]
    reach = frame.side * math.sqrt(0.5) + 2
    x0, x1 = (min(max(int(v), 0), width) for v in (math.floor(frame.x - reach), math.ceil(frame.x + reach)))
    y0, y1 = (min(max(int(v), 0), height) for v in (math.floor(frame.y - reach), math.ceil(frame.y + reach)))
    # at least one pixel, which is then repeated: a frame may lie outside altogether
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    part = photo_tensor(np.ascontiguousarray(pixels[y0:y1, x0:x1]))[None]
    shrink = max(1.0, frame.side / SIDE)
    if shrink > 1:
        size = (max(1, round(part.shape[2] / shrink)), max(1, round(part.shape[3] / shrink)))
        part = F.interpolate(part, size=size, mode="area")
    side = max(1, round(frame.side / shrink))
    line = (torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5  # of the side, from its centre
    v, u = torch.meshgrid(line, line, indexing="ij")
    turn = math.radians(frame.angle)
    x = frame.x + frame.side * (u * math.cos(turn) - v * math.sin(turn))
    y = frame.y + frame.side * (u * math.sin(turn) + v * math.cos(turn))
    grid = torch.stack([(x - x0) / (x1 - x0) * 2 - 1, (y - y0) / (y1 - y0) * 2 - 1], -1).float()[None]
    return F.grid_sample(part, grid, mode="bilinear", padding_mode="border", align_corners=False).clamp(0, 1)
