"""labelme: its JSON polygons beside the photos, and the folders that `labelme_export_json` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from zoo.data.files import LabelArray, read_label_array
from zoo.data.layouts.base import Finder, Layout, splits_of_names, walk
from zoo.data.layouts.named import empty_value, value_of
from zoo.data.layouts.shapes import labelme_shape
from zoo.errors import DataError, LabelError
from zoo.files.decoding import MAX_PIXELS
from zoo.files.jsonfiles import read_json
from zoo.labels import IGNORE, LabelClass, LabelSpace, voc_color

LIST = "label_names.txt"


def find_json(root: Path) -> Layout | None:
    """NAME.json with shapes beside its photo, anywhere below."""
    photos: dict[str, Path] = {}
    maps: dict[str, tuple[Path, ...]] = {}
    classes: set[str] = set()
    problems: list[str] = []
    drawn: dict[str, tuple[Path, dict[str, Any]]] = {}
    for path in walk(root):
        values = _shapes(path, problems) if path.suffix.lower() == ".json" and path.is_file() else None
        if values is None:
            continue
        name = path.relative_to(root).with_suffix("").as_posix()
        photo = path.parent / str(values["imagePath"]).replace("\\", "/")
        photo = photo if photo.is_file() else path.parent / photo.name
        if not photo.is_file():
            problems.append(f"{path}: its photo {values['imagePath']} is not there")
            continue
        photos[name], maps[name], drawn[name] = photo, (path,), (path, values)
        classes |= {str(s["label"]) for s in values["shapes"]}
    if not maps and not problems:
        return None

    def draw(name: str, space: LabelSpace) -> LabelArray:
        return _drawn(*drawn[name], space)

    layout = Layout("labelme, NAME.json beside NAME.*", photos, maps, classes=frozenset(classes), draw=draw)
    layout.splits, layout.problems = splits_of_names(maps), problems
    return layout


_LARGEST = 256 << 20
"""Bytes of a file: labelme may put the photo into it."""


def _shapes(path: Path, problems: list[str]) -> dict[str, Any] | None:
    """What counts of a labelme file; None for any other JSON."""
    try:
        values = read_json(path, object, limit=_LARGEST)
    except DataError as error:
        problems.append(str(error).rstrip("."))
        return None
    if not isinstance(values, dict) or not isinstance(values.get("shapes"), list) or not values.get("imagePath"):
        return None
    height, width = values.get("imageHeight"), values.get("imageWidth")
    if (
        not (isinstance(height, int) and isinstance(width, int))
        or min(height, width) < 1
        or height * width > MAX_PIXELS
    ):
        problems.append(f"{path}: imageHeight and imageWidth are {height} and {width}, so its shapes have no size")
        return None
    kept = ("label", "points", "shape_type", "mask")
    try:
        shapes = [{k: s.get(k) for k in kept} for s in values["shapes"]]
    except AttributeError:
        problems.append(f"{path}: a shape is no object")
        return None
    return {"imagePath": values["imagePath"], "size": (height, width), "shapes": shapes}


def _drawn(path: Path, values: dict[str, Any], space: LabelSpace) -> LabelArray:
    """The shapes in the order of the file, later ones on top. Raises LabelError, DataError."""
    labels = np.full(values["size"], empty_value(space), np.uint8)
    for shape in values["shapes"]:
        value = value_of(str(shape["label"]), space, path)
        try:
            points = [(float(x), float(y)) for x, y in shape["points"]]
            mask = labelme_shape(shape["shape_type"], points, shape["mask"], values["size"])
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}: the shape {shape['label']!r} cannot be drawn ({error}).") from error
        if mask is None:
            raise DataError(
                f"{path}: a shape of the kind {shape['shape_type']!r} is not known: save it as a polygon in labelme."
            )
        labels[mask] = value
    return labels


def find_exported(root: Path) -> Layout | None:
    """NAME/label.png with NAME/img.png; numbers are each picture's own, so names join them (NAME/label_names.txt)."""
    photos: dict[str, Path] = {}
    maps: dict[str, tuple[Path, ...]] = {}
    names: dict[str, list[str]] = {}
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and p.name[0] != "."):
        if (folder / "label.png").is_file() and (folder / "img.png").is_file() and (folder / LIST).is_file():
            photos[folder.name], maps[folder.name] = folder / "img.png", (folder / "label.png", folder / LIST)
            names[folder.name] = [n.strip() for n in (folder / LIST).read_text("utf-8").splitlines() if n.strip()]
    if not maps:
        return None

    def draw(name: str, space: LabelSpace) -> LabelArray:
        path = maps[name][0]
        own = space_of_place(names[name])
        table = np.array([value_of(n, space, maps[name][1]) for n in names[name]] + [IGNORE] * 256, np.uint8)[:256]
        try:
            return table[read_label_array(path, own)]
        except LabelError as error:
            raise LabelError(f"{path} has numbers that {LIST} beside it does not name: {error}") from error

    classes = frozenset(n for listed in names.values() for n in listed)
    return Layout(
        "labelme's exported folders, NAME/label.png with NAME/img.png", photos, maps, classes=classes, draw=draw
    )


def space_of_place(names: list[str]) -> LabelSpace:
    """The numbers of one exported picture: a name's place in its list."""
    return LabelSpace(LIST, tuple(LabelClass(n, voc_color(i)) for i, n in enumerate(names)))


JSON = Finder("NAME.json (labelme) beside its photo", find_json)
EXPORTED = Finder("NAME/label.png with NAME/img.png and NAME/label_names.txt (labelme's export)", find_exported)
