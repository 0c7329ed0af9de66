"""Jobs as the page writes them (JSON), read into what the work takes. All that arrives here was written by a stranger. No torch in here."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo.composition.request.written import EDIT_KINDS, EditSpec, is_label
from zoo.errors import LabelError, UsageError, did_you_mean
from zoo.files.jsonfiles import field, named
from zoo.labels import IGNORE, LabelSpace
from zoo.web.limits import Limits

PHOTO_ID = re.compile(r"[0-9a-f]{64}")
SEEDS = 2**53
"""Numbers that JSON of a browser holds exactly."""
PARTS = 256
"""Sources of style, classes and edits in one job."""
FAR = 1e6
"""Pixels of a photo's frame."""


@dataclass(frozen=True, eq=False)
class PaintedMap:
    """Class numbers uint8 [H, W] of a label space."""

    labels: np.ndarray
    space: LabelSpace


@dataclass(frozen=True)
class Frame:
    """A square of a photo: its centre and side in pixels (the photo's left edge is 0), turned clockwise by `angle` degrees."""

    x: float
    y: float
    side: float
    angle: float = 0.0


@dataclass(frozen=True, eq=False)
class Source:
    """Where a style comes from. kind: seed, mean, prior or photo; labels: of a photo, as it is framed (None: a parser reads them)."""

    kind: str
    seed: int = 0
    photo: str = ""
    frame: Frame | None = None
    labels: PaintedMap | None = None


@dataclass(frozen=True, eq=False)
class StylePart:
    """A source for some classes and layers (None: all). locked: it is put in after the mix."""

    source: Source
    classes: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None
    locked: bool = False


@dataclass(frozen=True, eq=False)
class StyleWish:
    """parts, the first for everything; the whole is mixed with `mix` by `amount`; then the locked parts."""

    parts: tuple[StylePart, ...]
    mix: Source | None = None
    amount: float = 0.0

    def sources(self) -> list[Source]:
        """All that it names."""
        return [*(part.source for part in self.parts), *([self.mix] if self.mix is not None else [])]


@dataclass(frozen=True)
class Keep:
    """Pixels of a photo, where both its map and the painted one show one of these classes."""

    source: Source
    classes: tuple[str, ...]


class Reader:
    """Reads jobs. space: a label space by its name (raises LabelError)."""

    def __init__(self, space: Callable[[Any], LabelSpace], limits: Limits) -> None:
        self._space, self._limits = space, limits

    def painted(self, value: Any, where: str = "map") -> PaintedMap:
        """A map {width, height, space, labels: base64}. Raises UsageError, LabelError for numbers that are no classes."""
        entry = _object(value, where)
        width, height = (_whole(entry, side, where, 1, 8192) for side in ("width", "height"))
        if width * height > self._limits.map_pixels:
            raise UsageError(f"A map has at most {self._limits.map_pixels:,} pixels here, got {width} x {height}.")
        space = self._space(entry.get("space"))
        content = decoded(field(entry, "labels", str, where=where, error=UsageError), f"{where}: labels")
        if len(content) != width * height:
            raise UsageError(f"{where}: {width} x {height} pixels need as many bytes, got {len(content)}.")
        return checked(np.frombuffer(content, np.uint8).reshape(height, width), space)

    def style(self, value: Any) -> StyleWish:
        """A StyleSpec; None: the model's own choice. Raises UsageError."""
        entry = _object(value, "style")
        listed = field(entry, "parts", list, None, where="style", default=[], error=UsageError) or []
        if len(listed) > PARTS:
            raise UsageError(f"A style has at most {PARTS} parts, got {len(listed)}.")
        base = StylePart(self.source(entry.get("base"), "style.base"))
        mix = entry.get("mix")
        if mix is None:
            return StyleWish((base, *(self._part(p) for p in listed)))
        mix = _object(mix, "style.mix")
        amount = number(mix, "amount", "style.mix", 0, 1)
        return StyleWish((base, *(self._part(p) for p in listed)), self.source(mix.get("source"), "style.mix"), amount)

    def _part(self, value: Any) -> StylePart:
        entry, where = _object(value, "style.parts"), "style.parts"
        classes = labels(entry.get("labels"), where, optional=True)
        layers = labels(entry.get("layers"), where, optional=True)
        locked = field(entry, "locked", bool, None, where=where, default=False, error=UsageError)
        return StylePart(self.source(entry.get("source"), where), classes, layers, bool(locked))

    def source(self, value: Any, where: str) -> Source:
        """A Source. Raises UsageError."""
        entry = _object(value, where)
        kind = entry.get("kind")
        if kind == "seed":
            return Source("seed", seed=seed(entry, where))
        if kind in ("mean", "prior"):
            return Source(kind)
        if kind != "photo":
            raise UsageError(f"{where}: a source is of kind seed, mean, prior or photo, got {named(kind)}.")
        own = entry.get("map")
        return Source(
            "photo",
            photo=photo_id(entry.get("photo"), where),
            frame=frame(entry.get("frame"), where),
            labels=None if own is None else self.painted(own, f"{where}.map"),
        )

    def keep(self, value: Any) -> Keep | None:
        """Which pixels of a photo stay. Raises UsageError."""
        if value is None:
            return None
        entry = _object(value, "keep")
        classes = labels(entry.get("classes"), "keep.classes") or ()
        return Keep(self.source({**entry, "kind": "photo"}, "keep"), classes) if classes else None

    def edits(self, value: Any, other: PaintedMap | None) -> tuple[EditSpec, ...]:
        """The edits of a job; `other` becomes a SemanticMap where the work begins. Raises UsageError."""
        if not isinstance(value, list) or not value or len(value) > PARTS:
            raise UsageError(f"edits: a list of 1 to {PARTS} edits is needed, got {named(value)}.")
        return tuple(self._edit(v, other) for v in value)

    def _edit(self, value: Any, other: PaintedMap | None) -> EditSpec:
        entry = _object(value, "edits")
        kind = entry.get("kind")
        if kind not in EDIT_KINDS:
            near = did_you_mean(str(kind)[:80], EDIT_KINDS)
            raise UsageError(f"edits: no edit {named(kind)}{near} (there are: {', '.join(EDIT_KINDS)}).")
        classes = labels(entry.get("labels"), "edits.labels")
        if not classes:
            raise UsageError(f"The edit {kind} names no class.")
        if kind == "perturb":
            strength = entry.get("strength")
            return EditSpec(kind, classes, None if strength is None else number(entry, "strength", "edits", -100, 100))
        if kind == "interpolate":
            if other is None:
                raise UsageError("The edit interpolate needs another map.")
            amount = entry.get("amount")
            return EditSpec(kind, classes, None if amount is None else number(entry, "amount", "edits", 0, 1), other)
        return EditSpec(kind, classes)


