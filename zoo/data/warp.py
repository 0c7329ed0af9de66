"""Pictures turned and squeezed about their centre; beyond the border lies the mirrored picture, so that photo and map stay a pair."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from zoo.data.files import PhotoArray


@dataclass(frozen=True)
class Warp:
    """angle: radians, counted from the picture's right to its bottom. narrower: by which the width is divided, 1 or more.
    soft: 0..1, the share of the largest softening of the photo."""

    angle: float
    narrower: float
    soft: float

    def cells(self, array: NDArray) -> NDArray:
        """Labels, layers or numbers [H, W] of the warped picture: those of the nearest pixel."""
        if not self._moves:
            return array
        y, x = self._places(array.shape[0], array.shape[1])
        rows = _mirrored(np.rint(y).astype(np.int64), array.shape[0])
        columns = _mirrored(np.rint(x).astype(np.int64), array.shape[1])
        return array[rows, columns]

    def photo(self, photo: PhotoArray | None, soften: float) -> PhotoArray | None:
        """The warped photo uint8 [H, W, 3] (bilinear), softened: shrunk by up to 1 + soften and enlarged again."""
        if photo is None:
            return None
        if self._moves:
            photo = self._sampled(photo)
        if soften > 0:
            height, width = photo.shape[:2]
            by = 1 + soften * self.soft
            small = (max(1, round(width / by)), max(1, round(height / by)))
            image = PIL.Image.fromarray(photo).resize(small, PIL.Image.Resampling.BICUBIC)
            photo = np.array(image.resize((width, height), PIL.Image.Resampling.BICUBIC), dtype=np.uint8)
        return photo

    @property
    def _moves(self) -> bool:
        return self.angle != 0 or self.narrower != 1

    def _sampled(self, photo: PhotoArray) -> PhotoArray:
        height, width = photo.shape[:2]
        y, x = self._places(height, width)
        top, left = np.floor(y), np.floor(x)
        down, right = (y - top)[..., None].astype(np.float32), (x - left)[..., None].astype(np.float32)
        rows = [_mirrored(top.astype(np.int64) + i, height) for i in (0, 1)]
        columns = [_mirrored(left.astype(np.int64) + i, width) for i in (0, 1)]
        upper = photo[rows[0], columns[0]] * (1 - right) + photo[rows[0], columns[1]] * right
        lower = photo[rows[1], columns[0]] * (1 - right) + photo[rows[1], columns[1]] * right
        return np.rint(upper * (1 - down) + lower * down).astype(np.uint8)

    def _places(self, height: int, width: int) -> tuple[NDArray, NDArray]:
        """Where each pixel of the result lies in the picture: rows and columns, float32 [H, W]."""
        y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None]
        x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None, :]
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        # turned back first, then widened
        across, along = cos * x + sin * y, cos * y - sin * x
        return along + (height - 1) / 2, across * self.narrower + (width - 1) / 2


def _mirrored(places: NDArray, size: int) -> NDArray:
    """Whole places reflected at the border pixels' outer edges until they lie in 0..size - 1."""
    folded = places % (2 * size)
    return np.minimum(folded, 2 * size - 1 - folded)
