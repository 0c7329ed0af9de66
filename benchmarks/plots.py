"""The ratios of `python -m benchmarks` as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Bars of how many times faster than the plain reading, with quartiles; needs matplotlib (extra plots)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bars = [(f"{r['case']}: {n}", x) for r in rows if "case" in r for n, x in r["ratio"].items()]
    bars += [(f"{r['job']} (older / this)", x) for r in rows if "job" in r for x in r["ratio"].values()]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.3 * max(1, len(bars))))
    middle = [x["median"] for _, x in bars]
    errors = [[x["median"] - x["low"] for _, x in bars], [x["high"] - x["median"] for _, x in bars]]
    axes.barh([n for n, _ in bars], middle, xerr=errors, color="#4477aa", ecolor="#222222")
    axes.axvline(1, color="#222222", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("times faster than the plain reading (median, quartiles)")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
