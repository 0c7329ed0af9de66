"""Photos and label maps as batches: one resolution, cached in memory, augmented reproducibly."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from zoo.data.augment import Augment, augment_instances, augment_layers, augment_pair
from zoo.data.facts import DataFacts
from zoo.data.files import (
    InstanceArray,
    LabelArray,
    LayerArray,
    PhotoArray,
    resize_instances,
    resize_labels,
    resize_layers,
    resize_photo,
)
from zoo.data.preprocess import Preprocess
from zoo.errors import DataError
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import LayeredMap, SemanticMap
from zoo.rng import RngLike

__all__ = ["Augment", "Batch", "PairData", "Source", "layers_of"]

Size: TypeAlias = tuple[int, int]
"""(height, width)."""
CACHE_BYTES = 3 * 2**30
"""Pairs beyond this much memory are read again each time."""


class Counted(ABC):
    """Compares what a data set states of its classes with its maps, as they are read one after the other."""

    @abstractmethod
    def look(self, index: int, counts: NDArray[Any]) -> None:
        """Take one map. counts: pixels of each number, [256]."""

    @abstractmethod
    def problems(self) -> list[str]:
        """A line for each difference, once all maps were taken."""


class Source(ABC):
    """The pairs of a data set at their own size. A data set is a class made with (path, split, space), and with a fourth
    argument, {key: text}, if it has `options`.

    names: one per pair, in a fixed order. splits: the splits that exist, () for one whole.
    has_images: False for maps alone. location: where it lies, for messages.
    whole_maps: True where a map shows one class everywhere and is right so (the domain of a photo).
    has_instances: True if `read_instances` numbers the objects of every pair.
    has_layers: True if `read_layers` knows which parts lie under which; never in a space of more than 62 classes.
    options: the keys that may follow the path as `,key=value`.
    facts: what cards state of a plugin's data set (terms, licence of weights); those of the core are in `zoo.data.facts`.
    """

    options: ClassVar[tuple[str, ...]] = ()
    facts: ClassVar[DataFacts | None] = None

    label_space: LabelSpace
    names: tuple[str, ...]
    splits: tuple[str, ...] = ()
    has_images: bool = True
    whole_maps: bool = False
    has_instances: bool = False
    has_layers: bool = False
    location: str = ""

    @abstractmethod
    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        """Photo uint8 [H, W, 3] (or None) and labels uint8 [H, W] at (H, W) = size, or as they are. Raises DataError."""

    def read_layers(self, index: int, size: tuple[int, int] | None = None) -> LayerArray:
        """The parts of a pair as they overlap, packed: int64 [H, W], bit c set where class c lies. Only if `has_layers`."""
        raise DataError(f"{self.location or type(self).__name__} has one class per pixel, no overlapping parts.")

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        """The objects of a pair by number: int32 [H, W] at (H, W) = size, or as they are. Only if `has_instances`."""
        raise DataError(f"{self.location or type(self).__name__} does not number its objects.")

    def files(self, index: int) -> dict[str, str]:
        """The files of a pair by role ("photo", "map", "instances"), for checks and messages; {} for drawn data."""
        del index
        return {}

    def origin(self, index: int) -> str:
        """Where a pair lies, for messages: the path of its photo, else of its map; "" for drawn data."""
        files = self.files(index)
        return os.path.abspath(files.get("photo") or next(iter(files.values()))) if files else ""

    def places(self) -> list[str]:
        """The folders that people named, which may be runs of the zoo with facts of their own; [] for data sets of another form."""
        return []

    def leftovers(self) -> list[str]:
        """What lies there unused and should not: photos without a map, maps without a photo, names without files."""
        return []

    def notes(self) -> list[str]:
        """What was left out or changed on purpose, one line each, for `zoo data check`."""
        return []

    def damage(self) -> list[str]:
        """What differs from what the data set says of its own files, for `zoo data check`; may read all of them."""
        return []

    def counted(self) -> Counted | None:
        """What compares the classes that the data set states with its maps; None where it states none."""
        return None


@dataclass(frozen=True)
class Batch:
    """images: float32 [B, 3, H, W] in [0, 1], or None for maps alone; maps: labels [B, H, W]; names: one per pair.

    layers: int64 [B, H, W], bit c set where class c lies, from data sets whose part files overlap; None from flat maps
    (`layers_of` then fills in what lies under a part).
    """

    images: Tensor | None
    maps: SemanticMap
    names: tuple[str, ...]
    layers: Tensor | None = None

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        images = None if self.images is None else self.images.to(device)
        layers = None if self.layers is None else self.layers.to(device)
        return Batch(images, self.maps.to(device), self.names, layers)


def layers_of(batch: Batch) -> LayeredMap:
    """The parts of a batch as they overlap: the data set's own where it has them, else the flat maps' filled by the rule
    of `LabelClass.on` (skin under the facial features)."""
    if batch.layers is None:
        return LayeredMap.from_map(batch.maps, fill=True)
    return LayeredMap.from_bits(batch.layers, batch.maps.space)


@dataclass
class PairData(Dataset[dict[str, Any]]):
    """A data set at one resolution, as it is a `torch.utils.data.Dataset` (`data[i]`) and, for training, by the batch.

    What is read once is kept as uint8 at `load_size` (default: the resolution).

    Photos are resized bicubic with antialiasing, label maps nearest. Nothing is random except through the `rng` of `batch`.
    """

    source: Source
    resolution: int | tuple[int, int]
    load_size: int | tuple[int, int] | None = None
    _cache: dict[tuple[int, Size | Preprocess], tuple[PhotoArray | None, LabelArray]] = field(
        default_factory=dict, repr=False
    )
    _layers: dict[tuple[int, Size | Preprocess], NDArray[np.uint32 | np.int64]] = field(
        default_factory=dict, repr=False
    )
    _instances: dict[tuple[int, Size | Preprocess], InstanceArray] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.resolution = _size(self.resolution)
        self.load_size = self.resolution if self.load_size is None else _size(self.load_size)
        if min(a - b for a, b in zip(self.load_size, self.resolution, strict=True)) < 0:
            raise DataError(f"load_size {self.load_size} is smaller than the resolution {self.resolution}.")
        self._room = CACHE_BYTES

    def __getstate__(self) -> dict[str, Any]:
        """Without what was read: each worker of a DataLoader reads its own pairs."""
        empty = {"_cache": {}, "_layers": {}, "_instances": {}, "_room": CACHE_BYTES}
        return {**self.__dict__, **empty}

    @property
    def label_space(self) -> LabelSpace:
        """The vocabulary of the maps."""
        return self.source.label_space

    @property
    def names(self) -> tuple[str, ...]:
        """One name per pair."""
        return self.source.names

    @property
    def has_images(self) -> bool:
        """False if there are maps alone."""
        return self.source.has_images

    def __len__(self) -> int:
        return len(self.source.names)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One pair, for `torch.utils.data.DataLoader`: map int64 [H, W], name, and where there are: image float32 [3, H, W] in
        [0, 1], instances int64 [H, W], layers int64 [H, W] (as in `Batch`). Raises IndexError, DataError."""
        batch = self.batch([range(len(self))[index]])
        parts = {
            "image": batch.images,
            "map": batch.maps.labels,
            "instances": batch.maps.instances,
            "layers": batch.layers,
        }
        return {"name": batch.names[0], **{key: part[0] for key, part in parts.items() if part is not None}}

    def batches(self, batch_size: int, *, limit: int | None = None) -> Iterator[Batch]:
        """All pairs (or the first `limit`) in order, without augmentation; the last batch may be smaller."""
        count = len(self) if limit is None else min(limit, len(self))
        for start in range(0, count, batch_size):
            yield self.batch(range(start, min(start + batch_size, count)))

    def batch(self, indices: Sequence[int], augment: Augment | None = None, rng: RngLike | None = None) -> Batch:
        """The pairs at these indices. With `augment`, row i is changed by the streams of `rng.samples[i]`: the same
        sample number gives the same change, whatever else is in the batch.

        Raises DataError if a file cannot be read, or if augmentation is asked for without an rng of as many samples.
        """
        names = tuple(self.names[i] for i in indices)
        size = _size(self.resolution)
        layers = instances = None
        if augment is None or augment.nothing:
            pairs = [self.pair(i, size) for i in indices]
            if self.source.has_layers:
                layers = [self.layers(i, size) for i in indices]
            if self.source.has_instances:
                instances = [self.instances(i, size) for i in indices]
        else:
            if rng is None or len(rng.samples) != len(indices):
                raise DataError(f"Augmenting {len(indices)} pairs needs an rng of {len(indices)} samples.")
            load = augment.preprocess or _size(self.load_size or self.resolution)
            loaded = [self.pair(i, load) for i in indices]
            pairs = augment_pair(loaded, size, augment, rng, self.label_space)
            if self.source.has_layers:
                packed = [self.layers(i, load) for i in indices]
                layers = augment_layers(packed, size, augment, rng, self.label_space)
            if self.source.has_instances:
                instances = augment_instances([self.instances(i, load) for i in indices], size, augment, rng)
        labels = torch.from_numpy(np.stack([p[1] for p in pairs])).long()
        photos = [p[0] for p in pairs]
        images = None
        if photos and photos[0] is not None:
            stacked = torch.from_numpy(np.stack([p for p in photos if p is not None]))
            images = stacked.permute(0, 3, 1, 2).float().div_(255).contiguous()
        bits = None if layers is None else torch.from_numpy(np.stack(layers))
        objects = None if instances is None else torch.from_numpy(np.stack(instances)).long()
        return Batch(images, SemanticMap(labels, self.label_space, objects), names, bits)

    def pair(self, index: int, size: Size | Preprocess) -> tuple[PhotoArray | None, LabelArray]:
        """Photo uint8 [H, W, 3] (or None) and labels uint8 [H, W] at `size`, from memory where possible; with a Preprocess
        resized as it says, before any window is cut."""
        key = (index, size)
        if key not in self._cache:
            photo, labels = self.source.read(index, None if isinstance(size, Preprocess) else size)
            target = _target(size, labels)
            fit = size.resized if isinstance(size, Preprocess) else resize_photo
            pair = (None if photo is None else fit(photo, target), resize_labels(labels, target))
            self._room -= sum(part.nbytes for part in pair if part is not None)
            if self._room < 0:
                return pair
            self._cache[key] = pair
        return self._cache[key]

    def layers(self, index: int, size: Size | Preprocess) -> LayerArray:
        """The packed layers int64 [H, W] of a pair, sized as by `pair`; only if the source has them."""
        key = (index, size)
        if key not in self._layers:
            layers = self.source.read_layers(index, None if isinstance(size, Preprocess) else size)
            layers = resize_layers(layers, _target(size, layers))
            # half the memory where the classes fit
            small = layers.astype(np.uint32) if len(self.label_space) <= 32 else layers
            self._room -= small.nbytes
            if self._room < 0:
                return layers
            self._layers[key] = small
        return self._layers[key].astype(np.int64)

    def instances(self, index: int, size: Size | Preprocess) -> InstanceArray:
        """The object numbers int32 [H, W] of a pair, sized as by `pair`; only if the source has them."""
        key = (index, size)
        if key not in self._instances:
            numbers = self.source.read_instances(index, None if isinstance(size, Preprocess) else size)
            numbers = resize_instances(numbers, _target(size, numbers))
            self._room -= numbers.nbytes
            if self._room < 0:
                return numbers
            self._instances[key] = numbers
        return self._instances[key]

    def label_sets(self) -> list[LabelSet]:
        """For each pair the classes that its map shows at this resolution."""
        names, sets = self.label_space.names, []
        for index in range(len(self)):
            present = np.unique(self.pair(index, _size(self.resolution))[1])
            sets.append(LabelSet(self.label_space, tuple(names[v] for v in present if v < len(names))))
        return sets

    def class_counts(self) -> Tensor:
        """Pixels per class over all pairs at `load_size`, int64 [classes]; unlabeled pixels (255) are not counted."""
        counts = np.zeros(256, dtype=np.int64)
        for index in range(len(self)):
            counts += np.bincount(self.pair(index, _size(self.load_size or self.resolution))[1].ravel(), minlength=256)
        return torch.from_numpy(counts[: len(self.label_space)])

    def fingerprint(self) -> str:
        """sha256 over names and the label maps (and layers) at this resolution: which data a run has seen."""
        digest = hashlib.sha256(repr((self.label_space.names, self.resolution)).encode())
        for index, name in enumerate(self.names):
            digest.update(name.encode())
            digest.update(self.pair(index, _size(self.resolution))[1].tobytes())
            if self.source.has_layers:
                digest.update(self.layers(index, _size(self.resolution)).tobytes())
            if self.source.has_instances:
                digest.update(self.instances(index, _size(self.resolution)).tobytes())
        return digest.hexdigest()


def _target(size: Size | Preprocess, array: NDArray[Any]) -> Size:
    return size.loaded((array.shape[0], array.shape[1])) if isinstance(size, Preprocess) else size


def _size(side: int | tuple[int, int]) -> tuple[int, int]:
    height, width = (side, side) if isinstance(side, int) else side
    if height < 1 or width < 1:
        raise DataError(f"The resolution must be positive, got {height} x {width}.")
    return int(height), int(width)
