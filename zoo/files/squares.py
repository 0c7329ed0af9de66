"""A square frame in a photo, in numbers: what commands and manifests say. Nothing heavy is imported (`zoo.files.frames` cuts and pastes)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo.errors import UsageError

SIDES = (16, 65_536)
"""Pixels of a frame's side."""
FAR = 4
"""A frame may have this many times the longer side of its photo."""


@dataclass(frozen=True)
class Frame:
    """x, y: the upper left corner, in pixels of the upright photo, of the square before it is turned; side: its side; angle: degrees by
    which it is turned about its centre, clockwise as seen, so that a head leaning to the right of the picture has a positive one."""

    x: float
    y: float
    side: float
    angle: float = 0.0

    def __str__(self) -> str:
        """As an option takes it: X,Y,SIDE, and ANGLE where it is turned."""
        numbers = [self.x, self.y, self.side, *([self.angle] if self.angle else [])]
        return ",".join(f"{n:.1f}".removesuffix(".0") for n in numbers)

    @property
    def centre(self) -> tuple[float, float]:
        """Its middle (x, y)."""
        return self.x + self.side / 2, self.y + self.side / 2

    def corners(self) -> list[tuple[float, float]]:
        """The four corners (x, y) of the turned square, from the upper left one clockwise."""
        (a, b), (c, d) = self.axes()
        x, y = self.centre
        half = self.side / 2
        return [
            (x + half * (a * u + c * v), y + half * (b * u + d * v)) for u, v in ((-1, -1), (1, -1), (1, 1), (-1, 1))
        ]

    def axes(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Unit vectors along its upper and its left edge."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        return (cos, sin), (-sin, cos)


def read_frame(numbers: list[float]) -> Frame:
    """The frame of three or four numbers. Raises ValueError that says what they should be."""
    if len(numbers) not in (3, 4) or not all(math.isfinite(n) for n in numbers):
        raise ValueError("a frame is X,Y,SIDE or X,Y,SIDE,ANGLE in pixels and degrees")
    x, y, side, angle = *numbers, *([0.0] if len(numbers) == 3 else [])
    if not SIDES[0] <= side <= SIDES[1]:
        raise ValueError(f"the side of a frame is {SIDES[0]} to {SIDES[1]} pixels, got {side:g}")
    if max(abs(x), abs(y)) > SIDES[1] or not -180 <= angle <= 180:
        raise ValueError(f"a frame lies within {SIDES[1]} pixels and is turned by -180 to 180 degrees")
    return Frame(float(x), float(y), float(side), float(angle))


def check_inside(frame: Frame, size: tuple[int, int], name: str) -> None:
    """Raise UsageError where the middle of a frame lies outside a photo of (height, width), or the photo is far smaller than it."""
    x, y = frame.centre
    height, width = size
    if not (0 <= x <= width and 0 <= y <= height):
        raise UsageError(
            f"The middle ({x:g}, {y:g}) of the frame {frame} lies outside {name}, which has {width} x {height} pixels."
        )
    if frame.side > FAR * max(height, width):
        raise UsageError(f"The frame {frame} is more than {FAR} times as large as {name} ({width} x {height} pixels).")
