"""Brush strokes as written on the command line."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zoo.errors import UsageError, shown
from zoo.labels import LabelSpace

SIZE = 6
"""Pixels where nothing is said."""
LARGEST = 4096
FARTHEST = 100_000
"""Places beyond so many pixels are no places in a picture."""
GRAMMAR = "CLASS[@SIZE]=X,Y[:X,Y…], for example hair@12=40,30:60,20"


@dataclass(frozen=True)
class Stroke:
    """value: of the class in its space; size: in pixels; points: (x, y)."""

    value: int
    size: int
    points: tuple[tuple[int, int], ...]


def parse_stroke(text: str, space: LabelSpace) -> Stroke:
    """Read one STROKE. Raises UsageError with the grammar, LabelError for a class that the space lacks."""
    head, equals, places = text.partition("=")
    name, at, size = head.partition("@")
    points = [_point(part) for part in places.split(":")]
    wide = int(size) if re.fullmatch(r"[0-9]{1,5}", size, re.ASCII) else 0
    if not equals or not name.strip() or None in points:
        raise UsageError(f"--stroke {shown(text)}: expected {GRAMMAR}.")
    if at and not 1 <= wide <= LARGEST:
        raise UsageError(f"--stroke {shown(text)}: the size is a whole number of 1 to {LARGEST} pixels.")
    return Stroke(space.index(name.strip()), wide if at else SIZE, tuple(p for p in points if p is not None))


def _point(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*(-?[0-9]{1,6})\s*,\s*(-?[0-9]{1,6})\s*", text, re.ASCII)
    if match is None:
        return None
    x, y = int(match[1]), int(match[2])
    return (x, y) if max(abs(x), abs(y)) <= FARTHEST else None
