"""Samples whose pictures look alike, by their hashes of 64 bits; pairs are found without comparing all with all.

Two hashes that differ in `NEAR` bits or fewer have one of `NEAR + 1` bands in common, so only those with a common band are compared. No torch
in here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

NEAR = 3
"""Bits in which the hashes of two samples that look alike differ at most."""
BITS = 64
CROWD = 2000
"""Hashes with a common band that are compared with each other at once; more are divided by a second band first."""
LISTED = 1000
"""Pairs that a report names."""


def duplicates(hashes: Sequence[str], distance: int = NEAR) -> dict[str, Any]:
    """What is reported of the samples' hashes (16 hex digits each, by number).

    equal: pairs of samples with equal hashes; near: other pairs whose hashes differ in `distance` bits or fewer; samples: that are in some
    pair; pairs: the first `LISTED`, [number, number, bits]: equal ones in order of the first number (each sample with the first that has its
    hash), then near ones (the first samples of their hashes).
    """
    import numpy as np

    values = np.array([int(h, 16) for h in hashes], dtype=np.uint64)
    unique, first, inverse, counts = np.unique(values, return_index=True, return_inverse=True, return_counts=True)
    equal = int((counts.astype(np.int64) * (counts - 1) // 2).sum())
    alike = np.flatnonzero(first[inverse] != np.arange(len(values)))
    listed = [[int(first[inverse[i]]), int(i), 0] for i in alike[:LISTED]]
    near, touched = 0, counts > 1
    found: list[list[int]] = []
    for a, b, bits in near_pairs(unique, distance):
        near += int((counts[a] * counts[b]).sum())
        touched[a] = touched[b] = True
        ends = np.sort(np.stack([first[a], first[b]]), axis=0)
        found += [[int(x), int(y), int(d)] for x, y, d in zip(*ends, bits, strict=True)]
        if len(found) > 2 * LISTED:
            found = sorted(found)[:LISTED]
    return {
        "distance": distance,
        "equal": equal,
        "near": near,
        "samples": int(counts[touched].sum()),
        "pairs": (listed + sorted(found))[:LISTED],
    }


def near_pairs(values: np.ndarray, distance: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Every pair of these different uint64 [N] that differ in `distance` bits or fewer, once: positions, positions, bits; in pieces."""
    import numpy as np

    bands = _bands(list(range(BITS)), distance + 1)
    for number, band in enumerate(bands):
        for rows in _groups(values, np.arange(len(values)), band):
            for group, others in _crowds(values, rows, band, distance):
                a, b, bits = _compared(values, group, distance)
                # a pair with several bands in common is told by the first of them
                differing = values[a] ^ values[b]
                once = np.ones(len(a), dtype=bool)
                for earlier in [*bands[:number], *others]:
                    once &= (differing & _mask(earlier)) != 0
                if once.any():
                    yield a[once], b[once], bits[once]


def _crowds(
    values: np.ndarray, rows: np.ndarray, band: list[int], distance: int
) -> Iterator[tuple[np.ndarray, list[list[int]]]]:
    """Rows that may be near each other, of those with a common band; with the further bands by which their pairs came before."""
    if len(rows) <= CROWD:
        yield rows, []
        return
    rest = _bands([bit for bit in range(BITS) if bit not in band], distance + 1)
    for number, further in enumerate(rest):
        for group in _groups(values, rows, further):
            yield group, rest[:number]


def _bands(bits: list[int], count: int) -> list[list[int]]:
    return [bits[len(bits) * i // count : len(bits) * (i + 1) // count] for i in range(count)]


def _mask(bits: list[int]) -> np.uint64:
    import numpy as np

    return np.uint64(sum(1 << bit for bit in bits))


def _groups(values: np.ndarray, rows: np.ndarray, band: list[int]) -> Iterator[np.ndarray]:
    """Those of `rows` with a common band, two or more each."""
    import numpy as np

    keys = values[rows] & _mask(band)
    order = np.argsort(keys, kind="stable")
    edges = np.flatnonzero(np.diff(keys[order])) + 1
    for start, stop in zip([0, *edges], [*edges, len(rows)], strict=True):
        if stop - start > 1:
            yield rows[order[start:stop]]


def _compared(values: np.ndarray, rows: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of these rows that are near, row by row so that memory stays flat."""
    import numpy as np

    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for place in range(len(rows) - 1):
        others = rows[place + 1 :]
        bits = np.bitwise_count(values[rows[place]] ^ values[others])
        near = np.flatnonzero(bits <= distance)
        if len(near):
            found.append((np.full(len(near), rows[place]), others[near], bits[near].astype(np.int64)))
    if not found:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    a, b, bits = (np.concatenate(column) for column in zip(*found, strict=True))
    return a, b, bits
