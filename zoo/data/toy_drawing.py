"""Draws one cartoon face: every shape goes into the photo and, with its class number, into the map.

Coordinates: the picture is the unit square; (u, v) are relative to the head, (±1, ±1) being its half axes. The person's
left is the picture's right, as in CelebAMask-HQ.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

from zoo.data.files import LabelArray, PhotoArray
from zoo.labels import LabelSpace
from zoo.rng import Rng

T = TypeVar("T")
RGB = tuple[int, int, int]
Points = Sequence[tuple[float, float]]

SKINS: tuple[RGB, ...] = (
    (255, 224, 196),
    (241, 194, 150),
    (224, 172, 120),
    (198, 134, 86),
    (141, 85, 50),
    (92, 58, 38),
)
HAIRS: tuple[RGB, ...] = (
    (28, 22, 20),
    (60, 38, 24),
    (106, 70, 38),
    (180, 130, 60),
    (228, 200, 120),
    (150, 60, 26),
    (150, 150, 155),
)
IRISES: tuple[RGB, ...] = ((70, 45, 25), (60, 100, 150), (70, 120, 70), (40, 30, 25))
HAIR_STYLES = ("bald", "short", "short", "fringe", "bob", "long", "long", "curly")
OVERSAMPLING = 3


class Dice:
    """The random numbers of one face, taken one after the other from its own stream."""

    def __init__(self, seed: int, number: int) -> None:
        self._values = iter(Rng(seed, [number]).uniform("toy-face", shape=(96,))[0].tolist())

    def between(self, low: float, high: float) -> float:
        """Uniform in (low, high)."""
        return low + (high - low) * next(self._values)

    def chance(self, share: float) -> bool:
        """True in this share of the faces."""
        return next(self._values) < share

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[int(next(self._values) * len(options))]

    def color(self, saturation: tuple[float, float], value: tuple[float, float]) -> RGB:
        """Any hue."""
        rgb = colorsys.hsv_to_rgb(next(self._values), self.between(*saturation), self.between(*value))
        return _rgb(255 * c for c in rgb)


class Pen:
    """Two canvases, oversampled, and the head's place on them."""

    def __init__(self, size: tuple[int, int], space: LabelSpace, dice: Dice) -> None:
        self.size, self.space = size, space
        self.width, self.height = OVERSAMPLING * size[1], OVERSAMPLING * size[0]
        self.photo = Image.new("RGB", (self.width, self.height))
        self.map = Image.new("L", (self.width, self.height), space.background_index or 0)
        self._on_photo, self._on_map = ImageDraw.Draw(self.photo), ImageDraw.Draw(self.map)
        self.center = (0.5 + dice.between(-0.04, 0.04), 0.5 + dice.between(-0.04, 0.03))
        scale = dice.between(0.9, 1.12)
        self.axes = (scale * dice.between(0.21, 0.25), scale * dice.between(0.29, 0.33))
        self.tilt = math.radians(dice.between(-12, 12))
        self.turn = dice.between(-1, 1)
        """-1: the head looks to the picture's left, 1: to its right; moves what lies in the face, hides the far ear."""

    def at(self, u: float, v: float, *, depth: float = 0.0) -> tuple[float, float]:
        """Unit coordinates of a point of the head; depth 1 lies on the nose and moves most when the head turns."""
        x = (u + 0.2 * depth * self.turn) * self.axes[0]
        y = v * self.axes[1]
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return self.center[0] + cos * x - sin * y, self.center[1] + sin * x + cos * y

    def polygon(self, points: Points, color: RGB, name: str | None) -> None:
        """A filled shape of unit coordinates; name None: it changes the photo only."""
        pixels = [(x * self.width, y * self.height) for x, y in points]
        self._on_photo.polygon(pixels, fill=color)
        if name is not None:
            self._on_map.polygon(pixels, fill=self.space.index(name))

    def oval(
        self,
        u: float,
        v: float,
        ru: float,
        rv: float,
        color: RGB,
        name: str | None,
        *,
        depth: float = 0.0,
        power: float = 2.0,
        lean: float = 0.0,
    ) -> None:
        """An ellipse of the head's coordinates; power > 2 makes it squarer, lean turns it (radians)."""
        points = []
        for step in range(56):
            angle = 2 * math.pi * step / 56
            du = ru * _signed_power(math.cos(angle), 2 / power)
            dv = rv * _signed_power(math.sin(angle), 2 / power)
            points.append(
                self.at(
                    u + du * math.cos(lean) - dv * math.sin(lean),
                    v + du * math.sin(lean) + dv * math.cos(lean),
                    depth=depth,
                )
            )
        self.polygon(points, color, name)

    def shape(self, points: Points, color: RGB, name: str | None, *, depth: float = 0.0) -> None:
        """A polygon of the head's coordinates."""
        self.polygon([self.at(u, v, depth=depth) for u, v in points], color, name)

    def finish(self, light: float) -> tuple[PhotoArray, LabelArray]:
        """Photo (averaged, with light falling from one side) and map (sampled) at the final size."""
        size = (self.size[1], self.size[0])
        photo = np.asarray(self.photo.resize(size, Image.Resampling.BOX), dtype=np.float32)
        ramp = 1 + light * np.linspace(-1, 1, size[0], dtype=np.float32)[None, :, None]
        labels = np.array(self.map.resize(size, Image.Resampling.NEAREST), dtype=np.uint8)
        return np.clip(np.rint(photo * ramp), 0, 255).astype(np.uint8), labels


