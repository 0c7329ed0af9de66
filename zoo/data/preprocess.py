"""How a pair is brought to the size that it is trained on: the SPADE family's `--preprocess_mode` and its sizes (docs/papers/spade.md,
"Data"), what translators do (docs/papers/munit.md, "Data"), and what SDM does (docs/papers/sdm.md, "Data").

Everything on arrays: photos as `resample` says, labels and object numbers nearest, as Pillow resizes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.data.files import (
    RESAMPLING,
    InstanceArray,
    LabelArray,
    LayerArray,
    PhotoArray,
    box_halved,
    resize_any,
    resize_instances,
    resize_labels,
    resize_layers,
    resize_photo,
)
from zoo.errors import ConfigError

MODES = (
    "resize_and_crop",
    "crop",
    "scale_width",
    "scale_width_and_crop",
    "scale_shortside",
    "scale_shortside_and_crop",
    "shorter_side_and_crop",
    "fixed",
    "none",
)
"""Of the SPADE family, and of MUNIT (shorter_side_and_crop)."""
SHORT_SIDE = ("short_side", "short_side_range_and_crop")
"""Of SDM."""
NONE_BASE = 32
"""Sides are multiples of this in the mode `none`, where nothing else is said."""

Window = tuple[int, int]
"""(x, y) of the upper left corner, in pixels of the resized picture."""


@dataclass(frozen=True)
class Preprocess:
    """One preprocess mode with its sizes; the defaults are those of COCO-Stuff and ADE20K in training."""

    mode: str = "resize_and_crop"
    """resize_and_crop: to load_size x load_size whatever the proportions, then a window. crop: a window of the picture as it
    is. scale_width: width load_size, proportions kept. scale_shortside: quirk kept, the short side keeps its length and the
    long one becomes load_size * long / short. shorter_side: the short side becomes load_size, proportions kept. fixed: crop_size wide,
    crop_size / aspect high. none: to multiples of `base`. short_side: the short side gets the short side of crop_size and
    crop_size / aspect, proportions are kept. short_side_range_and_crop: it gets a length from crop_size to load_size that is drawn each
    time, then a window. In these two photos are halved by boxes before, as often as the short side stays as long as it has to be."""
    load_size: int = 286
    """Side to which the picture is resized before the window is cut; of a range the largest."""
    crop_size: int = 256
    """Side of the window, in all modes that end in `crop`."""
    aspect: float = 1.0
    """Width by height, for the mode `fixed` (Cityscapes and GTA-5: 2)."""
    base: int = NONE_BASE
    """Sides are multiples of this in the mode `none` (pix2pixHD: of 2 to the number of its halvings)."""
    resample: str = "bicubic"
    """How photos are resized: a key of `zoo.data.files.RESAMPLING`."""

    def __post_init__(self) -> None:
        known = (*MODES, *SHORT_SIDE)
        faults = [] if self.mode in known else [f"mode must be one of {', '.join(known)}, got {self.mode!r}"]
        if min(self.load_size, self.crop_size, self.base) < 1 or not self.aspect > 0:
            faults.append("load_size, crop_size, base and aspect must be positive")
        if self.resample not in RESAMPLING:
            faults.append(f"resample must be one of {', '.join(RESAMPLING)}, got {self.resample!r}")
        if faults:
            raise ConfigError("Preprocess: " + "; ".join(faults) + ".")

    @property
    def crops(self) -> bool:
        """True if a window is cut."""
        return self.mode.endswith("crop")

    @property
    def ranges(self) -> bool:
        """True if the side to which a picture is resized is drawn each time: `loaded` leaves it as it is, `drawn` says what comes then."""
        return self.mode == "short_side_range_and_crop"

    def short_side(self, draw: float = 0.0) -> int:
        """The short side in the modes that set one, for a number in (0, 1)."""
        if not self.ranges:
            return round(self.crop_size / max(self.aspect, 1.0))
        choices = max(1, self.load_size - self.crop_size + 1)
        return self.crop_size + min(choices - 1, int(draw * choices))

    def drawn(self, size: tuple[int, int], draw: float) -> tuple[int, int]:
        """(height, width) of a picture of this (height, width) for a number in (0, 1)."""
        return _by_short_side(size, self.short_side(draw)) if self.ranges else size

    def loaded(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) after the resizing of a picture of this (height, width)."""
        height, width = size
        if self.mode == "short_side":
            return _by_short_side(size, self.short_side())
        if self.mode == "resize_and_crop":
            return self.load_size, self.load_size
        if self.mode.startswith("scale_width"):
            return max(1, int(self.load_size * height / width)), self.load_size
        if self.mode.startswith("scale_shortside"):  # quirk: only the long side is scaled
            if width < height:
                return max(1, int(self.load_size * height / width)), width
            return height, max(1, int(self.load_size * width / height))
        if self.mode.startswith("shorter_side"):
            long = int(self.load_size * max(size) / min(size))
            return (self.load_size, long) if height <= width else (long, self.load_size)
        if self.mode == "fixed":
            return round(self.crop_size / self.aspect), self.crop_size
        if self.mode == "none":
            return _multiple(height, self.base), _multiple(width, self.base)
        return height, width

    def output(self, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) at the end; a window that is larger than the picture is filled up."""
        return (self.crop_size, self.crop_size) if self.crops else self.loaded(size)

    def room(self, loaded: tuple[int, int]) -> Window:
        """The largest (x, y) at which a window of a resized picture may start (both inclusive)."""
        return (max(0, loaded[1] - self.crop_size), max(0, loaded[0] - self.crop_size)) if self.crops else (0, 0)

    def window(self, loaded: tuple[int, int], across: float, down: float) -> Window:
        """The window of a resized picture for two numbers in (0, 1), each position equally likely."""
        x, y = self.room(loaded)
        return min(x, int(across * (x + 1))), min(y, int(down * (y + 1)))

    def photo(self, photo: PhotoArray, window: Window = (0, 0), *, flip: bool = False) -> PhotoArray:
        """uint8 [H, W, 3] -> uint8 [h, w, 3]; black beyond the border."""
        return self.finish(self.resized(photo, self.loaded((photo.shape[0], photo.shape[1]))), window, flip=flip)

    def resized(self, array: Any, size: tuple[int, int]) -> Any:
        """An array of any kind at this (height, width), photos as the mode and `resample` say."""
        if array.ndim != 3:
            return resize_any(array, size)
        if self.mode in SHORT_SIDE:
            array = box_halved(array, min(size))
        return resize_photo(array, size, self.resample)

    def labels(self, labels: LabelArray, window: Window = (0, 0), *, flip: bool = False) -> LabelArray:
        """uint8 [H, W] -> uint8 [h, w]; quirk: class 0 beyond the border. A flip does not swap left and right classes here."""
        return self.finish(resize_labels(labels, self.loaded((labels.shape[0], labels.shape[1]))), window, flip=flip)

    def instances(self, instances: InstanceArray, window: Window = (0, 0), *, flip: bool = False) -> InstanceArray:
        """int32 [H, W] -> int32 [h, w]; 0 beyond the border."""
        size = (instances.shape[0], instances.shape[1])
        return self.finish(resize_instances(instances, self.loaded(size)), window, flip=flip)

    def layers(self, layers: LayerArray, window: Window = (0, 0), *, flip: bool = False) -> LayerArray:
        """Packed layers int64 [H, W] -> int64 [h, w]; class 0 beyond the border, as in `labels`."""
        cut = self.finish(resize_layers(layers, self.loaded((layers.shape[0], layers.shape[1]))), window, flip=flip)
        return np.where(cut == 0, 1, cut)

    def finish(self, resized: np.ndarray, window: Window = (0, 0), *, flip: bool = False) -> Any:
        """What follows the resizing: the window of an array [h, w, ...], then the flip."""
        if self.crops:
            x, y = window
            part = resized[y : y + self.crop_size, x : x + self.crop_size]
            missing = [(0, self.crop_size - part.shape[0]), (0, self.crop_size - part.shape[1])]
            resized = np.pad(part, missing + [(0, 0)] * (part.ndim - 2)) if any(m[1] for m in missing) else part
        return np.ascontiguousarray(resized[:, ::-1] if flip else resized)


def _by_short_side(size: tuple[int, int], target: int) -> tuple[int, int]:
    """(height, width) with this short side. The proportions are those after halving, which may cut off a pixel."""
    height, width = size
    while min(height, width) >= 2 * target:
        height, width = height // 2, width // 2
    scale = target / min(height, width)
    return round(height * scale), round(width * scale)


def _multiple(side: int, base: int) -> int:
    """The nearest multiple of `base` (halves to the even one, as Python rounds)."""
    return max(base, round(side / base) * base)
