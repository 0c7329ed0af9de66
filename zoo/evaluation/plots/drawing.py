"""The picture of a chart, with matplotlib (extra `plots`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.plots.charts import Chart, Panel, Series
from zoo.files.writing import write_atomic

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#555555", "#bbbbbb")
"""Told apart by readers who do not tell red from green."""
DPI = 120


def require_matplotlib() -> Any:
    """The package, drawing without a display. Raises UsageError where it is not installed."""
    try:
        import matplotlib  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise UsageError("Charts are drawn with matplotlib: pip install 'maskzoo[plots]'.") from error
    matplotlib.use("Agg")
    return matplotlib


def draw(chart: Chart, path: Path) -> None:
    """Write the PNG. Raises UsageError without matplotlib, DataError if it cannot be written."""
    require_matplotlib()
    from matplotlib.figure import Figure  # pyright: ignore[reportMissingImports]

    heights = [max(3.0, 0.28 * _slots(p) + 1.2) if p.form == "bars" else 3.6 for p in chart.panels]
    figure = Figure(figsize=(9, sum(heights) + 0.6 + 0.25 * len(chart.notes)), layout="constrained")
    grid: Any = figure.subplots(len(chart.panels), 1, squeeze=False, height_ratios=heights)
    for panel, axes in zip(chart.panels, grid[:, 0], strict=True):
        {"bars": _bars, "lines": _lines, "steps": _steps, "points": _points}[panel.form](axes, panel)
        axes.set_title(panel.title, fontsize=10)
        axes.set_xlabel(panel.y if panel.form == "bars" else panel.x)
        axes.set_ylabel(panel.x if panel.form == "bars" else panel.y)
        if panel.form != "points" and len(panel.series) > 1:
            axes.legend(fontsize=8)
    figure.suptitle(chart.title, fontsize=11)
    if chart.notes:
        figure.supxlabel("\n".join(chart.notes), fontsize=7)
    write_atomic(path, lambda part: figure.savefig(part, format="png", dpi=DPI, metadata={"Software": None}))


def _slots(panel: Panel) -> int:
    return len({x for s in panel.series for x in s.x}) * len(panel.series)


def _errors(series: Series) -> list[list[float]] | None:
    if not any(v is not None for v in (*series.low, *series.high)):
        return None
    below = [0.0 if low is None else y - low for y, low in zip(series.y, series.low, strict=True)]
    above = [0.0 if high is None else high - y for y, high in zip(series.y, series.high, strict=True)]
    return [[max(0.0, v) for v in below], [max(0.0, v) for v in above]]


def _bars(axes: Any, panel: Panel) -> None:
    """Bars that lie, a group for each name."""
    names = list(dict.fromkeys(x for s in panel.series for x in s.x))
    thick = 0.8 / len(panel.series)
    for i, series in enumerate(panel.series):
        places = [names.index(x) + (i - (len(panel.series) - 1) / 2) * thick for x in series.x]
        axes.barh(
            places,
            series.y,
            thick,
            label=series.name,
            color=COLOURS[i % len(COLOURS)],
            xerr=_errors(series),
            ecolor="#222222",
        )
    axes.set_yticks(range(len(names)), [str(n) for n in names], fontsize=8)
    axes.invert_yaxis()


def _lines(axes: Any, panel: Panel) -> None:
    for i, series in enumerate(panel.series):
        axes.plot(series.x, series.y, label=series.name, color=COLOURS[i % len(COLOURS)], linewidth=1.2)


def _steps(axes: Any, panel: Panel) -> None:
    """Histograms over each other."""
    for i, series in enumerate(panel.series):
        edges = [*(float(x) for x in series.x), float(series.x[-1]) + panel.width]
        axes.stairs(series.y, edges, label=series.name, color=COLOURS[i % len(COLOURS)], fill=True, alpha=0.35)
        axes.stairs(series.y, edges, color=COLOURS[i % len(COLOURS)])


def _points(axes: Any, panel: Panel) -> None:
    """A point with its name beside it."""
    for i, series in enumerate(panel.series):
        axes.errorbar(
            series.x, series.y, yerr=_errors(series), fmt="o", color=COLOURS[i % len(COLOURS)], ecolor="#222222"
        )
        axes.annotate(series.name, (series.x[0], series.y[0]), xytext=(5, 3), textcoords="offset points", fontsize=8)
    if panel.log_x:
        axes.set_xscale("log")
