"""Where the parts of a label map lie, number by number. No torch in here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from zoo.files.tally import strips

SPECKS = 4
"""Pixels below which a part says nothing about its place."""
SIDE = 512
"""Maps whose shorter side is twice this or more are looked at on a coarser grid."""


@dataclass(frozen=True)
class Part:
    """Where the pixels of one number lie, in pixels: their mean, their box, their count."""

    y: float
    x: float
    top: int
    bottom: int
    left: int
    right: int
    area: int
    edge: float
    """Share of the picture's upper border (top row, upper halves of the sides) that it takes."""


Parts = Mapping[str, Part]
"""Parts by the names of their classes."""
Rule = tuple[str, frozenset[str], Callable[[Parts], bool]]
"""What would be odd about the map if it does not hold, the parts that it needs, and whether it holds."""


def parts_of(values: np.ndarray) -> dict[int, Part]:
    """The parts of a map by number; specks are left out, but for 255. values: integers [H, W]; {} if one is not in 0..255."""
    step = max(1, min(values.shape) // SIDE)
    values = values[::step, ::step]
    if values.size == 0 or values.min() < 0 or values.max() > 255:
        return {}
    height, width = values.shape
    count = int(values.max()) + 1
    rows, columns = np.zeros((count, height), np.int64), np.zeros((count, width), np.int64)
    for strip in strips(values.shape):
        part = values[strip].astype(np.int64)
        tall = len(part)
        down = np.bincount((part * tall + np.arange(tall)[:, None]).ravel(), minlength=count * tall)
        across = np.bincount((part * width + np.arange(width)[None]).ravel(), minlength=count * width)
        rows[:, strip] = down.reshape(count, tall)
        columns += across.reshape(count, width)
    border = np.concatenate([values[0], values[: height // 2, 0], values[: height // 2, -1]])
    edges = np.bincount(border, minlength=count) / len(border)
    areas = rows.sum(1)
    found = {}
    for value in np.flatnonzero(areas).tolist():
        area = int(areas[value])
        if area >= SPECKS or value == 255:
            down, across = np.flatnonzero(rows[value]), np.flatnonzero(columns[value])
            found[value] = Part(
                float(rows[value] @ np.arange(height) / area),
                float(columns[value] @ np.arange(width) / area),
                int(down[0]),
                int(down[-1]),
                int(across[0]),
                int(across[-1]),
                area,
                float(edges[value]),
            )
    return found


def above(upper: str, lower: str) -> Rule:
    """The rule that one part lies above another, by their means."""
    return f"{lower} would lie above {upper}", frozenset((upper, lower)), lambda p: p[upper].y < p[lower].y


def smaller(part: str, than: str, share: float = 1.0) -> Rule:
    """The rule that a part takes less than a share of another's pixels."""
    return f"{part} would be as large as {than}", frozenset((part, than)), lambda p: p[part].area < share * p[than].area


def level(left: str, right: str) -> Rule:
    """The rule that two parts lie beside each other."""
    return (
        f"{left} and {right} would lie above each other",
        frozenset((left, right)),
        lambda p: abs(p[left].y - p[right].y) < abs(p[left].x - p[right].x),
    )


def background_above(part: str) -> Rule:
    """The rule that the background takes more of the upper border than a part."""
    return (
        "background would not lie at the upper border",
        frozenset(("background", part)),
        lambda p: p["background"].edge > p[part].edge,
    )
