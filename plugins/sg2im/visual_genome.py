"""Scene graphs of Visual Genome: from its annotations to arrays, and from these to scenes (docs/papers/sg2im.md, "Data").

Visual Genome has boxes and relations but no maps, so the zoo does not train on it. Random choices go through the `choose` that is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from zoo_plugins.sg2im.graphs import Relation

Choose = Callable[[Sequence[int], int], Sequence[int]]
"""So many of these, without repetition."""


@dataclass(frozen=True)
class Thresholds:
    """What counts; the authors' defaults. Sizes are pixels, all limits count themselves in."""

    min_image_size: int = 200
    min_object_instances: int = 2000
    min_object_size: int = 32
    min_objects_per_image: int = 3
    max_objects_per_image: int = 30
    min_relationship_instances: int = 500
    min_relationships_per_image: int = 1
    max_relationships_per_image: int = 30


@dataclass(frozen=True)
class Cleaned:
    """splits: image numbers; objects, predicates: names by number, "__image__" and "__in_image__" first; images: for each split those
    that count."""

    splits: dict[str, list[int]]
    objects: list[str]
    predicates: list[str]
    images: dict[str, list[Annotated]] = field(default_factory=dict)


@dataclass(frozen=True)
class Annotated:
    """An image: objects as (number in the file, class, (x, y, width, height) in pixels); relations as (number in the file, subject,
    predicate, object), the subject and object by their place."""

    image: int
    objects: list[tuple[int, int, tuple[int, int, int, int]]]
    relations: list[tuple[int, int, int, int]]


class VGScene(NamedTuple):
    """classes: of the objects; boxes: float32 [n, 4]; relations, between their places."""

    classes: list[int]
    boxes: Tensor
    relations: list[Relation]


def aliases(lines: Iterable[str]) -> dict[str, str]:
    """Every name of a line (names with commas between) -> the line's first."""
    rows = [[name.strip() for name in line.split(",")] for line in lines]
    return {name: row[0] for row in rows for name in row}


def clean(
    images: Iterable[Mapping[str, Any]], objects: Sequence[Mapping[str, Any]], relations: Sequence[Mapping[str, Any]],
    splits: Mapping[str, Sequence[int]], object_aliases: Mapping[str, str], predicate_aliases: Mapping[str, str],
    limits: Thresholds,
) -> Cleaned:  # fmt: skip
    """The authors' preparation of the annotation files.

    Kept quirk: predicates are brought to lower case and to their alias in training images alone, so that others with capitals, spaces or
    an alias are lost.
    """
    small = {i["image_id"] for i in images if min(i["width"], i["height"]) < limits.min_image_size}
    kept = {name: [i for i in numbers if i not in small] for name, numbers in splits.items()}
    training = set(kept.get("train", ()))
    named = {
        image["image_id"]: [(o, [object_aliases.get(n, n) for n in o["names"]]) for o in image["objects"]]
        for image in objects
    }
    counts = Counter(
        n for image in objects if image["image_id"] in training for _, names in named[image["image_id"]] for n in names
    )
    classes = ["__image__", *(n for n, c in counts.most_common() if c >= limits.min_object_instances)]
    large = {
        image: {
            o["object_id"]: (_known(names, classes), o)
            for o, names in row
            if min(o["w"], o["h"]) >= limits.min_object_size
        }
        for image, row in named.items()
    }
    large = {image: {k: v for k, v in row.items() if v[0] is not None} for image, row in large.items()}
    read = {r["image_id"]: _relations(r, r["image_id"] in training, predicate_aliases) for r in relations}
    everywhere = {k for row in large.values() for k in row}
    uses = Counter(
        p for r in relations if r["image_id"] in training for _, s, p, o in read[r["image_id"]] if {s, o} <= everywhere
    )
    predicates = ["__in_image__", *(p for p, c in uses.items() if c >= limits.min_relationship_instances)]
    found = Cleaned(kept, classes, predicates)
    for name, numbers in kept.items():
        rows = (_annotated(i, large.get(i, {}), read.get(i, ()), predicates) for i in numbers)
        found.images[name] = [
            row
            for row in rows
            if limits.min_objects_per_image <= len(row.objects) <= limits.max_objects_per_image
            and limits.min_relationships_per_image <= len(row.relations) <= limits.max_relationships_per_image
        ]
    return found


def _known(names: Sequence[str], classes: Collection[str]) -> str | None:
    return next((n for n in names if n in classes), None)


def _relations(image: Mapping[str, Any], training: bool, same: Mapping[str, str]) -> list[tuple[int, Any, str, Any]]:
    found = []
    for relation in image["relationships"]:
        text = relation["predicate"]
        if training:
            text = text.lower().strip()
            text = same.get(text, text)
        found.append(
            (relation["relationship_id"], relation["subject"]["object_id"], text, relation["object"]["object_id"])
        )
    return found


def _annotated(
    image: int, objects: Mapping[Any, Any], relations: Iterable[Any], predicates: Sequence[str]
) -> Annotated:
    places = {key: place for place, key in enumerate(objects)}
    related = [
        (number, places[s], predicates.index(p), places[o])
        for number, s, p, o in relations
        if p in predicates and s in places and o in places
    ]
    return Annotated(
        image, [(key, name, (o["x"], o["y"], o["w"], o["h"])) for key, (name, o) in objects.items()], related
    )


def scene(
    classes: Sequence[int], boxes: Sequence[Sequence[int]], relations: Sequence[Relation], size: tuple[int, int],
    choose: Choose, *, max_objects: int = 10, orphans: bool = True, related: bool = True,
) -> VGScene:  # fmt: skip
    """The objects of an image of (width, height) `size` that a step sees: those in relations first, then others up to `max_objects` - 1.

    Kept quirk: of more than `max_objects` - 1 objects in relations `max_objects` are chosen, one too many. boxes: x, y, width, height in
    pixels, not clipped. related: False leaves the relations out, after the choice.
    """
    inside = {place for s, _, o in relations for place in (s, o)}
    chosen: list[int] = sorted(inside)
    if len(chosen) > max_objects - 1:
        chosen = list(choose(chosen, max_objects))
    if len(chosen) < max_objects - 1 and orphans:
        alone = [place for place in range(len(classes)) if place not in inside]
        chosen += choose(alone, min(max_objects - 1 - len(chosen), len(alone)))
    places = {place: i for i, place in enumerate(chosen)}
    width, height = size
    corners = [
        (x / width, y / height, (x + w) / width, (y + h) / height) for x, y, w, h in (boxes[place] for place in chosen)
    ]
    kept = [(places[s], p, places[o]) for s, p, o in relations if s in places and o in places] if related else []
    return VGScene([classes[p] for p in chosen], torch.tensor(corners, dtype=torch.float32).view(-1, 4), kept)
