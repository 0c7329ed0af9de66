"""What lies in a folder of photos and maps, however it is laid out; walking and pairing that all layouts share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from zoo.data.files import LabelArray
from zoo.data.splits import ordered
from zoo.errors import DataError
from zoo.files.images import IMAGE_SUFFIXES, is_hidden, is_picture
from zoo.labels import LabelSpace

PHOTO_FOLDERS = ("images", "photos", "image", "photo", "imgs", "img", "CelebA-HQ-img")
PHOTO_ENDINGS = ("_photo", "_image", "_img", "_rgb", "_leftImg8bit")
MAP_ENDINGS = (
    *("_map", "_label", "_labels", "_mask", "_masks", "_seg", "_annotation", "_gt"),
    *("_gtFine_labelTrainIds", "_gtFine_labelIds", "_labelTrainIds", "_labelIds"),
)
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
    "trainval": "trainval",
}
"""What folders of splits are called, and which split each is."""


@dataclass
class Layout:
    """Photos and maps by the name of their pair; a name that only one of them has is a leftover.

    splits: names by split, {} for one whole. space: what the layout's own files say of the classes, `classes`: names alone, in
    no order of their own. draw: the labels of a pair, for maps that are no plain map files. loose: photos without a map are usual.
    """

    name: str
    photos: dict[str, Path]
    maps: dict[str, tuple[Path, ...]]
    splits: dict[str, tuple[str, ...]] = field(default_factory=dict)
    space: LabelSpace | None = None
    classes: frozenset[str] = frozenset()
    draw: Callable[[str, LabelSpace], LabelArray] | None = None
    loose: bool = False
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """True if there are pairs, or maps alone."""
        return bool(self.maps) and (not self.photos or bool(self.maps.keys() & self.photos.keys()))

    def prefixed(self, split: str) -> Layout:
        """The same with names SPLIT/NAME."""
        draw = self.draw
        return Layout(
            self.name,
            {f"{split}/{n}": p for n, p in self.photos.items()},
            {f"{split}/{n}": p for n, p in self.maps.items()},
            {},
            self.space,
            self.classes,
            None if draw is None else lambda name, space: draw(name.removeprefix(f"{split}/"), space),
            self.loose,
            self.notes,
            self.problems,
        )


class Finder(NamedTuple):
    """One layout: what it looks for, in words, and the search, which gives None where nothing of it lies."""

    looks_for: str
    find: Callable[[Path], Layout | None]


def walk(folder: Path) -> Iterator[Path]:
    """All files below, in order of their paths, also through linked folders (never in circles), without hidden names and
    previews (folders `__NAME`). Dangling links are among them."""
    yield from sorted(_below(folder, frozenset()))


def _below(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    place = os.path.realpath(folder)
    if place in above:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"Cannot read the folder {folder}: {error.strerror or error}.") from error
    for entry in entries:
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            if not entry.name.startswith("__"):
                yield from _below(Path(entry.path), above | {place})
        else:
            yield Path(entry.path)


def pictures(folder: Path, suffixes: Iterable[str] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """Relative path without suffix -> file; of two files of one stem (a.jpg, a.png) the first in alphabetical order counts."""
    found: dict[str, Path] = {}
    for path in walk(folder):
        if is_picture(path) and path.suffix.lower() in suffixes and path.is_file():
            found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), path)
    return found


def shadowed(*folders: Path | None) -> list[str]:
    """A line for each picture that `pictures` leaves out, because another one has its name but for the suffix."""
    lines = []
    for folder in filter(None, folders):
        kept = set(pictures(folder).values())
        lines += [
            f"{path} is not used: another picture there has its name without the suffix"
            for path in walk(folder)
            if is_picture(path) and path.is_file() and path not in kept
        ]
    return lines


def dangling(*folders: Path | None) -> list[str]:
    """A line for each link that leads nowhere."""
    paths = [p for folder in folders if folder is not None for p in walk(folder)]
    return [
        f"{p} is a link to {os.readlink(p)}, which is not there" for p in paths if p.is_symlink() and not p.exists()
    ]


def sub(root: Path, names: Iterable[str]) -> Path | None:
    """The first of these sub-folders that is there; capitals do not matter where the exact name is not there."""
    names = tuple(names)
    exact = next((root / n for n in names if (root / n).is_dir()), None)
    if exact is not None:
        return exact
    there = {p.name.casefold(): p for p in sorted(root.iterdir()) if p.is_dir() and not is_hidden(p.name)}
    return next((there[n.casefold()] for n in names if n.casefold() in there), None)


def plain_stem(stem: str, endings: tuple[str, ...]) -> str:
    """A stem as pairs are told by: without the suffix of a photo (`x.jpg` of x.jpg.png), without an ending, in small letters."""
    folder, slash, name = stem.rpartition("/")
    first = next((name[: -len(s)] for s in IMAGE_SUFFIXES if name.lower().endswith(s)), name)
    short = next(
        (first[: -len(e)] for e in endings if first.lower().endswith(e.lower()) and len(first) > len(e)), first
    )
    return f"{folder}{slash}{short}".casefold()


def paired(photos: dict[str, Path], maps: dict[str, Path]) -> dict[str, tuple[Path, ...]]:
    """The maps under the names of their photos where only endings or capitals differ (`plain_stem`), else under their own."""
    rest: dict[str, str] = {}
    for name in photos:
        if name not in maps:
            rest.setdefault(plain_stem(name, PHOTO_ENDINGS), name)
    found: dict[str, tuple[Path, ...]] = {n: (p,) for n, p in maps.items() if n in photos}
    for name, path in maps.items():
        if name not in photos:
            other = rest.get(name.casefold()) or rest.get(plain_stem(name, MAP_ENDINGS))
            found[other if other is not None and other not in found else name] = (path,)
    return found


def splits_of_names(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Names by their first folder, if each lies in one that is called as a split is (`SPLITS`); else {}."""
    by_split: dict[str, list[str]] = {}
    for name in sorted(names):
        first, slash, _ = name.partition("/")
        split = SPLITS.get(first.lower().rstrip("0123456789"))
        if not slash or split is None:
            return {}
        by_split.setdefault(split, []).append(name)
    return {s: tuple(by_split[s]) for s in ordered(by_split)}
