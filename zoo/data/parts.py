"""Maps that lie as one mask file per part: found, read, packed into overlapping layers, and kept in the cache."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image

from zoo.data.cache import cache_folder, cached, digest_of, files_digest, store
from zoo.data.files import LabelArray, LayerArray, merged, pack_layers
from zoo.errors import DataError, LabelError, ZooError
from zoo.files.decoding import open_image
from zoo.files.depths import is_deep, refuse_fractions
from zoo.files.images import is_hidden
from zoo.labels import LabelSpace
from zoo.registry import label_space

PARTS_PER_FOLDER = 2000
SIDE = 512
CACHED_BITS = 24
READING = 2
"""Counts the changes of `_part_mask`, so that the cache holds nothing of an older one."""

SEGVAE_PARTS = (
    *("background", "skin", "hair", "cloth", "l_brow", "r_brow", "l_ear", "r_ear", "ear_r", "l_eye", "r_eye"),
    *("eye_g", "l_lip", "u_lip", "mouth", "neck", "neck_l", "nose", "hat"),
)
"""What the file numbers of the SegVAE authors' layout mean; not the numbers of CelebAMask-HQ's own maps."""


class PartMasks(ABC):
    """One folder of part masks. Faces go by their number, written without leading zeros."""

    def __init__(self, folder: Path, space: LabelSpace, *, side: int | None = None) -> None:
        self.folder, self.space, self.side = folder, space, side
        self._values = {name: value for value, name in enumerate(space.names)}
        if len(space) > CACHED_BITS:
            raise LabelError(f"{space.name!r} has {len(space)} classes; part masks are read for at most {CACHED_BITS}.")
        self._present: dict[str, int] = {}  # bit c: there is a mask of class c
        self.strange: list[str] = []
        for folder_name, entry in _scan(folder):
            name, value = self._meaning(folder_name, entry)
            if value is None or value in (0, space.background_index):
                self.strange.append(f"{folder / folder_name / entry} is no part of {space.name}")
            else:
                self._present[name] = self._present.get(name, 0) | 1 << value
        self._cache = cache_folder() / "parts" / digest_of([os.path.realpath(folder), space.names, READING])
        self._last: tuple[str, LayerArray] | None = None

    @abstractmethod
    def _meaning(self, folder: str, entry: str) -> tuple[str, int | None]:
        """The face and the class value of a mask file; None for a file that is none."""

    @abstractmethod
    def _path(self, name: str, value: int) -> Path:
        """The mask file of a class of a face."""

    def names(self) -> tuple[str, ...]:
        """The faces in order of their numbers."""
        return tuple(sorted(self._present, key=int))

    def files(self, name: str) -> dict[str, Path]:
        """The mask files of a face by class name, in the order in which they are painted."""
        bits = self._present[name]
        return {n: self._path(name, value) for value, n in enumerate(self.space.names) if bits >> value & 1}

    def layers(self, name: str) -> LayerArray:
        """The parts of a face, packed: int64 [H, W], bit c set where class c lies, bit 0 where nothing does.

        Kept as a picture in the cache, its three bytes being the bits, under a name that changes with the mask files.
        Raises DataError for masks that cannot be read or differ in size.
        """
        last = self._last
        if last is not None and last[0] == name:
            return last[1]
        paths = self.files(name)
        stored = self._cache / f"{name}-{files_digest(paths.values())}.png"
        layers = _unpacked(stored)
        if layers is None:
            layers = _read_parts({self.space.index(n): p for n, p in paths.items()}, self.side)
            picture = np.stack([(layers >> shift) & 255 for shift in (0, 8, 16)], -1).astype(np.uint8)
            store(stored, lambda part: PIL.Image.fromarray(picture).save(part, format="PNG", compress_level=1))
        self._last = (name, layers)
        return layers


class OfficialParts(PartMasks):
    """CelebAMask-HQ-mask-anno: (N // 2000)/NNNNN_CLASS.png, 512 x 512."""

    def __init__(self, folder: Path, space: LabelSpace) -> None:
        super().__init__(folder, space, side=SIDE)

    def _meaning(self, folder: str, entry: str) -> tuple[str, int | None]:
        number, _, part = entry.removesuffix(".png").partition("_")
        known = number.isdecimal() and len(number) == 5 and folder == str(int(number) // PARTS_PER_FOLDER)
        return (str(int(number)), self._values.get(part)) if known else ("", None)

    def _path(self, name: str, value: int) -> Path:
        number = int(name)
        return self.folder / str(number // PARTS_PER_FOLDER) / f"{number:05d}_{self.space.names[value]}.png"


class NumberedParts(PartMasks):
    """The SegVAE authors' segmentation_map: NNNNN/INDEX.png, INDEX counting in their own order (`SEGVAE_PARTS`)."""

    def _meaning(self, folder: str, entry: str) -> tuple[str, int | None]:
        index = entry.removesuffix(".png")
        known = folder.isdecimal() and len(folder) == 5 and index in map(str, range(len(SEGVAE_PARTS)))
        return (str(int(folder)), self._values.get(SEGVAE_PARTS[int(index)])) if known else ("", None)

    def _path(self, name: str, value: int) -> Path:
        return self.folder / f"{int(name):05d}" / f"{SEGVAE_PARTS.index(self.space.names[value])}.png"


def _scan(folder: Path) -> Iterator[tuple[str, str]]:
    """(sub-folder, file name) of all PNGs; by scandir and plain text, as there are 400,000 of them."""
    for sub in sorted(e.name for e in os.scandir(folder) if e.is_dir() and not is_hidden(e.name)):
        for name in sorted(e.name for e in os.scandir(folder / sub)):
            if name.endswith(".png") and not is_hidden(name):
                yield sub, name


def merge_parts(folder: Path, number: int, space: LabelSpace | None = None) -> LabelArray:
    """The official label map of face `number` from its part masks: uint8 [512, 512] (docs/papers/face_parser.md, "Merging").

    folder: CelebAMask-HQ-mask-anno. The parts `number // 2000 / NNNNN_part.png` are painted in the order of the classes,
    so that the higher value wins wherever parts overlap. A face without files gives a map of zeros. Where the official
    script looks at the blue channel only, `_part_mask` looks at all: the same for the files of the data set, which are black and white.
    Raises DataError for a mask of another size than 512 x 512.
    """
    space = space or label_space("celebamask-hq")
    stem = folder / str(number // PARTS_PER_FOLDER) / f"{number:05d}"
    paths = {value: Path(f"{stem}_{name}.png") for value, name in enumerate(space.names) if value}
    return merged(_read_parts({value: path for value, path in paths.items() if path.exists()}, SIDE))


def _read_parts(paths: dict[int, Path], side: int | None) -> LayerArray:
    """Mask files by class value as packed layers. side: the side that each must have (None: all the same)."""
    masks: dict[int, np.ndarray] = {}
    size = None if side is None else (side, side)
    for value, path in paths.items():
        masks[value] = mask = _part_mask(path)
        size = size or (mask.shape[0], mask.shape[1])
        if mask.shape != size:
            raise DataError(f"{path}: part masks are {size[1]} x {size[0]}, got {mask.shape[1]} x {mask.shape[0]}.")
    assert size is not None
    return pack_layers(masks, size)


def _part_mask(path: Path) -> np.ndarray:
    """Where the part lies, bool [H, W]: what is not black; where the file is transparent in places, what is opaque.

    Of grey and of colours' brightest channel any value but 0 counts, as in the official script; where JPEG or smoothing left
    values between black and the part's, those above half of the highest. A palette counts by its colours, by its numbers
    where all of them are black.
    """
    image = open_image(path)
    refuse_fractions(path, image)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
        if alpha.min() < 255:
            return alpha >= 128
    if image.mode == "1" or is_deep(image):
        return np.asarray(image) != 0
    values = np.asarray(image if image.mode == "L" else image.convert("RGB"))
    values = values if values.ndim == 2 else values.max(axis=-1)
    highest = int(values.max())
    if image.mode == "P" and highest == 0:
        return np.asarray(image) != 0
    return values > highest // 2 if len(np.unique(values)) > 2 else values != 0


def _unpacked(path: Path) -> LayerArray | None:
    """Packed layers from the cache; None if they are not there, or not readable."""
    if not cached(path):
        return None
    try:
        picture = np.asarray(open_image(path).convert("RGB")).astype(np.int64)
    except ZooError:
        return None
    return picture[..., 0] | picture[..., 1] << 8 | picture[..., 2] << 16
