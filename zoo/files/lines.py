"""Brush strokes on label maps: lines of a thickness with round ends, not antialiased, pixel by pixel as OpenCV's `line` draws them.

Ends lie on pixels. A line of thickness 1 takes one pixel for each step along its longer side. A thicker one is a rectangle around it, half
of the thickness to both sides (an odd one rounded up), whose corners lie between pixels, and a disc at each end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[int, int]
"""(x, y) in pixels."""
ONE = 1 << 16
"""Corners are counted in this part of a pixel."""
HALF = ONE // 2


def draw_line(labels: NDArray[np.integer], start: Point, end: Point, thickness: int, value: int) -> None:
    """Write `value` along a line into [H, W], in place; what lies outside is left out. thickness: 1 or more pixels."""
    height, width = labels.shape
    if thickness <= 1:
        if (part := _clipped(start, end, (width - 1, height - 1))) is not None:
            _put(labels, _thin(*part), value)
        return
    if (part := _clipped(start, end, (width - 1, height - 1), thickness)) is None:
        return
    start, end = part
    if start != end:
        corners = _corners(start, end, thickness)
        for row, left, right in _filled(corners):
            _span(labels, row, left, right, value)
        for a, b in zip(corners[-1:] + corners[:-1], corners, strict=True):
            if (part := _clipped(a, b, (width * ONE - 1, height * ONE - 1))) is not None:
                _put(labels, _outline(*part), value)
    radius = (thickness + 1) // 2
    for x, y in (start, end):
        for dy in range(-radius, radius + 1):
            dx = int((radius * radius - dy * dy) ** 0.5)
            _span(labels, y + dy, x - dx, x + dx, value)


def draw_path(labels: NDArray[np.integer], points: Sequence[Point], thickness: int, value: int) -> None:
    """`draw_line` from each point to the next, in place; of one point alone a dot."""
    for start, end in zip(points, points[1:] or points, strict=False):
        draw_line(labels, start, end, thickness, value)


def _put(labels: NDArray[np.integer], points: Iterator[Point], value: int) -> None:
    height, width = labels.shape
    for x, y in points:
        if 0 <= x < width and 0 <= y < height:
            labels[y, x] = value


def _span(labels: NDArray[np.integer], row: int, left: int, right: int, value: int) -> None:
    """The pixels from left to right, both included."""
    if 0 <= row < labels.shape[0] and right >= 0:
        labels[row, max(left, 0) : right + 1] = value


def _clipped(start: Point, end: Point, limits: Point, margin: int = 0) -> tuple[Point, Point] | None:
    """The part of a line within 0 to the limits (x, y), both included, and a margin around; None where there is none. Where it is cut, it
    ends on a whole place rounded towards the old end, and so turns a little."""
    points = [list(start), list(end)]
    for axis in (1, 0):  # the rows first
        low, high = sorted(p[axis] for p in points)
        if high < -margin or low > limits[axis] + margin:
            return None
        for point in points:
            bound = min(max(point[axis], -margin), limits[axis] + margin)
            if bound != point[axis]:
                rise, run = (points[1][i] - points[0][i] for i in (1 - axis, axis))
                point[1 - axis] += int((bound - point[axis]) * rise / run)
                point[axis] = bound
    (a, b), (c, d) = points
    return (a, b), (c, d)


def _thin(start: Point, end: Point) -> Iterator[Point]:
    """From the left end on; half of a pixel goes to the side of that end."""
    if start[0] > end[0]:
        start, end = end, start
    (x, y), across, down = start, end[0] - start[0], end[1] - start[1]
    sign, down = (-1, -down) if down < 0 else (1, down)
    longer, shorter = max(across, down), min(across, down)
    for i in range(longer + 1):
        aside = -((longer - 2 * i * shorter) // (2 * longer)) if longer else 0
        yield (x + i, y + sign * aside) if across >= down else (x + aside, y + sign * i)


def _corners(start: Point, end: Point, thickness: int) -> list[Point]:
    """Of the rectangle, in parts of a pixel."""
    across, down = start[0] - end[0], end[1] - start[1]
    reach = (thickness * HALF + (thickness & 1) * HALF) / (across * across + down * down) ** 0.5
    x, y = round(down * reach), round(across * reach)
    (a, b), (c, d) = ((p[0] * ONE, p[1] * ONE) for p in (start, end))
    return [(a + x, b + y), (a - x, b - y), (c - x, d - y), (c + x, d + y)]


def _outline(start: Point, end: Point) -> Iterator[Point]:
    """A line between points in parts of a pixel: a pixel for each step along its longer side."""
    across, down = end[0] - start[0], end[1] - start[1]
    yield (end[0] + HALF) // ONE, (end[1] + HALF) // ONE
    if abs(across) > abs(down):
        if across < 0:
            start, end, down = end, start, -down
        step = _toward_zero(down * ONE, abs(across) | 1)
        for i in range((end[0] - start[0]) // ONE + 1):
            yield (start[0] + HALF) // ONE + i, (start[1] + HALF + i * step) // ONE
    else:
        if down < 0:
            start, end, across = end, start, -across
        step = _toward_zero(across * ONE, abs(down) | 1)
        for i in range((end[1] - start[1]) // ONE + 1):
            yield (start[0] + HALF + i * step) // ONE, (start[1] + HALF) // ONE + i


def _filled(corners: list[Point]) -> Iterator[tuple[int, int, int]]:
    """(row, left, right) of a convex polygon, the pixels that its border's rounding reaches included. Each side begins at its corner's own
    column, in the row that the corner rounds to."""
    count = len(corners)
    top = min(range(count), key=lambda i: corners[i][1])
    rows = [(y + HALF) // ONE for _, y in corners]
    sides = [_side(corners, rows, top, step) for step in (1, count - 1)]
    for row in range(rows[top], max(rows) + 1):
        places = sorted(side[row] for side in sides if row in side)
        if places:
            yield row, (places[0] + HALF) // ONE, (places[-1] + HALF) // ONE


def _side(corners: list[Point], rows: list[int], top: int, step: int) -> dict[int, int]:
    """The column, in parts of a pixel, of one side of the polygon in each row, from the top corner down."""
    at, found, count = top, {}, len(corners)
    last = max(rows)
    while rows[at] < last:
        following = (at + step) % count
        if (height := rows[following] - rows[at]) > 0:
            slope = _toward_zero(2 * (corners[following][0] - corners[at][0]) + height, 2 * height)
            found |= {rows[at] + i: corners[at][0] + i * slope for i in range(height + 1)}
        at = following
    return found


def _toward_zero(number: int, divisor: int) -> int:
    """Whole quotient, rounded toward 0."""
    quotient = abs(number) // divisor
    return -quotient if number < 0 else quotient