def checked(values: np.ndarray, space: LabelSpace) -> PaintedMap:
    """Numbers as a map of a space. Raises LabelError for numbers that are no classes of it."""
    legal = values < len(space)
    if space.ignore:
        legal |= values == IGNORE
    if not legal.all():
        strange = sorted({int(v) for v in np.unique(values[~legal])})[:10]
        raise LabelError(f"Values {strange} are no classes of {space.name!r} (valid: 0..{len(space) - 1}).")
    return PaintedMap(values, space)


def write_map(values: np.ndarray, space: LabelSpace) -> dict[str, Any]:
    """A map for the page."""
    height, width = values.shape
    content = base64.b64encode(np.ascontiguousarray(values, np.uint8).tobytes()).decode()
    return {"width": int(width), "height": int(height), "space": space.name, "labels": content}


def decoded(text: str, where: str) -> bytes:
    """The bytes of base64. Raises UsageError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"{where} is no base64 ({error}).") from error


def labels(value: Any, where: str, *, optional: bool = False) -> tuple[str, ...] | None:
    """A list of names; with `optional` None for none. Raises UsageError."""
    if value is None and optional:
        return None
    if not isinstance(value, list) or len(value) > PARTS or not all(isinstance(n, str) and is_label(n) for n in value):
        raise UsageError(f"{where}: a list of names is needed, got {named(value)}.")
    return tuple(dict.fromkeys(value)) or (None if optional else ())


def seed(values: Mapping[str, Any], where: str, default: int | None = None) -> int:
    """A seed: a whole number of 0 or more. Raises UsageError."""
    if default is not None and values.get("seed") is None:
        return default
    return _whole(values, "seed", where, 0, SEEDS)


def count(values: Mapping[str, Any], name: str, where: str, most: int, default: int = 1) -> int:
    """A whole number from 1 to `most`. Raises UsageError."""
    return default if values.get(name) is None else _whole(values, name, where, 1, most)


def photo_id(value: Any, where: str) -> str:
    """The id of a photo. Raises UsageError."""
    if not isinstance(value, str) or PHOTO_ID.fullmatch(value) is None:
        raise UsageError(f"{where}: a photo is named by the sha256 of its bytes, got {named(value)}.")
    return value


def frame(value: Any, where: str) -> Frame | None:
    """A frame, or None. Raises UsageError."""
    if value is None:
        return None
    entry = _object(value, f"{where}.frame")
    x, y = (number(entry, name, f"{where}.frame", -FAR, FAR) for name in ("x", "y"))
    side = number(entry, "side", f"{where}.frame", 1, FAR)
    return Frame(x, y, side, number(entry, "angle", f"{where}.frame", -36_000, 36_000) if "angle" in entry else 0.0)


def number(values: Mapping[str, Any], name: str, where: str, least: float, most: float) -> float:
    """A finite number within bounds. Raises UsageError."""
    found = field(values, name, float, where=where, error=UsageError)
    if not math.isfinite(found) or not least <= found <= most:
        raise UsageError(f"{where}: {name} goes from {least:g} to {most:g}, got {named(found)}.")
    return float(found)


def _whole(values: Mapping[str, Any], name: str, where: str, least: int, most: int) -> int:
    found = field(values, name, int, where=where, error=UsageError)
    if not least <= found <= most:
        raise UsageError(f"{where}: {name} goes from {least} to {most}, got {named(found)}.")
    return found


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{where}: an object is needed, got {named(value)}.")
    return value
