"""CVAT's "CVAT for images 1.1": an XML of polygons and masks, photos in `images`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from zoo.data.files import LabelArray
from zoo.data.layouts.base import SPLITS, Finder, Layout, pictures, sub
from zoo.data.layouts.named import empty_value, space_of, value_of
from zoo.data.layouts.shapes import filled, from_runs
from zoo.data.splits import ordered
from zoo.errors import DataError
from zoo.files.decoding import MAX_PIXELS
from zoo.labels import Color, LabelSpace

DRAWN = ("polygon", "mask")
OTHERS = ("box", "polyline", "points", "ellipse", "cuboid", "skeleton")


@dataclass
class Image:
    """One picture's size (height, width) and its regions as their attributes, each with its kind."""

    name: str
    subset: str
    size: tuple[int, int]
    regions: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@dataclass
class File:
    """What an XML file says: labels with their colours, in order, and its pictures."""

    labels: dict[str, Color | None] = field(default_factory=dict)
    images: list[Image] = field(default_factory=list)
    left_out: int = 0


def find(root: Path) -> Layout | None:
    """*.xml with <annotations> and <image> in the folder; photos in `images`, or beside it."""
    photos: dict[str, Path] = {}
    maps: dict[str, tuple[Path, ...]] = {}
    images: dict[str, Image] = {}
    splits: dict[str, list[str]] = {}
    labels: dict[str, Color | None] = {}
    problems: list[str] = []
    left_out = 0
    files = {p: parse(p) for p in sorted(root.glob("*.xml")) if _annotations(p)}
    if not any(f.images for f in files.values()):
        return None
    folder = sub(root, ("images", "image")) or root
    there = {p.relative_to(folder).as_posix(): p for p in pictures(folder).values()}
    last = {Path(n).name: p for n, p in there.items()}
    for path, file in files.items():
        labels = (
            {**file.labels, **labels}
            if not labels
            else {**labels, **{n: c for n, c in file.labels.items() if n not in labels}}
        )
        left_out += file.left_out
        for image in file.images:
            name = Path(image.name).with_suffix("").as_posix()
            photo = (
                there.get(image.name) or there.get(f"{image.subset}/{image.name}") or last.get(Path(image.name).name)
            )
            if photo is None:
                problems.append(f"{path} names {image.name}, which is not in {folder}")
                continue
            split = image.subset or (path.stem if path.stem.lower() in SPLITS else "")
            photos[name], maps[name], images[name] = photo, (path,), image
            splits.setdefault(SPLITS.get(split.lower(), split), []).append(name)

    def draw(name: str, space: LabelSpace) -> LabelArray:
        return _drawn(maps[name][0], images[name], space)

    colors = {n: c for n, c in labels.items() if c is not None}
    layout = Layout(
        "CVAT for images, *.xml with images/NAME.*", photos, maps, space=space_of(labels, "labels of CVAT", colors)
    )
    layout.draw, layout.problems = draw, problems
    layout.splits = {} if "" in splits else {s: tuple(splits[s]) for s in ordered(splits)}
    layout.notes = (
        [f"{left_out} boxes, lines and points are left out: only polygons and masks are drawn"] if left_out else []
    )
    return layout


def _annotations(path: Path) -> bool:
    with path.open("rb") as file:
        return b"<annotations" in file.read(4096)


def parse(path: Path) -> File:
    """Read without document types and entities. Raises DataError for a file that is no XML, or has them."""
    found, stack, texts = File(), [], []

    def start(tag: str, attributes: dict[str, str]) -> None:
        stack.append(tag)
        texts.clear()
        if tag == "image":
            size = (int(attributes["height"]), int(attributes["width"]))
            if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
                raise ValueError(f"a picture of {size[1]} x {size[0]}")
            found.images.append(Image(attributes["name"], attributes.get("subset", ""), size))
        elif tag in DRAWN and found.images:
            found.images[-1].regions.append((tag, attributes))
        elif tag in OTHERS and found.images:
            found.left_out += 1

    def end(tag: str) -> None:
        stack.pop()
        text = "".join(texts).strip()
        if tag == "name" and stack[-1:] == ["label"] and text:
            found.labels[text] = None
        elif tag == "color" and stack[-1:] == ["label"] and found.labels and len(text) == 7:
            found.labels[next(reversed(found.labels))] = (int(text[1:3], 16), int(text[3:5], 16), int(text[5:], 16))
        texts.clear()

    def doctype(*_: object) -> None:
        raise ValueError("it has a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = texts.append, doctype
    try:
        with path.open("rb") as file:
            parser.ParseFile(file)
    except (OSError, expat.ExpatError, KeyError, ValueError) as error:
        raise DataError(f"{path} is no XML of CVAT's form ({error}).") from error
    return found


def _drawn(path: Path, image: Image, space: LabelSpace) -> LabelArray:
    """Regions by their z_order, later ones on top. Raises LabelError, DataError."""
    labels = np.full(image.size, empty_value(space), np.uint8)
    try:
        for kind, values in sorted(image.regions, key=lambda r: int(r[1].get("z_order", 0))):
            if kind == "polygon":
                pairs = [pair.split(",") for pair in values["points"].split(";")]
                mask = filled([(float(x), float(y)) for x, y in pairs], image.size)
            else:
                box = (int(values["left"]), int(values["top"]), int(values["width"]), int(values["height"]))
                mask = from_runs([int(n) for n in values["rle"].split(",")], box, image.size)
            labels[mask] = value_of(values["label"], space, path)
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{path}: a region of {image.name} cannot be drawn ({type(error).__name__}: {error})."
        ) from error
    return labels


CVAT = Finder("*.xml with images/NAME.* (CVAT for images)", find)
