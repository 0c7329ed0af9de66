"""What a file is that is no plain map of class numbers, told from its numbers or colours. No torch in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.files.palettes import color_keys
from zoo.files.tally import code_of, color_codes, color_of, strips
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
    return file.values is not None and len(file.tally) <= 2 and {255} <= set(file.tally.keys.tolist()) <= {0, 255}


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
    if len(file.tally) > MANY_COLORS:
        return None
    colors = [color_of(code) for code in file.tally.keys.tolist()]
    swapped = np.asarray(sorted(code_of((c[2], c[1], c[0])) for c in colors), np.int32)
    for space in spaces:
        known = color_keys(space)
        if np.isin(swapped, known).all() and not file.tally.within(known):
            found.append(space)
    return found[0] if found else None


def smoothed(file: MapFile, spaces: Sequence[LabelSpace]) -> tuple[LabelSpace, int, float] | None:
    """The space whose colours most pixels have, how many other colours lie around them, and their share of the pixels.

    None where fewer than 60 % of the pixels or two colours are known.
    """
    total = int(file.tally.pixels.sum())
    best: tuple[float, LabelSpace, int] | None = None
    for space in spaces:
        inside = file.tally.pixels[file.tally.places(color_keys(space))]
        share = int(inside.sum()) / total
        if len(inside) >= 2 and share >= 0.6 and (best is None or share > best[0]):
            best = (share, space, len(file.tally) - len(inside))
    return None if best is None or not best[2] else (best[1], best[2], 1 - best[0])


def smoothed_text(space: LabelSpace, colors: int, share: float) -> str:
    """What to do with colours between those of classes."""
    return (
        f"{colors} odd colours on {share:.1%} of the pixels lie around colours of {space.name}: the map was resized with"
        " smoothing or saved as JPEG. Use the original map, resize with nearest neighbour, save as PNG."
    )


def coded_ids(file: MapFile) -> str | None:
    """What it may be that holds numbers spread over red, green and blue; None for what looks like a photo or like few colours."""
    counts = file.tally
    if file.colors is None or not FEW_IDS <= len(counts) <= MANY_COLORS:
        return None
    red = np.unique(counts.keys >> 16)
    if red.max() <= 140 and len(red) >= 2 and not (red % 10).any():
        classes = len(np.unique((counts.keys >> 16) // 10 * 256 + (counts.keys >> 8 & 255)))
        return (
            "Its colours may be numbers as in ADE20K's full *_seg.png: class = R / 10 * 256 + G, object = B"
            f" ({classes} classes then). Compute the classes and save them as one channel; the index of the full data set names them."
        )
    changes = sum(np.count_nonzero(np.diff(color_codes(file.colors[rows]), axis=1)) for rows in strips(file.size))
    if changes < 0.2 * file.size[0] * (file.size[1] - 1):
        return (
            "Its colours are no label space's. If it is a panoptic PNG (COCO), each colour is an object's number, R + 256 * G +"
            f" 65536 * B ({len(counts)} objects then), and the classes stand in the JSON file beside it (segments_info)."
        )
    return None