def draw_face(seed: int, number: int, size: tuple[int, int], space: LabelSpace) -> tuple[PhotoArray, LabelArray]:
    """Photo uint8 [H, W, 3] and labels uint8 [H, W] of face `number`, painted from the back to the front."""
    dice = Dice(seed, number)
    pen = Pen(size, space, dice)
    skin = _mix(*_neighbours(SKINS, dice), dice.between(0, 1))
    hair = _mix(dice.pick(HAIRS), dice.pick(HAIRS), dice.between(0, 0.4))
    style = dice.pick(HAIR_STYLES)
    hat = dice.chance(0.12)
    _background(pen, dice)
    _hair_behind(pen, dice, hair, style)
    _body(pen, dice, skin)
    _ears(pen, dice, skin, covered=style in ("bob", "long", "curly") and dice.chance(0.6))
    pen.oval(0, 0, 1, 1, skin, "skin", power=dice.between(2.0, 2.5))
    pen.oval(0.55, 0.3, 0.2, 0.12, _mix(skin, (230, 90, 90), 0.2), None, depth=0.5)
    pen.oval(-0.55, 0.3, 0.2, 0.12, _mix(skin, (230, 90, 90), 0.2), None, depth=0.5)
    eyes = _eyes(pen, dice, hair)
    _nose(pen, dice, skin)
    _mouth(pen, dice, skin)
    _hair_in_front(pen, dice, hair, style)
    if dice.chance(0.15):
        _glasses(pen, dice, eyes)
    if hat:
        _hat(pen, dice)
    return pen.finish(dice.between(-0.18, 0.18))


def _background(pen: Pen, dice: Dice) -> None:
    top, bottom = dice.color((0.1, 0.5), (0.3, 0.95)), dice.color((0.1, 0.5), (0.3, 0.95))
    for band in range(24):
        pen.polygon(
            [(0, band / 24), (1, band / 24), (1, (band + 1) / 24), (0, (band + 1) / 24)],
            _mix(top, bottom, band / 23),
            None,
        )


def _hair_behind(pen: Pen, dice: Dice, hair: RGB, style: str) -> None:
    dark = _mix(hair, (0, 0, 0), 0.25)
    if style in ("bob", "long"):
        length = 0.85 if style == "bob" else dice.between(1.3, 1.9)
        wide = dice.between(1.15, 1.35)
        pen.oval(0, -0.3, wide, 0.95, dark, "hair")
        pen.shape([(-wide, -0.3), (wide, -0.3), (wide * 1.08, length), (-wide * 1.08, length)], dark, "hair")
    elif style == "curly":
        for step in range(18):
            angle = math.pi * (0.9 + 1.2 * step / 17)
            pen.oval(1.08 * math.cos(angle), -0.15 + 1.0 * math.sin(angle), 0.36, 0.28, dark, "hair")
    elif style != "bald":
        pen.oval(0, -0.22, 1.08, 0.98, dark, "hair")


