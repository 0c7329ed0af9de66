"""Charts of the classes of shards, out of their `statistics.json`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.plots.charts import Chart, Panel, Series
from zoo.files.jsonfiles import field, read_json
from zoo.files.shardfiles import FORMAT, STATISTICS


def shard_classes(places: Sequence[Path]) -> Chart:
    """Bars by class, a series for each folder of shards: the share of maps that show it, its share of pixels, and, of what was asked for,
    the share of samples in which it came. Raises UsageError for what holds no statistics of shards."""
    found = {str(place): _read(place) for place in places}
    panels = [
        _panel("Maps that show a class", "share of maps", found, lambda s: _shares(s, "share_of_maps")),
        _panel("Pixels of a class", "share of pixels", found, lambda s: _shares(s, "share_of_pixels")),
    ]
    if any(s["asked"] for s in found.values()):
        panels.append(_panel("Asked for, and there", "share of the samples that asked", found, _came))
    return Chart("Classes of the samples", tuple(p for p in panels if p.series))


def _read(place: Path) -> dict[str, Any]:
    path = place / STATISTICS if place.is_dir() else place
    if not path.is_file():
        raise UsageError(
            f"There is no {path}: give a folder of finished shards (zoo compose --shards), or its {STATISTICS}."
        )
    values = read_json(path, error=UsageError, what="statistics of shards")
    if values.get("format") != FORMAT:
        raise UsageError(f"{path} is no statistics of shards.")
    for name in ("classes", "asked", "got"):
        field(values, name, dict, where=str(path), error=UsageError)
    for name, counts in values["classes"].items():
        for part in ("share_of_maps", "share_of_pixels"):
            field(counts if isinstance(counts, dict) else {}, part, float, where=f"{path}, {name}", error=UsageError)
    for part in ("asked", "got"):
        for name in values[part]:
            field(values[part], name, int, where=f"{path}, {part}", error=UsageError)
    return values


def _panel(
    title: str, y: str, found: dict[str, dict[str, Any]], shares: Callable[[dict[str, Any]], dict[str, float]]
) -> Panel:
    series = [Series(name, tuple(s), tuple(s.values())) for name, values in found.items() if (s := shares(values))]
    return Panel("bars", title, "class", y, tuple(series))


def _shares(values: dict[str, Any], part: str) -> dict[str, float]:
    """By class, the most frequent first."""
    ordered = sorted(values["classes"].items(), key=lambda item: (-item[1]["share_of_maps"], item[0]))
    return {name: float(counts[part]) for name, counts in ordered}


def _came(values: dict[str, Any]) -> dict[str, float]:
    return {n: values["got"].get(n, 0) / asked for n, asked in values["asked"].items() if asked > 0}
