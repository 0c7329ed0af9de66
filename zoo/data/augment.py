"""Augmentation of photo and map together; all that is random comes from the streams of the given Rng."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import PIL.Image

from zoo.data.files import (
    Box,
    InstanceArray,
    LabelArray,
    LayerArray,
    PhotoArray,
    moved_layers,
    resize_instances,
    resize_layers,
)
from zoo.data.preprocess import Preprocess, Window
from zoo.data.warp import Warp
from zoo.labels import IGNORE, LabelSpace
from zoo.rng import RngLike


@dataclass(frozen=True)
class Augment:
    """What `PairData.batch` may change. The default changes nothing."""

    flip: bool = False
    """Mirror half of the pairs; classes with a left and a right side change places (`LabelSpace.mirror_table`)."""
    zoom: float = 0.0
    """Crop a random window whose side is 1/(1 + zoom) .. 1 of the picture, and enlarge it; .2 is moderate."""
    color: float = 0.0
    """Scale brightness, contrast and saturation of the photo by up to this share; .2 is moderate."""
    preprocess: Preprocess | None = None
    """Resize and crop as the SPADE family does, in place of the resizing to the resolution and of `zoom`."""

    turn: float = 0.0
    """Turn by up to this many degrees to either side; beyond the border lies the mirrored picture. 20 is moderate."""
    squeeze: float = 0.0
    """Make narrower, to as little as 1/(1 + squeeze) of the width; beside it lies the mirrored picture."""
    soften: float = 0.0
    """Shrink the photo to as little as 1/(1 + soften) of its side and enlarge it again."""

    @property
    def nothing(self) -> bool:
        """True if every pair stays as it is."""
        return (
            not self.flip
            and self.zoom <= 0
            and self.color <= 0
            and self.preprocess is None
            and not self.warps
            and self.soften <= 0
        )

    @property
    def warps(self) -> bool:
        """True if pairs are turned or squeezed."""
        return self.turn > 0 or self.squeeze > 0

    def load_size(self, resolution: int) -> int:
        """The side at which pairs should be kept so that windows stay sharp: without zoom the resolution, with zoom so that the smallest window
        still has twice as many pixels. (What was resized once loses by being resized again: faces at 128 px from windows of 128 to 148 px have
        60 % of their fine detail, 48 to 64 cycles, from such of 256 to 295 px 93 %.)"""
        return resolution if self.zoom <= 0 else 2 * math.ceil(resolution * (1 + self.zoom))


def augment_pair(
    pairs: Sequence[tuple[PhotoArray | None, LabelArray]],
    size: tuple[int, int],
    augment: Augment,
    rng: RngLike,
    space: LabelSpace,
) -> list[tuple[PhotoArray | None, LabelArray]]:
    """Each pair at `size`, changed by its own stream of `rng` (7 uniform numbers under the key "augment", and 3
    under "warp" where it turns, squeezes or softens)."""
    draws = _draws(rng)
    table = np.array([*space.mirror_table, *range(len(space), IGNORE + 1)], dtype=np.uint8)
    changed = []
    for (photo, labels), row, warp in zip(pairs, draws, _warps(augment, rng), strict=True):
        if warp is not None:
            photo, labels = warp.photo(photo, augment.soften), warp.cells(labels)
        changed.append(_one(photo, labels, size, augment, row, table))
    return changed


def augment_layers(
    layers: Sequence[LayerArray], size: tuple[int, int], augment: Augment, rng: RngLike, space: LabelSpace
) -> list[LayerArray]:
    """The packed layers of the pairs, changed as `augment_pair` changes the pairs for the same rng."""
    changed = []
    for packed, draw, warp in zip(layers, _draws(rng), _warps(augment, rng), strict=True):
        packed = packed if warp is None else warp.cells(packed)
        place = _place(augment, (packed.shape[0], packed.shape[1]), draw[1:4])
        part = resize_layers(place.cut(packed), size, place.box)
        part = np.where(part == 0, 1, part)  # beyond the border of the picture lies class 0
        changed.append(moved_layers(part[:, ::-1], space.mirror_table) if _mirrored(augment, draw) else part)
    return changed


def augment_instances(
    instances: Sequence[InstanceArray], size: tuple[int, int], augment: Augment, rng: RngLike
) -> list[InstanceArray]:
    """The object numbers of the pairs, changed as `augment_pair` changes the pairs for the same rng; a number stays the same
    in a mirrored picture."""
    changed = []
    for numbers, draw, warp in zip(instances, _draws(rng), _warps(augment, rng), strict=True):
        numbers = numbers if warp is None else warp.cells(numbers)
        place = _place(augment, (numbers.shape[0], numbers.shape[1]), draw[1:4])
        part = resize_instances(place.cut(numbers), size, place.box)
        changed.append(part[:, ::-1] if _mirrored(augment, draw) else part)
    return changed


def _draws(rng: RngLike) -> list[list[float]]:
    return rng.uniform("augment", shape=(7,)).tolist()


def _warps(augment: Augment, rng: RngLike) -> list[Warp | None]:
    """What is turned, squeezed and softened how far, for each pair; None where the options leave all as it is."""
    if not augment.warps and augment.soften <= 0:
        return [None] * len(rng.samples)
    draws = rng.uniform("warp", shape=(3,)).tolist()
    return [Warp(math.radians(augment.turn * (2 * a - 1)), 1 + augment.squeeze * b, c) for a, b, c in draws]


def _mirrored(augment: Augment, draw: list[float]) -> bool:
    return augment.flip and draw[0] < 0.5


def _one(
    photo: PhotoArray | None,
    labels: LabelArray,
    size: tuple[int, int],
    augment: Augment,
    draw: list[float],
    table: LabelArray,
) -> tuple[PhotoArray | None, LabelArray]:
    place = _place(augment, (labels.shape[0], labels.shape[1]), draw[1:4])
    target = (size[1], size[0])
    labels = np.array(
        PIL.Image.fromarray(place.cut(labels)).resize(target, PIL.Image.Resampling.NEAREST, box=place.box),
        dtype=np.uint8,
    )
    mirrored = _mirrored(augment, draw)
    if mirrored:
        labels = table[labels[:, ::-1]]
    if photo is None:
        return None, labels
    photo = np.array(
        PIL.Image.fromarray(place.cut(photo)).resize(target, PIL.Image.Resampling.BICUBIC, box=place.box),
        dtype=np.uint8,
    )
    if mirrored:
        photo = photo[:, ::-1]
    return (_jitter(photo, augment.color, draw[4:7]) if augment.color > 0 else photo), labels


class _Place(NamedTuple):
    """What is taken of a picture: of it at the size `drawn` (None: as it is) first a window in whole pixels (None: all), then a box of it
    that is resized (None: all)."""

    preprocess: Preprocess | None
    window: Window
    box: Box | None
    drawn: tuple[int, int] | None = None

    def cut(self, array: np.ndarray) -> np.ndarray:
        if self.preprocess is None:
            return array
        if self.drawn is not None:
            array = self.preprocess.resized(array, self.drawn)
        return self.preprocess.finish(array, self.window)


def _place(augment: Augment, size: tuple[int, int], draw: list[float]) -> _Place:
    preprocess = augment.preprocess
    if preprocess is None:
        return _Place(None, (0, 0), _window(size[0], size[1], augment.zoom, draw))
    drawn = preprocess.drawn(size, draw[0]) if preprocess.ranges else None
    return _Place(preprocess, preprocess.window(drawn or size, draw[1], draw[2]), None, drawn)


def _window(height: int, width: int, zoom: float, draw: list[float]) -> Box:
    share = 1 / (1 + max(0.0, zoom) * draw[0])
    left, top = draw[1] * (1 - share) * width, draw[2] * (1 - share) * height
    return left, top, min(left + share * width, width), min(top + share * height, height)


def _jitter(photo: PhotoArray, amount: float, draw: list[float]) -> PhotoArray:
    brightness, contrast, saturation = (1 + amount * (2 * d - 1) for d in draw)
    values = photo.astype(np.float32) * brightness
    values = (values - values.mean()) * contrast + values.mean()
    grey = values @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    values = (values - grey[..., None]) * saturation + grey[..., None]
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
