"""What a file is that is no plain map of class numbers, told from its numbers or colours. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.files.palettes import color_codes
from zoo.labels import LabelSpace

if TYPE_CHECKING:
    from zoo.files.mapfiles import MapFile

BINARY = (
    "This is a binary mask of one part (0/255), not a map of classes:"
    " paint the parts into one map in which each pixel holds its class number."
)
FEW_IDS, MANY_COLORS = 4, 4096
"""Colours below which nothing is said of coded numbers, and above which a picture is a photo."""


def binary(file: MapFile) -> bool:
    """True of a mask of one part: one bit a pixel, or 0 and 255 alone."""
    if file.mode == "1":
        return True
    return file.values is not None and {255} <= set(file.value_counts()) <= {0, 255}


def factor_of(values: np.ndarray) -> int | None:
    """The number that all values were multiplied with, so that people see something; None where there is none.

    Four values or more besides 0 must have it in common, eight a number below 5.
    """
    shown = np.unique(values)
    shown = shown[shown > 0]
    factor = int(np.gcd.reduce(shown.astype(np.int64))) if len(shown) >= 4 else 1
    return factor if factor >= 5 or (factor > 1 and len(shown) >= 8) else None


def factor_text(factor: int) -> str:
    """What to do with multiplied numbers."""
    return f"All values are multiples of {factor}: the map was made visible by multiplying it. Divide by {factor}."


def swapped_space(file: MapFile, spaces: Sequence[LabelSpace]) -> LabelSpace | None:
    """The space whose colours these are with red and blue swapped, as OpenCV writes an RGB array; None if none or several."""
    found = []
    shown = {(c[2], c[1], c[0]) for c in file.color_counts()}
    for space in spaces:
        known = {c for cls in space.classes for c in (cls.color, *cls.colors)}
        if shown <= known and not file.color_counts().keys() <= known:
            found.append(space)
    return found[0] if found else None


def smoothed(file: MapFile, spaces: Sequence[LabelSpace]) -> tuple[LabelSpace, int, float] | None:
    """The space whose colours most pixels have, how many other colours lie around them, and their share of the pixels.

    None where fewer than 60 % of the pixels or two colours are known.
    """
    counts = file.color_counts()
    total = sum(counts.values())
    best: tuple[float, LabelSpace, int] | None = None
    for space in spaces:
        known = {c for cls in space.classes for c in (cls.color, *cls.colors)}
        inside = [n for c, n in counts.items() if c in known]
        share = sum(inside) / total
        if len(inside) >= 2 and share >= 0.6 and (best is None or share > best[0]):
            best = (share, space, len(counts) - len(inside))
    return None if best is None or not best[2] else (best[1], best[2], 1 - best[0])


def smoothed_text(space: LabelSpace, colors: int, share: float) -> str:
    """What to do with colours between those of classes."""
    return (
        f"{colors} odd colours on {share:.1%} of the pixels lie around colours of {space.name}: the map was resized with"
        " smoothing or saved as JPEG. Use the original map, resize with nearest neighbour, save as PNG."
    )


def coded_ids(file: MapFile) -> str | None:
    """What it may be that holds numbers spread over red, green and blue; None for what looks like a photo or like few colours."""
    counts = file.color_counts()
    if file.colors is None or not FEW_IDS <= len(counts) <= MANY_COLORS:
        return None
    red = np.unique(file.colors[..., 0])
    if red.max() <= 140 and len(red) >= 2 and not (red % 10).any():
        codes = file.colors.astype(np.int64)
        classes = len(np.unique(codes[..., 0] // 10 * 256 + codes[..., 1]))
        return (
            "Its colours may be numbers as in ADE20K's full *_seg.png: class = R / 10 * 256 + G, object = B"
            f" ({classes} classes then). Compute the classes and save them as one channel; the index of the full data set names them."
        )
    neighbours = np.diff(color_codes(file.colors), axis=1)
    if (neighbours != 0).mean() < 0.2:
        return (
            "Its colours are no label space's. If it is a panoptic PNG (COCO), each colour is an object's number, R + 256 * G +"
            f" 65536 * B ({len(counts)} objects then), and the classes stand in the JSON file beside it (segments_info)."
        )
    return None
