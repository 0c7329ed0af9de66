"""Label Studio's brush export: one PNG a region, its task and label in the file's name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoo.data.files import LabelArray
from zoo.data.layouts.base import PHOTO_FOLDERS, Finder, Layout, pictures, sub
from zoo.data.layouts.named import empty_value, read_json, value_of
from zoo.errors import DataError
from zoo.files.decoding import open_image
from zoo.files.images import is_picture
from zoo.labels import LabelSpace

NAME = re.compile(
    r"task-(?P<task>\d+)-annotation-(?P<annotation>\d+)-by-[^-]*-(?P<tag>[^-]+)-(?P<label>.+)-(?P<count>\d+)"
)
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")


def find(root: Path) -> Layout | None:
    """task-N-annotation-N-by-WHO-TAG-LABEL-N.png, and the photos by the JSON export beside them, or as task-N.*."""
    regions: dict[str, dict[int, list[tuple[str, Path]]]] = {}
    for path in sorted(p for p in root.glob("task-*.png") if is_picture(p)):
        match = NAME.fullmatch(path.stem)
        if match is not None:
            by = regions.setdefault(match["task"], {})
            by.setdefault(int(match["annotation"]), []).append((match["label"], path))
    if not regions:
        return None
    chosen = {task: by[min(by)] for task, by in regions.items()}
    names = {f"task-{task}": task for task in chosen}
    photos = _photos(root, chosen)
    more = sum(len(by) > 1 for by in regions.values())

    def draw(name: str, space: LabelSpace) -> LabelArray:
        return _drawn(chosen[names[name]], space)

    return Layout(
        "Label Studio's brush PNGs, task-N-annotation-N-by-WHO-TAG-LABEL-N.png",
        photos,
        {name: tuple(p for _, p in chosen[task]) for name, task in names.items()},
        classes=frozenset(label for parts in chosen.values() for label, _ in parts),
        draw=draw,
        notes=[f"{more} tasks have several annotations: the first one counts"] if more else [],
    )


def _photos(root: Path, tasks: Iterable[str]) -> dict[str, Path]:
    """The photo of each task that a JSON export beside the PNGs names, else one called as the task is."""
    folder = sub(root, PHOTO_FOLDERS)
    there = {p.name: p for place in (root, folder) if place is not None for p in pictures(place).values()}
    there = {n: p for n, p in there.items() if NAME.fullmatch(p.stem) is None}
    listed: dict[str, str] = {}
    for path in sorted(root.glob("*.json")):
        values = read_json(path)
        for entry in values if isinstance(values, list) else ():
            if isinstance(entry, dict) and isinstance(entry.get("data"), dict):
                texts = [str(v).split("?")[-1] for v in entry["data"].values()]
                names = [Path(t.replace("\\", "/")).name for t in texts]
                listed[str(entry.get("id"))] = next((n for n in names if is_picture(Path(n))), "")
    stems = {Path(n).stem: p for n, p in there.items()}
    found = {}
    for task in tasks:
        name = listed.get(task, "")
        photo = there.get(name) or there.get(_UPLOAD.sub("", name)) or stems.get(f"task-{task}")
        if photo is not None:
            found[f"task-{task}"] = photo
    return found


def _drawn(parts: list[tuple[str, Path]], space: LabelSpace) -> LabelArray:
    """The regions by the order of their classes and files, later ones on top. Raises DataError, LabelError."""
    labels: LabelArray | None = None
    for value, path in sorted((_value(label, space, path), path) for label, path in parts):
        mask = np.asarray(open_image(path, exact=True).convert("L")) >= 128
        if labels is None:
            labels = np.full(mask.shape, empty_value(space), np.uint8)
        if labels.shape != mask.shape:
            raise DataError(f"{path} has another size than the other regions of its task.")
        labels[mask] = value
    assert labels is not None
    return labels


def _value(label: str, space: LabelSpace, path: Path) -> int:
    """The number of a label as it stands in a file's name, where the tool wrote - for / and \\\\."""
    written = {re.sub(r"[/\\]", "-", n).casefold(): v for v, n in enumerate(space.names)}
    value = written.get(label.casefold())
    return value_of(label, space, path) if value is None else value


LABEL_STUDIO = Finder("task-N-annotation-N-by-WHO-TAG-LABEL-N.png (Label Studio)", find)
