"""How often each number or colour occurs in a map, in little memory: colours as one number each, rows in strips. No torch in here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from zoo.labels import Color

STRIP = 1 << 18
"""Pixels that are worked on at once where that takes more memory than the pixels themselves."""


@dataclass(frozen=True, eq=False)
class Tally:
    """keys: the numbers or colour codes that occur, int32 [K], ascending; pixels: how often each does, integers [K]."""

    keys: np.ndarray
    pixels: np.ndarray

    def __len__(self) -> int:
        return len(self.keys)

    def within(self, known: np.ndarray) -> bool:
        """True if all keys are among the known ones (ascending)."""
        return len(self) <= len(known) and bool(np.isin(self.keys, known).all())

    def places(self, known: np.ndarray) -> np.ndarray:
        """The places of those of the known keys that occur."""
        places = np.searchsorted(self.keys, known)
        inside = places < len(self)
        return np.unique(places[inside][self.keys[places[inside]] == known[inside]])

    def first(self, count: int) -> list[tuple[int, int]]:
        """The lowest keys and their pixels."""
        return list(zip(self.keys[:count].tolist(), self.pixels[:count].tolist(), strict=True))

    def top(self, count: int, leaving: Iterable[int] = ()) -> list[tuple[int, int]]:
        """The most frequent keys and their pixels, of equal ones the lowest first. leaving: places that do not count."""
        pixels = self.pixels
        left = list(leaving)
        if left:
            pixels = pixels.copy()
            pixels[left] = 0
        count = min(count, len(self) - len(left))
        if count <= 0:
            return []
        least = np.partition(pixels, -count)[-count]
        more = np.flatnonzero(pixels > least)
        equal = _first_where(pixels, least, count - len(more))
        chosen = np.concatenate([more, equal])
        chosen = chosen[np.lexsort((chosen, -pixels[chosen].astype(np.int64)))]
        return [(int(self.keys[i]), int(pixels[i])) for i in chosen]


def _first_where(values: np.ndarray, wanted: int, count: int) -> np.ndarray:
    parts, left = [np.zeros(0, np.int64)], count
    for start in range(0, len(values), STRIP):
        if left <= 0:
            break
        part = np.flatnonzero(values[start : start + STRIP] == wanted)[:left] + start
        parts.append(part)
        left -= len(part)
    return np.concatenate(parts)


def strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Rows of a map [H, W] in pieces of about `STRIP` pixels, at least a row each."""
    rows = max(1, STRIP // max(1, shape[1]))
    for start in range(0, shape[0], rows):
        yield slice(start, start + rows)


def look_up(table: np.ndarray, values: np.ndarray) -> np.ndarray:
    """table[values] for uint8 or int32 [H, W]; in strips, as numpy makes indices of eight bytes of them."""
    found = np.empty((*values.shape, *table.shape[1:]), table.dtype)
    for rows in strips(values.shape):
        found[rows] = table[values[rows]]
    return found


def tally_numbers(values: np.ndarray) -> Tally:
    """Of integers [H, W]."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, -1)
    if high - low >= 1 << 16:
        return _runs(values.astype(np.int32).ravel())
    counts = np.zeros(high - low + 1, np.int64)
    for rows in strips(values.shape):
        counts += np.bincount(values[rows].ravel().astype(np.int64) - low, minlength=len(counts))
    shown = np.flatnonzero(counts)
    return Tally((shown + low).astype(np.int32), counts[shown])


def tally_colors(colors: np.ndarray) -> Tally:
    """Of colours uint8 [H, W, 3], by their codes."""
    return _runs(color_codes(colors).ravel())


def _runs(codes: np.ndarray) -> Tally:
    """The tally of int32 [N], which is overwritten."""
    if not len(codes):
        return Tally(codes, codes)
    codes.sort()
    begins = np.empty(len(codes), bool)
    begins[0] = True
    np.not_equal(codes[1:], codes[:-1], out=begins[1:])
    starts = np.empty(int(np.count_nonzero(begins)), np.int32)
    place = 0
    for first in range(0, len(codes), STRIP):
        part = np.flatnonzero(begins[first : first + STRIP])
        starts[place : place + len(part)] = part + first
        place += len(part)
    for first in range(0, len(starts), STRIP):  # a key never lies before its own place
        codes[first : first + STRIP][: len(starts) - first] = codes[starts[first : first + STRIP]]
    end = len(begins)
    del begins
    pixels = np.diff(starts, append=np.int32(end))
    return Tally(codes[: len(starts)], pixels)


def color_codes(colors: np.ndarray) -> np.ndarray:
    """Each colour of uint8 [..., 3] as one number, int32 [...]: red * 65536 + green * 256 + blue."""
    codes = colors[..., 0].astype(np.int32)
    codes <<= 8
    codes |= colors[..., 1]
    codes <<= 8
    codes |= colors[..., 2]
    return codes


def code_of(color: Color) -> int:
    """`color_codes` of one colour."""
    return color[0] << 16 | color[1] << 8 | color[2]


def color_of(code: int) -> Color:
    """The colour of a code."""
    return code >> 16, code >> 8 & 255, code & 255
