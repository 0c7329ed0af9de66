"""Scenes of maps: objects with boxes and masks, and how they lie to each other (docs/papers/sg2im.md, "Data")."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from zoo.plugin import SemanticMap
from zoo_plugins.sg2im.graphs import Relation

LEFT, RIGHT, ABOVE, BELOW, INSIDE, SURROUNDING = range(1, 7)
"""Numbers of COCO's predicates."""
WHOLE = (0.0, 0.0, 1.0, 1.0)
"""The picture's own box."""


@dataclass(frozen=True, eq=False)
class Scene:
    """The objects of one map. values: their label values; boxes: float32 [n, 4]; masks: float32 [n, M, M] of 0 and 1."""

    values: tuple[int, ...]
    boxes: Tensor
    masks: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: Sequence[int]) -> Scene:
        """These of its objects."""
        return Scene(tuple(self.values[i] for i in rows), self.boxes[list(rows)], self.masks[list(rows)])


def scenes_of(
    maps: SemanticMap,
    values: Sequence[int],
    side: int,
    *,
    objects: Literal["instances", "classes"] = "classes",
    min_size: float = 0.0,
) -> list[Scene]:
    """The objects of each map, by label value and then by instance number.

    values: the classes that make objects. side: of a mask (0: 1). objects: an object for each instance where the maps number them, or for
    each class. min_size: share of the picture that a box must exceed. Things of a data set that numbers some classes only are told
    apart there; in the others all of a class has one number.
    """
    numbers = maps.instances if objects == "instances" else None
    allowed = set(values)
    found = []
    for row, labels in enumerate(maps.labels.cpu()):
        kept = [v for v in labels.unique().tolist() if v in allowed]
        regions: list[tuple[int, Tensor]] = []
        for value in kept:
            region = labels == value
            if numbers is None:
                regions.append((value, region))
            else:
                of_row = numbers[row].cpu()
                regions += [(value, region & (of_row == n)) for n in of_row[region].unique().tolist()]
        found.append(_scene(regions, max(side, 1), min_size))
    return found


def _scene(regions: Sequence[tuple[int, Tensor]], side: int, min_size: float) -> Scene:
    values, boxes, masks = [], [], []
    for value, region in regions:
        rows, columns = region.any(1).nonzero()[:, 0], region.any(0).nonzero()[:, 0]
        top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
        height, width = region.shape
        if (bottom - top) * (right - left) <= min_size * height * width:
            continue
        values.append(value)
        boxes.append((left / width, top / height, right / width, bottom / height))
        masks.append(small_mask(region[top:bottom, left:right], side))
    return Scene(
        tuple(values),
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.stack(masks) if masks else torch.zeros(0, side, side),
    )


def small_mask(region: Tensor, side: int) -> Tensor:
    """A region cut to its box, bool [h, w], as a mask float32 [side, side] of 0 and 1: bilinear at the cells' centres without smoothing
    before (scikit-image 0.14's), zero outside, and 1 above 128 of 255."""
    rows, columns = (_samples(n, side) for n in region.shape)
    return ((rows @ region.double() @ columns.T) * 255 > 128).float()


def _samples(cells: int, side: int) -> Tensor:
    """Bilinear weights [side, cells] of `side` centres over so many cells."""
    places = (torch.arange(side, dtype=torch.float64) + 0.5) * cells / side - 0.5
    distance = (places[:, None] - torch.arange(cells, dtype=torch.float64)).abs()
    return (1 - distance).clamp_min(0)


def centres(scene: Scene) -> Tensor:
    """The mean place of each object's mask [n, 2] (x, y), its box's centre where the mask is empty; float64."""
    side = scene.masks.shape[-1]
    found = []
    for box, mask in zip(scene.boxes, scene.masks, strict=True):
        x0, y0, x1, y1 = box.tolist()
        if not bool(mask.any()):
            found.append(((x0 + x1) / 2, (y0 + y1) / 2))
            continue
        rows, columns = mask.nonzero().unbind(1)
        across, down = torch.linspace(x0, x1, side), torch.linspace(y0, y1, side)
        found.append((float(across[columns].mean()), float(down[rows].mean())))
    return torch.tensor(found, dtype=torch.float64).view(-1, 2)


def predicate(subject: Sequence[float], other: Sequence[float], offset: Sequence[float]) -> int:
    """How the subject lies to the other: boxes (x0, y0, x1, y1), and the subject's centre minus the other's (y grows downwards)."""
    if _within(other, subject):
        return SURROUNDING
    if _within(subject, other):
        return INSIDE
    angle = math.atan2(offset[1], offset[0])
    if angle >= 3 * math.pi / 4 or angle <= -3 * math.pi / 4:
        return LEFT
    if angle < -math.pi / 4:
        return ABOVE
    return RIGHT if angle < math.pi / 4 else BELOW


def _within(inner: Sequence[float], outer: Sequence[float]) -> bool:
    """Strictly, on all four sides."""
    return outer[0] < inner[0] and outer[1] < inner[1] and outer[2] > inner[2] and outer[3] > inner[3]


def relations(scene: Scene, others: Sequence[float], sides: Sequence[float]) -> list[Relation]:
    """One relation for each object, with a partner among the others; none where there is only one object.

    others: uniform numbers in [0, 1) that choose the partners; sides: such that decide, above 1/2, that the object is the subject.
    """
    if len(scene) < 2:
        return []
    boxes, middle, found = scene.boxes.tolist(), centres(scene), []
    for place, (share, side) in enumerate(zip(others, sides, strict=True)):
        partner = min(int(share * (len(scene) - 1)), len(scene) - 2)
        partner += partner >= place
        subject, other = (place, partner) if side > 0.5 else (partner, place)
        offset = (middle[subject] - middle[other]).tolist()
        found.append((subject, predicate(boxes[subject], boxes[other], offset), other))
    return found