def _body(pen: Pen, dice: Dice, skin: RGB) -> None:
    x, y = pen.at(0, 0.6)
    half, shoulder = pen.axes[0] * dice.between(0.5, 0.65), pen.axes[0] * dice.between(1.7, 2.2)
    base = y + pen.axes[1] * dice.between(0.62, 0.75)
    shade = _mix(skin, (0, 0, 0), 0.12)
    pen.polygon([(x - half, y), (x + half, y), (x + 1.25 * half, 1.02), (x - 1.25 * half, 1.02)], shade, "neck")
    if dice.chance(0.15):
        gold = (230, 190, 70)
        ring = [(x + 1.12 * half * math.cos(a), base - 0.05 + 0.07 * math.sin(a)) for a in np.linspace(0, math.pi, 24)]
        pen.polygon([*ring, *((px, py + 0.018) for px, py in reversed(ring))], gold, "neck_l")
    if dice.chance(0.85):
        cloth, deep = dice.color((0.2, 0.9), (0.2, 0.9)), dice.between(0.0, 0.09)
        left = [
            (x - shoulder, base + 0.09),
            (x - 1.1 * half, base),
            (x, base + deep),
            (x + 1.1 * half, base),
            (x + shoulder, base + 0.09),
        ]
        pen.polygon([*left, (x + 1.3 * shoulder, 1.02), (x - 1.3 * shoulder, 1.02)], cloth, "cloth")


def _ears(pen: Pen, dice: Dice, skin: RGB, *, covered: bool) -> None:
    rings, metal = dice.chance(0.25), dice.pick(((235, 200, 80), (210, 210, 220), (200, 60, 80)))
    for side, name in ((1, "l_ear"), (-1, "r_ear")):
        if covered or side * pen.turn > 0.55:  # the head turns towards this side, which hides the ear
            continue
        pen.oval(side * 1.03, 0.02, 0.15, 0.22, _mix(skin, (180, 60, 40), 0.15), name)
        if rings:
            pen.oval(side * 1.07, 0.33, 0.06, 0.09, metal, "ear_r")


def _eyes(pen: Pen, dice: Dice, hair: RGB) -> list[tuple[float, float, float]]:
    iris, apart, level = dice.pick(IRISES), dice.between(0.38, 0.46), dice.between(-0.16, -0.06)
    wide, open_ = dice.between(0.17, 0.22), dice.between(0.06, 0.1)
    raise_, lean, thick = dice.between(0.17, 0.24), dice.between(-0.15, 0.2), dice.between(0.03, 0.05)
    brow = _mix(hair, (20, 15, 12), 0.5)
    eyes = []
    for side, eye, brow_name in ((1, "l_eye", "l_brow"), (-1, "r_eye", "r_brow")):
        u = side * apart
        pen.oval(u, level, wide, open_, (250, 250, 250), eye, depth=0.7)
        pen.oval(u, level, 0.9 * open_ * pen.axes[1] / pen.axes[0], 0.9 * open_, iris, None, depth=0.7)
        pen.oval(u, level, 0.4 * open_ * pen.axes[1] / pen.axes[0], 0.4 * open_, (10, 10, 10), None, depth=0.7)
        pen.oval(u, level - raise_, 1.3 * wide, thick, brow, brow_name, depth=0.7, lean=side * lean)
        eyes.append((u, level, wide))
    return eyes


def _nose(pen: Pen, dice: Dice, skin: RGB) -> None:
    wide, tip = dice.between(0.14, 0.2), dice.between(0.24, 0.32)
    shade = _mix(skin, (120, 60, 40), 0.18)
    pen.shape(
        [(-0.06, -0.1), (0.06, -0.1), (wide, tip - 0.05), (0.6 * wide, tip), (-0.6 * wide, tip), (-wide, tip - 0.05)],
        shade,
        "nose",
        depth=1,
    )
    pen.oval(0, tip - 0.06, 0.8 * wide, 0.08, _mix(skin, (120, 60, 40), 0.1), "nose", depth=1)


