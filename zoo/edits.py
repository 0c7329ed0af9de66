"""Edits of a map: what a generator that `EditsParts` may be asked for."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.maps import SemanticMap


@dataclass(frozen=True)
class Add:
    """Put parts that the map lacks; their shapes are drawn."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class Remove:
    """Take parts away."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class Redraw:
    """Give parts a new random shape."""

    classes: tuple[str, ...]


@dataclass(frozen=True)
class Perturb:
    """Move parts' codes by a standard normal times `strength`."""

    classes: tuple[str, ...]
    strength: float = 1.0


@dataclass(frozen=True, eq=False)
class Interpolate:
    """Mix parts' codes with those of another map: t = 0 keeps the part, t = 1 swaps it."""

    classes: tuple[str, ...]
    other: SemanticMap
    t: float = 1.0


Edit = Add | Remove | Redraw | Perturb | Interpolate
