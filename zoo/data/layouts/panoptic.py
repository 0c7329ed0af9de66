"""COCO panoptic: PNGs of segment numbers, R + 256 G + 65536 B, and a JSON that says each segment's category."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.files import LabelArray
from zoo.data.layouts.base import PHOTO_FOLDERS, SPLITS, Finder, Layout, sub
from zoo.data.layouts.named import empty_value, read_json, space_of, value_of
from zoo.data.splits import ordered
from zoo.errors import DataError
from zoo.files.decoding import open_image
from zoo.labels import LabelSpace

Segments = dict[int, str]
"""Category by the number of a segment."""


def find(root: Path) -> Layout | None:
    """panoptic_SPLIT.json and the folder panoptic_SPLIT of PNGs, in the folder or in `annotations`."""
    photos: dict[str, Path] = {}
    maps: dict[str, tuple[Path, ...]] = {}
    splits: dict[str, tuple[str, ...]] = {}
    segments: dict[str, Segments] = {}
    categories: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    for path, folder in _lists(root):
        subset = path.stem.removeprefix("panoptic_")
        values = read_json(path)
        try:
            for category in values["categories"]:
                if categories.setdefault(category["id"], category)["name"] != category["name"]:
                    raise DataError(f"{path} calls category {category['id']} otherwise than the other lists.")
            files = {i["id"]: i["file_name"] for i in values["images"]}
            for entry in values["annotations"]:
                name = f"{subset}/{Path(entry['file_name']).stem}"
                photo = _photo(root, subset, files.get(entry["image_id"], f"{Path(name).name}.jpg"))
                if not (folder / entry["file_name"]).is_file():
                    problems.append(f"{path} names {entry['file_name']}, which is not in {folder}")
                    continue
                maps[name] = (folder / entry["file_name"],)
                if photo is not None:
                    photos[name] = photo
                segments[name] = {s["id"]: categories[s["category_id"]]["name"] for s in entry["segments_info"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path} is no panoptic list of COCO's form ({type(error).__name__}: {error}).") from error
        split = SPLITS.get(subset.lower().rstrip("0123456789"), subset)
        splits[split] = tuple(n for n in maps if n.startswith(f"{subset}/"))
    if not maps:
        return None

    def draw(name: str, space: LabelSpace) -> LabelArray:
        return _drawn(maps[name][0], segments[name], space)

    listed = sorted(categories.values(), key=lambda c: c["id"])
    colors = {c["name"]: tuple(c["color"]) for c in listed if isinstance(c.get("color"), list) and len(c["color"]) == 3}
    space = space_of([c["name"] for c in listed], "categories of the panoptic list", colors, ignore=True)
    layout = Layout("COCO panoptic, panoptic_SPLIT/NAME.png with panoptic_SPLIT.json", photos, maps, space=space)
    layout.draw, layout.problems = draw, problems
    layout.splits = {s: splits[s] for s in ordered(splits)}
    return layout


def _lists(root: Path) -> Iterator[tuple[Path, Path]]:
    """Lists with their folders."""
    for place in (root / "annotations", root):
        for path in sorted(place.glob("panoptic_*.json")):
            folder = next((f for f in (path.with_suffix(""), root / path.stem) if f.is_dir()), None)
            if folder is not None:
                yield path, folder


def _photo(root: Path, subset: str, name: str) -> Path | None:
    images = sub(root, PHOTO_FOLDERS)
    places = [root / subset, root, *([images / subset, images] if images is not None else [])]
    return next((p for place in places if (p := place / Path(name).name).is_file()), None)


def _drawn(path: Path, segments: Segments, space: LabelSpace) -> LabelArray:
    """Class numbers of one PNG; segment 0 is what nobody labelled. Raises DataError, LabelError."""
    colors = np.asarray(open_image(path, exact=True).convert("RGB")).astype(np.int64)
    numbers = colors[..., 0] + (colors[..., 1] << 8) + (colors[..., 2] << 16)
    found, places = np.unique(numbers, return_inverse=True)
    unknown = [int(n) for n in found if n and int(n) not in segments]
    if unknown:
        raise DataError(f"{path} shows the segments {unknown[:5]}, which its JSON does not list.")
    values = [value_of(segments[int(n)], space, path) if int(n) in segments else empty_value(space) for n in found]
    return np.array(values, np.uint8)[places.reshape(numbers.shape)]


PANOPTIC = Finder("[annotations/]panoptic_SPLIT/NAME.png with panoptic_SPLIT.json (COCO panoptic)", find)