def _mouth(pen: Pen, dice: Dice, skin: RGB) -> None:
    lips = _mix(skin, dice.pick(((190, 60, 70), (160, 60, 60), (210, 40, 80))), dice.between(0.4, 0.8))
    wide, level, thick = dice.between(0.28, 0.38), dice.between(0.52, 0.6), dice.between(0.05, 0.075)
    open_ = dice.between(0.03, 0.1) if dice.chance(0.55) else 0.0
    curve = dice.between(0.0, 0.08)
    ends = [(-wide, level - curve), (wide, level - curve)]
    upper = [
        ends[0],
        (-0.35 * wide, level - thick - open_ / 3),
        (0, level - 0.6 * thick - open_ / 3),
        (0.35 * wide, level - thick - open_ / 3),
        ends[1],
    ]
    lower = [ends[1], (0.5 * wide, level + 1.1 * thick + open_), (-0.5 * wide, level + 1.1 * thick + open_), ends[0]]
    pen.shape([*upper, (0, level)], lips, "u_lip", depth=0.8)
    pen.shape([*lower, (0, level)], _mix(lips, (255, 180, 180), 0.15), "l_lip", depth=0.8)
    if open_:
        inner = 0.8 * wide
        gap = [(-inner, level - 0.6 * curve), (0, level - open_ / 3), (inner, level - 0.6 * curve), (0, level + open_)]
        pen.shape(gap, (240, 235, 230), "mouth", depth=0.8)


def _hair_in_front(pen: Pen, dice: Dice, hair: RGB, style: str) -> None:
    if style == "bald":
        return
    line, parting = dice.between(-0.62, -0.42), dice.between(-0.5, 0.5)
    cap = [(1.06 * math.cos(a), -0.05 + 1.08 * math.sin(a)) for a in np.linspace(math.pi + 0.1, 2 * math.pi - 0.1, 30)]
    if style == "fringe":
        front = [(0.95, line + 0.25), (0.5, line + 0.2), (0, line + 0.16), (-0.5, line + 0.2), (-0.95, line + 0.25)]
    else:
        front = [
            (0.95, line + 0.35),
            (0.62, line + 0.03),
            (parting, line - 0.12),
            (-0.62, line + 0.03),
            (-0.95, line + 0.35),
        ]
    pen.shape([*cap, *front], hair, "hair")
    if style in ("bob", "long"):
        for side in (1, -1):
            end = 0.8 if style == "bob" else 1.3
            pen.shape(
                [(side * 0.86, line + 0.2), (side * 1.1, -0.4), (side * 1.18, end), (side * 0.97, end - 0.1)],
                hair,
                "hair",
            )
    for strand in range(4):
        u = -0.6 + 0.4 * strand
        pen.shape(
            [(u, -0.98), (u + 0.05, -0.98), (u + 0.11, line - 0.15), (u + 0.07, line - 0.15)],
            _mix(hair, (255, 240, 220), 0.14),
            None,
        )


def _glasses(pen: Pen, dice: Dice, eyes: list[tuple[float, float, float]]) -> None:
    frame = dice.pick(((25, 25, 25), (120, 70, 30), (60, 60, 90)))
    glass = _mix(frame, (120, 130, 140), dice.between(0.0, 0.7))
    square = dice.between(2.0, 5.0)
    for u, v, wide in eyes:
        pen.oval(u, v + 0.02, 1.55 * wide, 0.2, frame, "eye_g", depth=0.8, power=square)
        pen.oval(u, v + 0.02, 1.3 * wide, 0.16, glass, None, depth=0.8, power=square)
    v = eyes[0][1]
    pen.shape([(-0.2, v - 0.03), (0.2, v - 0.03), (0.2, v + 0.02), (-0.2, v + 0.02)], frame, "eye_g", depth=0.8)


def _hat(pen: Pen, dice: Dice) -> None:
    color, brim, tall = dice.color((0.3, 0.9), (0.2, 0.9)), dice.chance(0.5), dice.between(1.3, 1.55)
    crown = [(1.12 * math.cos(a), -0.5 + (tall - 0.5) * math.sin(a)) for a in np.linspace(math.pi, 2 * math.pi, 30)]
    pen.shape(crown, color, "hat")
    width = 1.6 if brim else 1.14
    pen.shape([(-width, -0.6), (width, -0.6), (width, -0.46), (-width, -0.46)], _mix(color, (0, 0, 0), 0.3), "hat")


def _neighbours(colors: Sequence[RGB], dice: Dice) -> tuple[RGB, RGB]:
    first = int(dice.between(0, len(colors) - 1))
    return colors[first], colors[first + 1]


def _mix(a: RGB, b: RGB, share: float) -> RGB:
    return _rgb(x + (y - x) * share for x, y in zip(a, b, strict=True))


def _rgb(values: Iterable[float]) -> RGB:
    r, g, b = (max(0, min(255, round(v))) for v in values)
    return r, g, b


def _signed_power(value: float, power: float) -> float:
    return math.copysign(abs(value) ** power, value)
