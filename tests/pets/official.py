"""`{"map": [classes, side, side]}`, as the program of nobody's paper wrote it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from zoo.plugin import Match, WeightsError


def detect(shapes: Mapping[str, tuple[int, ...]]) -> Match | None:
    """Four classes or more on a square."""
    shape = shapes.get("pet_map", ())
    if len(shape) != 3 or shape[1] != shape[2]:
        return None
    unknown = tuple(sorted(set(shapes) - {"pet_map"}))
    return Match("generator", {"side": shape[1]}, ("label_space",), unknown=unknown, matched=1)


def convert(parts: Mapping[str, Mapping[str, Tensor]], config: object = None) -> dict[str, Tensor]:
    """One key. Raises WeightsError for others."""
    if set(parts) != {"generator"} or set(parts["generator"]) != {"pet_map"}:
        raise WeightsError("A checkpoint of pet-maps holds the one tensor 'pet_map'. Try: zoo identify FILE")
    return {"planes.scores": parts["generator"]["pet_map"]}
