"""Areas of a map as polygons along the edges of their pixels: whoever fills one by pixel centres gets the very pixels back."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Loop: TypeAlias = NDArray[np.int32]
"""int32 [N, 2], corners (x, y) in pixels, closed from the last to the first."""
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""Right, down, left, up: outer edges run clockwise, with the area on their right; those of holes the other way round."""


def polygons(mask: NDArray[np.bool_]) -> list[Loop]:
    """A polygon for each piece of a mask [H, W] (pixels that touch with their sides), the top one first; none is shorter than 4 corners.

    A piece with holes is one polygon: each hole hangs on a line that is walked to and fro and has no area.
    """
    loops = _loops(mask)
    areas = [_area(loop) for loop in loops]
    outer = [row for row, area in enumerate(areas) if area > 0]
    found = {row: loops[row] for row in outer}
    for row in (row for row, area in enumerate(areas) if area < 0):
        inside = [o for o in outer if areas[o] > -areas[row] and _holds(loops[o], _beside(loops[row]))]
        owner = min(inside, key=lambda o: areas[o])
        found[owner] = _hung(found[owner], loops[row])
    return list(found.values())


def _loops(mask: NDArray[np.bool_]) -> list[Loop]:
    """All edges of a mask as closed loops of corners."""
    padded = np.pad(mask, 1)
    inner, height, width = padded[1:-1, 1:-1], *mask.shape
    starts: list[set[tuple[int, int]]] = []
    for (dx, dy), (x, y) in zip(_STEPS, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        # the neighbour on the left of the way: above a pixel's upper edge, right of its right one, …
        beside = padded[1 - dx : height + 1 - dx, 1 + dy : width + 1 + dy]
        rows, columns = np.nonzero(inner & ~beside)
        starts.append(set(zip((columns + x).tolist(), (rows + y).tolist(), strict=True)))
    loops = []
    # every loop has an upper edge of some pixel; in order from the top
    for first in sorted(starts[0], key=lambda c: (c[1], c[0])):
        if first in starts[0]:
            loops.append(_walk(first, starts))
    return loops


def _walk(first: tuple[int, int], starts: list[set[tuple[int, int]]]) -> Loop:
    """The loop that goes on to the right from a corner; its edges are taken out of `starts`."""
    corners, corner, way = [], first, 0
    while corner in starts[way]:
        starts[way].remove(corner)
        corner = (corner[0] + _STEPS[way][0], corner[1] + _STEPS[way][1])
        # right first: where two pixels meet at a corner only, each keeps its own loop
        turn = next((w for w in ((way + 1) % 4, way, (way + 3) % 4) if corner in starts[w]), -1)
        if turn != way:
            corners.append(corner)
        if turn < 0:
            break
        way = turn
    return np.array(corners, np.int32)


def _area(loop: Loop) -> float:
    """In pixels; below 0 for holes."""
    x, y = loop[:, 0].astype(np.int64), loop[:, 1].astype(np.int64)
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum()) / 2


def _beside(loop: Loop) -> tuple[float, float]:
    """The middle of a pixel of the area beside the first edge of a hole."""
    (x, y), (following_x, following_y) = loop[0].tolist(), loop[1].tolist()
    dx, dy = np.sign(following_x - x), np.sign(following_y - y)
    return x + dx / 2 - dy / 2, y + dy / 2 + dx / 2


def _holds(loop: Loop, point: tuple[float, float]) -> bool:
    """Whether a point, on no edge, lies in a loop: an odd number of upright edges to its right."""
    x, y = loop[:, 0], loop[:, 1]
    other = np.roll(y, -1)
    upright = (np.roll(x, -1) == x) & (x > point[0])
    return bool((upright & ((y < point[1]) != (other < point[1]))).sum() % 2)


def _hung(loop: Loop, hole: Loop) -> Loop:
    """A loop and a hole in it as one, joined where their corners are nearest."""
    apart = ((loop[:, None].astype(np.int64) - hole[None]) ** 2).sum(-1)
    at, begin = np.unravel_index(int(apart.argmin()), apart.shape)
    turned = np.roll(hole, -int(begin), axis=0)
    return np.concatenate([loop[: at + 1], turned, turned[:1], loop[at:]])
