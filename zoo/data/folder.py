"""folder:DIR: any folder of photos and label maps, also one that `zoo compose` wrote."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from zoo.data.files import (
    InstanceArray,
    LabelArray,
    PhotoArray,
    read_instance_array,
    read_label_array,
    read_photo_array,
)
from zoo.data.pairs import Source
from zoo.errors import DataError, UsageError, did_you_mean
from zoo.files.images import IMAGE_SUFFIXES
from zoo.labels import LabelSpace, parse_space
from zoo.registry import label_space

PHOTO_FOLDERS = ("images", "photos", "image", "photo", "imgs", "img", "CelebA-HQ-img")
MAP_FOLDERS = ("maps", "labels", "masks", "map", "label", "mask", "annotations")
INSTANCE_FOLDERS = ("instances", "inst", "instance")
PHOTO_ENDINGS = ("", "_photo", "_image", "_img", "_rgb")
MAP_ENDINGS = ("_map", "_label", "_labels", "_mask", "_seg")
SPACE_FILES = ("manifest.json", "space.json", "label_space.json", "labels.json")
PATTERNS = (
    f"{{{','.join(PHOTO_FOLDERS)}}}/NAME.* with {{{','.join(MAP_FOLDERS)}}}/NAME.*",
    f"NAME.* or NAME{{{','.join(PHOTO_ENDINGS[1:])}}}.* beside NAME{{{','.join(MAP_ENDINGS)}}}.*",
    "NAME.jpg beside NAME.png",
)


class Folder(Source):
    """Pairs of equal stems, photos and maps in two sub-folders or side by side; a map folder alone gives maps alone. A third
    sub-folder `instances` with a file for every pair numbers the objects.

    path: the folder. split: a file splits/SPLIT.txt of stems, or a sub-folder SPLIT that holds the pairs; None: all.
    space: the maps' label space, needed where neither manifest.json (a `zoo compose` run) nor space.json says it.
    Raises DataError if no pairs are found (naming the patterns tried), UsageError if nothing says the label space.
    """

    def __init__(self, path: str | None, split: str | None = None, space: LabelSpace | None = None) -> None:
        if path is None:
            raise UsageError("The data set folder needs its place: folder:DIR.")
        root = Path(path)
        if not root.is_dir():
            raise DataError(
                f"There is no folder {root}."
                if not root.exists()
                else f"{root} is a file, expected a folder of photos and maps."
            )
        self.splits = _splits(root)
        if split is not None and split not in self.splits:
            raise DataError(
                f"{root} has no split {split!r}{did_you_mean(split, self.splits)} (splits: {', '.join(self.splits) or 'none'})."
            )
        self.root, stems = root, None
        if split is not None and (root / "splits" / f"{split}.txt").is_file():
            stems = [
                line.strip()
                for line in (root / "splits" / f"{split}.txt").read_text("utf-8").splitlines()
                if line.strip()
            ]
        elif split is not None:
            self.root = root / split
        self.location = str(self.root)
        self.label_space = _space(root, space)
        self._photos, self._maps = _find(self.root)
        if not self._maps and split is None:
            self._photos, self._maps = _find_in_splits(root, self.splits)
        self.has_images = bool(self._photos)
        self._choose(stems, split)
        numbered = _sub(self.root, INSTANCE_FOLDERS)
        self._instances = _by_stem(numbered) if numbered else {}
        self.has_instances = set(self.names) <= set(self._instances)

    def _choose(self, stems: list[str] | None, split: str | None) -> None:
        both = set(self._maps) & set(self._photos) if self.has_images else set(self._maps)
        wanted = set(stems) if stems is not None else set(self._maps) | set(self._photos)
        self.names = tuple(sorted(wanted & both))
        if not self.names:
            raise DataError(
                f"{self.root}: 0 pairs found ({len(self._photos)} photos, {len(self._maps)} maps). Patterns tried: {'; '.join(PATTERNS)}."
                + (f" Only names of splits/{split}.txt count." if stems is not None else "")
            )
        self._leftovers = [
            *(f"{self._photos[n]} has no map" for n in sorted((wanted & set(self._photos)) - both)),
            *(f"{self._maps[n]} has no photo" for n in sorted((wanted & set(self._maps)) - both)),
            *(
                f"splits/{split}.txt names {n}, which has no files"
                for n in sorted(wanted - set(self._photos) - set(self._maps))
            ),
        ]

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        name = self.names[index]
        photo = read_photo_array(self._photos[name], size) if self.has_images else None
        return photo, read_label_array(self._maps[name], self.label_space, size)

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        path = self._instances.get(self.names[index])
        return super().read_instances(index, size) if path is None else read_instance_array(path, size)

    def files(self, index: int) -> dict[str, str]:
        name = self.names[index]
        photo = {"photo": str(self._photos[name])} if self.has_images else {}
        instances = {"instances": str(self._instances[name])} if self.has_instances else {}
        return {**photo, "map": str(self._maps[name]), **instances}

    def leftovers(self) -> list[str]:
        return list(self._leftovers)


def _splits(root: Path) -> tuple[str, ...]:
    names = {p.stem for p in (root / "splits").glob("*.txt")}
    names |= {p.name for p in root.iterdir() if p.is_dir() and _sub(p, MAP_FOLDERS) is not None}
    usual = [n for n in ("train", "val", "test") if n in names]
    return (*usual, *sorted(names - set(usual)))


def _find(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Photos and maps by stem: from two sub-folders, else from files side by side."""
    photos, maps = _sub(root, PHOTO_FOLDERS), _sub(root, MAP_FOLDERS)
    if photos is not None or maps is not None:
        return (_by_stem(photos) if photos else {}), (_by_stem(maps) if maps else {})
    files = sorted(p for p in root.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    map_files = {p.stem[: -len(e)]: p for p in files for e in MAP_ENDINGS if p.stem.endswith(e)}
    if map_files:
        rest = [p for p in files if p not in map_files.values()]
        return _photo_stems(rest, map_files), map_files
    lossy = {p.stem: p for p in files if p.suffix.lower() in (".jpg", ".jpeg", ".webp")}
    exact = {p.stem: p for p in files if p.suffix.lower() in (".png", ".bmp")}
    return (lossy, exact) if set(lossy) & set(exact) else ({}, {})


def _find_in_splits(root: Path, splits: tuple[str, ...]) -> tuple[dict[str, Path], dict[str, Path]]:
    """The pairs of all sub-folders that are splits, named SPLIT/NAME."""
    photos: dict[str, Path] = {}
    maps: dict[str, Path] = {}
    for split in splits:
        if (root / split).is_dir():
            split_photos, split_maps = _find(root / split)
            photos |= {f"{split}/{name}": path for name, path in split_photos.items()}
            maps |= {f"{split}/{name}": path for name, path in split_maps.items()}
    return photos, maps


def _photo_stems(files: Iterable[Path], maps: dict[str, Path]) -> dict[str, Path]:
    photos: dict[str, Path] = {}
    for path in files:
        names = [path.stem.removesuffix(e) for e in PHOTO_ENDINGS if path.stem.endswith(e)]
        photos.setdefault(next((n for n in names if n in maps), path.stem), path)
    return photos


def _sub(root: Path, names: tuple[str, ...]) -> Path | None:
    return next((root / n for n in names if (root / n).is_dir()), None)


def _by_stem(folder: Path) -> dict[str, Path]:
    """Relative path without suffix -> file; of two files of one stem (a.jpg, a.png) the first in alphabetical order counts."""
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if any(part.startswith("__") for part in inner.parts[:-1]):  # the previews of zoo parse
            continue
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            paths.setdefault(inner.with_suffix("").as_posix(), path)
    return paths


def _space(root: Path, given: LabelSpace | None) -> LabelSpace:
    own = _own_space(root, given)
    if own is None and given is None:
        raise UsageError(
            f'{root}: which label space are its maps in? Name it (<<space="celebamask-hq">>, or <<space="FILE.json">>),'
            f" or put it there as space.json (none of {', '.join(SPACE_FILES)} says it)."
        )
    return own or given  # pyright: ignore[reportReturnType]


def _own_space(root: Path, given: LabelSpace | None) -> LabelSpace | None:
    for name in SPACE_FILES:
        path = root / name
        if path.is_file():
            try:
                values = json.loads(path.read_text("utf-8"))
            except ValueError as error:
                raise DataError(f"{path} is not readable JSON: {error}.") from error
            space = _read_space(values, path, given)
            if space is not None:
                return space
    return None


def _read_space(values: object, path: Path, given: LabelSpace | None) -> LabelSpace | None:
    """A space file itself, or a manifest whose `label_space` is a name or such a form; None if it says nothing."""
    if isinstance(values, str):
        return given if given is not None and given.name == values else label_space(values)
    if not isinstance(values, dict):
        return None
    if isinstance(values.get("classes"), list):
        return parse_space(values, str(path))
    return _read_space(values["label_space"], path, given) if "label_space" in values else None
