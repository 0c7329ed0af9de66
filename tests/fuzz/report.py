"""How a report is printed: a table while the run goes on, the table of docs/trust.md, the bad cases with their recipes."""

from __future__ import annotations

from typing import Any

from .kinds import KINDS
from .verdicts import BAD

HEAD = ("kind", "full length", "tried", "refused with one line", "taken and right", "bad")


def rows(report: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row per kind that was tried."""
    return [
        (
            KINDS[kind].what,
            f"{KINDS[kind].full:,}",
            f"{count['cases']:,}",
            f"{count.get('refused', 0):,}",
            f"{count.get('right', 0):,}",
            _bad(count),
        )
        for kind, count in report["counts"].items()
    ]


def _bad(count: dict[str, int]) -> str:
    inner = ", ".join(f"{count[k]} {k}" for k in BAD if count.get(k))
    return f"{count['bad']:,} ({inner})" if count.get("bad") else "0"


def markdown(report: dict[str, Any]) -> str:
    """The table of docs/trust.md with the line that says how to make it again."""
    lines = ["| " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(report)]
    return (
        f"`{report['command']}`, seed {report['seed']}, {report['minutes']:.0f} minutes on one core:\n\n"
        + "\n".join(lines)
    )


def table(report: dict[str, Any]) -> str:
    """Aligned columns."""
    body = [HEAD, *rows(report)]
    widths = [max(len(row[i]) for row in body) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in body)


def recipe(case: dict[str, Any]) -> str:
    """A bad case in lines: how to make it again, what was done, what was seen."""
    command = f"python -m tests.fuzz --only {case['kind']} --case {case['case']} --seed {case['seed']}"
    lines = [command, *(f"    {kind}: {told}" for kind, told in case["problems"])]
    if case["recipe"]:
        lines.append("    input: " + "; ".join(case["recipe"])[:600])
    return "\n".join(lines)


def by_fault(bad: list[dict[str, Any]]) -> list[tuple[str, int, dict[str, Any]]]:
    """Bad cases by what was seen, the most frequent first: kind and text, how many, one of them."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for case in bad:
        for kind, told in case["problems"]:
            groups.setdefault(f"{case['kind']}: {kind}: {told}", []).append(case)
    return [(name, len(cases), cases[0]) for name, cases in sorted(groups.items(), key=lambda g: -len(g[1]))]
