"""A chart as numbers: series of points with intervals, written as JSON and CSV beside the picture. No torch in here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from zoo.evaluation.results import plain
from zoo.files.writing import write_text

Value = float | str


@dataclass(frozen=True)
class Series:
    """Points of one name. x: numbers, or names of bars. low, high: ends of intervals (None: there is none), () for none at all."""

    name: str
    x: tuple[Value, ...]
    y: tuple[float, ...]
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes. form: bars (a group for each x), lines, steps (a histogram: x are left edges, `width` their distance) or
    points (each series a point with its name)."""

    form: Literal["bars", "lines", "steps", "points"]
    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    width: float = 0.0
    log_x: bool = False


@dataclass(frozen=True)
class Chart:
    """Panels under each other. notes: what a reader must know of the figures, printed beneath them."""

    title: str
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Every number of the chart; NaN is null."""
        return plain(asdict(self))

    def rows(self) -> list[tuple[Any, ...]]:
        """panel, series, x, y, low, high: one row a point."""
        found: list[tuple[Any, ...]] = []
        for panel in self.panels:
            for s in panel.series:
                low, high = (values or (None,) * len(s.x) for values in (s.low, s.high))
                found += [(panel.title, s.name, *point) for point in zip(s.x, s.y, low, high, strict=True)]
        return found

    def write_numbers(self, picture: Path) -> tuple[Path, Path]:
        """`NAME.json` and `NAME.csv` beside the picture `NAME.png`."""
        as_json, as_csv = picture.with_suffix(".json"), picture.with_suffix(".csv")
        write_text(as_json, json.dumps(self.to_json(), indent=2, allow_nan=False) + "\n")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("panel", "series", "x", "y", "low", "high"))
        writer.writerows([["" if v is None else v for v in row] for row in self.rows()])
        write_text(as_csv, text.getvalue())
        return as_json, as_csv


def histogram(values: Sequence[float], edges: Sequence[float]) -> tuple[float, ...]:
    """Shares of the values in each bin [edge, next edge), the last with its right end; values beyond the ends belong to none."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        for i, (left, right) in enumerate(pairwise(edges)):
            if left <= value < right or (i == len(counts) - 1 and value == right):
                counts[i] += 1
                break
    return tuple(count / len(values) for count in counts)


def common_edges(groups: Sequence[Sequence[float]], bins: int) -> list[float]:
    """Edges of equal bins over all groups."""
    low, high = min(min(g) for g in groups), max(max(g) for g in groups)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return [low + (high - low) * i / bins for i in range(bins)] + [high]
