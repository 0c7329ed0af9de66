"""Cleaning of pictures of people, as the SegVAE paper describes it: odd proportions out, crop to the person, pad to a square."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import numpy as np

from zoo.data.cache import cache_folder, cached, digest_of, files_digest, store
from zoo.data.files import LabelArray, PhotoArray, read_label_array
from zoo.errors import DataError, UsageError
from zoo.files.jsonfiles import read_json
from zoo.labels import LabelSpace

OPTIONS = ("aspect", "crop", "pad")
MARGIN = 0.02
PAD_GREY = 111

Extent = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels."""


@dataclass(frozen=True)
class Cleaning:
    """What is done to each pair, map and photo alike, in this order. The default does nothing.

    The paper names the three steps without numbers, and its code has none of them. Our reading:
    """

    aspect: float | None = None
    """Drop maps whose person box (the pixels that are not background) has an aspect ratio, width by height, more than
    this many standard deviations from the mean; both over all maps of the folder, before splitting. The paper: 1."""
    crop: bool = False
    """Crop to the person box, with a margin of 2 % of its longer side where the picture reaches that far."""
    pad: Literal["", "square", "mirror"] = ""
    """Make a square of it, the person in the middle. square: pad the map with background, the photo with grey 111, the plain
    ground of the paper's figures and the background colour of its palettes. mirror: the same square, but filled with what
    surrounds the person in the photo, and beyond the photo's edges with its mirror image (ours, for synthesizers)."""

    @classmethod
    def parse(cls, options: Mapping[str, str]) -> Cleaning:
        """From `aspect=NUMBER`, `crop=person`, `pad=square|mirror`. Raises UsageError for other values."""
        aspect = None
        if "aspect" in options:
            try:
                aspect = float(options["aspect"])
            except ValueError:
                aspect = math.nan
            if not (aspect > 0 and math.isfinite(aspect)):
                raise UsageError(
                    f"aspect={options['aspect']}: expected a positive number of standard deviations, for example aspect=1."
                )
        if options.get("crop", "person") != "person":
            raise UsageError(f"crop={options['crop']}: expected crop=person.")
        pad = options.get("pad", "")
        if pad not in ("square", "mirror") and "pad" in options:
            raise UsageError(f"pad={pad}: expected pad=square or pad=mirror.")
        return cls(aspect, "crop" in options, cast(Literal["", "square", "mirror"], pad))

    @property
    def reshapes(self) -> bool:
        """True if pictures change their size."""
        return self.crop or bool(self.pad)

    def apply(
        self, photo: PhotoArray | None, labels: LabelArray, background: int
    ) -> tuple[PhotoArray | None, LabelArray]:
        """A pair of equal size, cropped and padded."""
        height, width = labels.shape
        box = _with_margin(person_box(labels, background), height, width) if self.crop else (0, 0, width, height)
        if self.pad == "mirror":
            return None if photo is None else _window(photo, box), _window(labels, box)
        left, top, right, bottom = box
        labels = labels[top:bottom, left:right]
        photo = None if photo is None else photo[top:bottom, left:right]
        if self.pad:
            labels = _squared(labels, background)
            photo = None if photo is None else _squared(photo, PAD_GREY)
        return photo, labels


def person_box(labels: LabelArray, background: int) -> Extent | None:
    """The smallest box around all pixels that are not background; None if there are none."""
    shown = labels != background
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _with_margin(box: Extent | None, height: int, width: int) -> Extent:
    if box is None:
        return 0, 0, width, height
    left, top, right, bottom = box
    margin = round(MARGIN * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(width, right + margin), min(height, bottom + margin)


def _squared(picture: np.ndarray, fill: int) -> np.ndarray:
    height, width = picture.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, *picture.shape[2:]), fill, dtype=picture.dtype)
    square[top : top + height, left : left + width] = picture
    return square


def _window(picture: np.ndarray, box: Extent) -> np.ndarray:
    """The square in which `_squared` would put the box, read from the whole picture, mirrored beyond its edges."""
    left, top, right, bottom = box
    side = max(bottom - top, right - left)
    rows = _mirrored(top - (side - (bottom - top)) // 2, side, picture.shape[0])
    columns = _mirrored(left - (side - (right - left)) // 2, side, picture.shape[1])
    return picture[rows[:, None], columns[None, :]]


def _mirrored(start: int, count: int, length: int) -> np.ndarray:
    """Indices start … start + count - 1 folded back into 0 … length - 1 at the edges (the edge pixel twice)."""
    folded = np.arange(start, start + count) % (2 * length)
    return np.minimum(folded, 2 * length - 1 - folded)


@dataclass(frozen=True)
class Proportions:
    """Which maps of a folder have usual proportions, and the numbers behind it."""

    kept: frozenset[str]
    dropped: int
    mean: float
    deviation: float


def usual_proportions(maps: Mapping[str, Path], space: LabelSpace, limit: float) -> Proportions:
    """The maps whose person box is at most `limit` standard deviations from the mean aspect ratio; empty maps are not.

    Reads every map once; the boxes are kept in the cache until a map changes. Raises DataError for a map that cannot be
    read, or if none shows anything.
    """
    ratios = {name: ratio for name, ratio in _aspect_ratios(maps, space).items() if ratio is not None}
    if not ratios:
        raise DataError("aspect: not one of the maps shows a person; every pixel is background.")
    values = np.array(list(ratios.values()))
    mean, deviation = float(values.mean()), float(values.std())
    kept = frozenset(name for name, ratio in ratios.items() if abs(ratio - mean) <= limit * deviation)
    return Proportions(kept, len(maps) - len(kept), mean, deviation)


def _aspect_ratios(maps: Mapping[str, Path], space: LabelSpace) -> dict[str, float | None]:
    """Width by height of the person box by name; None for maps of background only."""
    names: Sequence[str] = sorted(maps)
    folder = os.path.realpath(maps[names[0]].parent) if names else ""
    key = digest_of([folder, space.names, files_digest(maps[n] for n in names)])
    path = cache_folder() / "proportions" / f"{key}.json"
    if cached(path):
        try:
            stored = read_json(path)
            if sorted(stored) == names and all(v is None or type(v) is float for v in stored.values()):
                return stored
        except DataError:
            pass  # made again below
    ratios: dict[str, float | None] = {}
    for name in names:
        box = person_box(read_label_array(maps[name], space), space.background_index or 0)
        ratios[name] = None if box is None else (box[2] - box[0]) / (box[3] - box[1])
    store(path, lambda part: part.write_text(json.dumps(ratios), encoding="utf-8"))
    return ratios
