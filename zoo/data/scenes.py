"""Scenes and people in the layouts of the synthesis papers: ADE20K, COCO-Stuff, Cityscapes, GTA-5, DeepFashion."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np

from zoo.data.files import (
    InstanceArray,
    LabelArray,
    PhotoArray,
    read_instance_array,
    read_label_array,
    read_photo_array,
)
from zoo.data.layouts.base import walk
from zoo.data.pairs import Source
from zoo.data.splits import ordered
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files.images import is_hidden
from zoo.labels import IGNORE, LabelSpace
from zoo.registry import label_space


class Files(NamedTuple):
    """The files of one pair; None where one is missing. instances: where the set numbers its objects."""

    split: str
    photo: Path | None
    map: Path | None
    instances: Path | None = None


class Scenes(Source):
    """A photo, a label PNG and, where the set has them, an instance PNG per pair, found by the set's own layout.

    path: the folder as its authors unpack it. split: one of `splits` (None: all, named SPLIT/NAME). Pairs are in natural
    order (2 before 10), as the authors list them. Raises UsageError without a path, DataError if no pair is found.
    """

    space: ClassVar[str]
    """Label space of the maps."""
    layout: ClassVar[str]
    """The patterns, for messages."""
    unlabeled: ClassVar[str | None] = None
    """The class that the value 255 of a file stands for; None: it is kept, or an error where the space has no such value."""
    numbered: ClassVar[bool] = False
    """True if the set has instance maps."""

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        del space  # the maps are in the data set's own
        self.label_space = label_space(self.space)
        if path is None:
            raise UsageError(f"The data set {self.space} needs its folder: {self.space}:DIR[#train].")
        root = Path(path)
        if not root.is_dir():
            raise DataError(f"There is no folder {root}.")
        self.location = str(root)
        files = dict(self._find(root))
        self.splits = ordered({f.split for f in files.values() if f.photo and f.map})
        if split is not None and self.splits and split not in self.splits:
            raise DataError(f"{root} has no split {split!r}{did_you_mean(split, self.splits)} ({_some(self.splits)}).")
        chosen = {k: f for k, f in files.items() if split is None or f.split == split}
        whole = {k: f for k, f in chosen.items() if f.photo and f.map}
        if not whole:
            raise DataError(f"{root}: 0 pairs found ({len(chosen)} single files). Tried: {self.layout}.")
        # one split goes by bare names: those are what the authors' lists and result files show
        self._files = {k.split("/", 1)[1] if split is not None else k: whole[k] for k in sorted(whole, key=_natural)}
        self.names = tuple(self._files)
        self.has_instances = self.numbered and all(f.instances for f in self._files.values())
        self._leftovers = [
            *(f"{f.photo} has no map" for _, f in sorted(chosen.items()) if f.photo and not f.map),
            *(f"{f.map} has no photo" for _, f in sorted(chosen.items()) if f.map and not f.photo),
        ]

    @abstractmethod
    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        """(SPLIT/NAME, files) of every pair and of every single photo or map."""

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        files = self._files[self.names[index]]
        assert files.photo is not None and files.map is not None
        labels = read_label_array(files.map, self.label_space, size)
        if self.unlabeled is not None:
            labels = np.where(labels == IGNORE, np.uint8(self.label_space.index(self.unlabeled)), labels)
        return read_photo_array(files.photo, size), labels

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        path = self._files[self.names[index]].instances
        return super().read_instances(index, size) if path is None else read_instance_array(path, size)

    def files(self, index: int) -> dict[str, str]:
        files = self._files[self.names[index]]
        roles = {"photo": files.photo, "map": files.map, "instances": files.instances if self.has_instances else None}
        return {role: str(path) for role, path in roles.items() if path is not None}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)

    def notes(self) -> list[str]:
        if self.numbered and not self.has_instances:
            lacking = sum(f.instances is None for f in self._files.values())
            return [f"{lacking} of {len(self.names)} pairs have no instance map, so none is used"]
        return []


class ADE20K(Scenes):
    """ADE20K (scene parsing, 150 classes): images/{training,validation}/X.jpg with annotations/{training,validation}/X.png,
    or X.jpg beside X.png anywhere below; X holds `_train_` or `_val_`. 0 is `unlabeled`, k is class k, as stored.
    """

    space = "ade20k"
    layout = "images/{training,validation}/X.jpg with annotations/{training,validation}/X.png; X.jpg beside X.png"

    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        photos: dict[str, Path] = {}
        maps: dict[str, Path] = {}
        for path in walk(root):
            split = "train" if "_train_" in path.name else "val" if "_val_" in path.name else None
            if split is not None and path.suffix in (".jpg", ".png"):
                (photos if path.suffix == ".jpg" else maps).setdefault(f"{split}/{path.stem}", path)
        yield from _joined(photos, maps)


class DeepFashion(Scenes):
    """DeepFashion In-shop as CLVAE uses it: {train,test}/X.jpg beside X_label.png, values 0..15."""

    space = "deepfashion"
    layout = "{train,test}/X.jpg beside X_label.png"
    ending = "_label"

    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        photos: dict[str, Path] = {}
        maps: dict[str, Path] = {}
        for split in ("train", "val", "test"):
            photos |= _listed(root / split, split, ".jpg")
            maps |= {
                k.removesuffix(self.ending): p
                for k, p in _listed(root / split, split, ".png").items()
                if k.endswith(self.ending)
            }
        yield from _joined(photos, maps)


class GTA5(Scenes):
    """GTA-5 as CLVAE uses it: RGB256Full/{train,test}/N.png with LabelgrayFull20/{train,test}/N.png, 512 x 256, values
    0..18 the Cityscapes training classes, 19 `void`."""

    space = "gta5"
    layout = "RGB256Full/{train,test}/N.png with LabelgrayFull20/{train,test}/N.png"

    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        photos: dict[str, Path] = {}
        maps: dict[str, Path] = {}
        for split in ("train", "val", "test"):
            photos |= _listed(root / "RGB256Full" / split, split, ".png")
            maps |= _listed(root / "LabelgrayFull20" / split, split, ".png")
        yield from _joined(photos, maps)


class COCOStuff(Scenes):
    """COCO-Stuff as SPADE uses it: {train,val}_img/N.jpg, {train,val}_label/N.png, {train,val}_inst/N.png.

    Labels 0..181; 255 is read as 182, `unlabeled`. An instance file is the label map with every thing numbered apart, so
    its numbers only say where one object ends.
    """

    space = "coco-stuff"
    layout = "{train,val}_img/N.jpg with {train,val}_label/N.png (and {train,val}_inst/N.png)"
    unlabeled = "unlabeled"
    numbered = True

    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        photos: dict[str, Path] = {}
        maps: dict[str, Path] = {}
        instances: dict[str, Path] = {}
        for split in ("train", "val", "test"):
            photos |= _listed(root / f"{split}_img", split, ".jpg")
            maps |= _listed(root / f"{split}_label", split, ".png")
            instances |= _listed(root / f"{split}_inst", split, ".png")
        yield from _joined(photos, maps, instances)


class Cityscapes(Scenes):
    """Cityscapes: leftImg8bit/SPLIT/CITY/X_leftImg8bit.png with gtFine/SPLIT/CITY/X_gtFine_{labelIds,instanceIds}.png.

    Labels are the ids 0..33; 255, where a file has it, is read as 34, the 35th channel of SPADE and SC-GAN
    (the license plate, -1; Cityscapes' tools draw none). Instance ids
    are the label id where nothing is numbered, else label id * 1000 + number (16-bit files). The published test maps
    show nothing but the car's own parts, so the test split teaches nothing.
    """

    space = "cityscapes"
    layout = (
        "leftImg8bit/SPLIT/CITY/X_leftImg8bit.png with gtFine/SPLIT/CITY/X_gtFine_labelIds.png (and _instanceIds.png)"
    )
    unlabeled = "license plate"
    numbered = True

    def _find(self, root: Path) -> Iterator[tuple[str, Files]]:
        def all_of(folder: str, ending: str) -> dict[str, Path]:
            paths = sorted((root / folder).glob(f"*/*/*{ending}"))
            return {f"{p.parts[-3]}/{p.name.removesuffix(ending)}": p for p in paths if not is_hidden(p.name)}

        yield from _joined(
            all_of("leftImg8bit", "_leftImg8bit.png"),
            all_of("gtFine", "_gtFine_labelIds.png"),
            all_of("gtFine", "_gtFine_instanceIds.png"),
        )


def _listed(folder: Path, split: str, suffix: str) -> dict[str, Path]:
    """SPLIT/STEM -> file, of one folder."""
    return {f"{split}/{p.stem}": p for p in sorted(folder.glob(f"*{suffix}")) if not is_hidden(p.name)}


def _joined(
    photos: dict[str, Path], maps: dict[str, Path], instances: dict[str, Path] | None = None
) -> Iterator[tuple[str, Files]]:
    for key in sorted({*photos, *maps}):
        instance_file = None if instances is None else instances.get(key)
        yield key, Files(key.split("/", 1)[0], photos.get(key), maps.get(key), instance_file)


def _natural(name: str) -> list[tuple[bool, int, str]]:
    """Sort key in which digits count as numbers."""
    return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in re.split(r"(\d+)", name)]


def _some(splits: tuple[str, ...]) -> str:
    return f"splits: {', '.join(splits)}"
