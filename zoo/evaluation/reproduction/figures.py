"""Means over seeds with their intervals, and whether a run agrees with what a paper claims. No torch in here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from zoo.interfaces.tables import Claim, Column, Figure, Table

T_975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093,
    2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Quantiles of Student's t for two-sided 95 % intervals, from 1 to 30 degrees of freedom; beyond, the normal one."""
Seeds = Mapping[str, Mapping[int, float]]
"""Figures of one column: row to seed to value."""


def over_seeds(values: Sequence[float]) -> dict[str, float | int | None]:
    """`mean`, the 95 % interval of the mean (Student's t; None for one seed) as `low` and `high`, and `n`."""
    mean, n = statistics.fmean(values), len(values)
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "n": n}
    t = T_975[n - 2] if n - 2 < len(T_975) else 1.96
    half = t * statistics.stdev(values) / math.sqrt(n)
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": n}


def number(figure: Figure) -> float:
    """A paper's figure without its +-."""
    return float(figure[0] if isinstance(figure, tuple) else figure)


def sign(column: Column) -> int:
    """1 where more is better."""
    return 1 if column.better == "higher" else -1


def compare(
    a: Mapping[int, float], b: Mapping[int, float], column: Column, equal: float | None = None
) -> dict[str, Any]:
    """Row a against row b in one column: the paired differences of the seeds that both have, and the verdict.

    verdict: `agrees` if a is better (with `equal`: within that share of b), `disagrees`, or `open` where the 95 % interval of the
    difference holds both. One seed has no interval: then the verdict is of the figures alone, and `seeds` says 1.
    """
    shared = sorted(a.keys() & b.keys())
    gains = [sign(column) * (a[s] - b[s]) for s in shared]
    found = over_seeds(gains)
    low, high = found["low"], found["high"]
    mean = statistics.fmean(gains)
    if equal is not None:
        limit = equal * abs(statistics.fmean(b[s] for s in shared))
        inside = abs(mean) <= limit
        sure = (
            low is None
            or high is None
            or (inside and -limit <= low and high <= limit)
            or (not inside and (low > limit or high < -limit))
        )
        verdict = "open" if not sure else "agrees" if inside else "disagrees"
    elif low is not None and high is not None and low <= 0 <= high:
        verdict = "open"
    else:
        verdict = "agrees" if mean > 0 else "disagrees"
    return {"gain": mean, "low": low, "high": high, "seeds": len(shared), "verdict": verdict}


def judge(claim: Claim, column: Column, rows: Sequence[str], seeds: Seeds) -> dict[str, Any]:
    """A claim against our figures. rows: the trained rows, those that `than` means if it names none."""
    others = [r for r in (claim.than or rows) if r != claim.better]
    absent = [r for r in (claim.better, *others) if not seeds.get(r)]
    pairs = {
        other: compare(seeds[claim.better], seeds[other], column, claim.equal)
        for other in others
        if seeds.get(claim.better) and seeds.get(other) and seeds[claim.better].keys() & seeds[other].keys()
    }
    verdicts = [p["verdict"] for p in pairs.values()]
    if "disagrees" in verdicts:
        whole = "disagrees"
    elif not verdicts or absent:
        whole = "not decided"
    else:
        whole = "open" if "open" in verdicts else "agrees"
    return {
        "verdict": whole,
        "pairs": pairs,
        "absent": absent,
        "seeds": min((p["seeds"] for p in pairs.values()), default=0),
    }


def concordance(paper: Mapping[str, Figure], seeds: Seeds) -> tuple[int, int]:
    """Pairs of rows that our means put into the paper's order, and all pairs that have both figures and differ in the paper."""
    ours = {r: statistics.fmean(v.values()) for r, v in seeds.items() if v}
    known = [r for r in paper if r in ours]
    pairs = [(a, b) for a, b in combinations(known, 2) if number(paper[a]) != number(paper[b])]
    same = sum((number(paper[a]) - number(paper[b])) * (ours[a] - ours[b]) > 0 for a, b in pairs)
    return same, len(pairs)


def paper_figures(table: Table, data: str, column: Column) -> dict[str, Figure]:
    """The paper's figures of a column by row."""
    return {r.title: r.paper[data][column.key] for r in table.rows if column.key in r.paper.get(data, {})}
