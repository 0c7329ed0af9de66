"""Scenes of COCO's annotation files, object by object as the authors' loader gives them (docs/papers/sg2im.md, "Data").

Training takes scenes from maps, in which every pixel is of one object; the annotations of COCO overlap. These functions read them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from zoo.plugin import DataError
from zoo_plugins.sg2im.scenes import Scene, small_mask

OTHER = "other"
"""COCO-Stuff's class of what no class fits."""


@dataclass(frozen=True)
class Admission:
    """Which objects and images count; the authors' defaults. whitelists: class names, None for all."""

    min_object_size: float = 0.02
    min_objects: int = 3
    max_objects: int = 8
    include_other: bool = False
    stuff_only: bool = True
    instance_whitelist: tuple[str, ...] | None = None
    stuff_whitelist: tuple[str, ...] | None = None


def vocabulary(*files: Mapping[str, Any]) -> list[str]:
    """Names by category number, "__image__" first and "NONE" where no category has the number."""
    names = {c["id"]: c["name"] for file in files for c in file["categories"]}
    return ["__image__", *(names.get(i, "NONE") for i in range(1, max(names) + 1))]


def admitted(
    instances: Mapping[str, Any], stuff: Mapping[str, Any] | None, rules: Admission
) -> dict[int, list[dict[str, Any]]]:
    """The images that count, in the order of the file of instances, each with its objects: things in the file's order, then stuff."""
    sizes = {image["id"]: (image["width"], image["height"]) for image in instances["images"]}
    found: dict[int, list[dict[str, Any]]] = {image: [] for image in sizes}
    for file, allowed in ((instances, rules.instance_whitelist), (stuff, rules.stuff_whitelist)):
        if file is None:
            continue
        names = {c["id"]: c["name"] for c in file["categories"]}
        for annotation in file["annotations"]:
            name, image = names[annotation["category_id"]], annotation["image_id"]
            _, _, width, height = annotation["bbox"]
            share = width * height / (sizes[image][0] * sizes[image][1])
            other = name == OTHER and not rules.include_other
            if share > rules.min_object_size and not other and (allowed is None or name in allowed):
                found[image].append(annotation)
    kept = set(sizes) if stuff is None or not rules.stuff_only else {a["image_id"] for a in stuff["annotations"]}
    return {
        image: objects
        for image, objects in found.items()
        if image in kept and rules.min_objects <= len(objects) <= rules.max_objects
    }


def scene(annotations: Sequence[Mapping[str, Any]], size: tuple[int, int], side: int) -> Scene:
    """The scene of an image of (width, height) `size`; values are category numbers. Raises DataError for a mask that is none."""
    boxes, masks = [], []
    for annotation in annotations:
        x, y, w, h = annotation["bbox"]
        boxes.append((x / size[0], y / size[1], (x + w) / size[0], (y + h) / size[1]))
        region = torch.from_numpy(decode(annotation["segmentation"]))
        left, top = round(x), round(y)
        right, bottom = max(left + 1, round(x + w)), max(top + 1, round(y + h))
        masks.append(small_mask(region[top:bottom, left:right], side))
    values = tuple(int(a["category_id"]) for a in annotations)
    return Scene(
        values,
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.stack(masks) if masks else torch.zeros(0, side, side),
    )


def decode(segmentation: Any) -> np.ndarray:
    """COCO's run lengths (a text, or numbers) as bool [height, width]. Raises DataError for anything else (polygons)."""
    if not isinstance(segmentation, Mapping):
        raise DataError(
            "An outline of COCO is given as polygons: run lengths are needed (pycocotools' annToRLE makes them)."
        )
    height, width = segmentation["size"]
    counts = segmentation["counts"]
    runs = list(counts) if not isinstance(counts, str | bytes) else list(_run_lengths(counts))
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    if len(values) != height * width:
        raise DataError(f"An outline of COCO has run lengths for {len(values)} pixels of {height * width}.")
    return values.reshape(width, height).T


def _run_lengths(text: str | bytes) -> Iterable[int]:
    """Numbers of five bits per letter, the lowest first and signed; from the third on they are differences to the last but one."""
    letters = text.encode() if isinstance(text, str) else text
    runs: list[int] = []
    place = 0
    while place < len(letters):
        value = shift = 0
        more = True
        while more:
            bits = letters[place] - 48
            value |= (bits & 31) << shift
            more, shift, place = bool(bits & 32), shift + 5, place + 1
            if not more and bits & 16:
                value |= -1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs


__all__ = ["Admission", "admitted", "decode", "scene", "vocabulary"]
