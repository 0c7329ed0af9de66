"""The samples' records of a run in short. No torch in here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summarize(
    records: list[dict[str, Any]], *, sets: bool = False, balance: Mapping[str, float] | None = None
) -> dict[str, Any]:
    """The samples' records in short.

    requested: how often each requested class was asked for and appeared. dropped: in how many samples a class without a
    counterpart was. style_from_prior: in how many samples a class was shown that the style's source lacks. notes: each once.
    changed_outside_edits: mean share of pixels. style_change: means of `style_change.measure`. label_sets (with `sets`): each set
    that was drawn, how often, and in how many samples all of it appeared. balance (of a run with these wanted shares): for each class
    the shares of samples that were asked for it, and whose maps show it. require, reject_empty: what was drawn again, and in vain.
    """
    asked: dict[str, int] = {}
    empty: dict[str, int] = {}
    dropped: dict[str, int] = {}
    drawn: dict[str, int] = {}
    for record in records:
        lists = ((asked, "requested"), (empty, "empty"), (dropped, "dropped"), (drawn, "style_from_prior"))
        for counts, key in lists:
            for name in record.get(key) or ():
                counts[name] = counts.get(name, 0) + 1
    summary: dict[str, Any] = {}
    if asked:
        summary["requested"] = {n: {"asked": c, "appeared": c - empty.get(n, 0)} for n, c in asked.items()}
    if dropped:
        summary["dropped"] = dropped
    if drawn:
        summary["style_from_prior"] = drawn
    if sets:
        summary["label_sets"] = _sets(records)
    if balance:
        summary["balance"] = _balance(records, balance)
    if rejecting := [r for r in records if "redrawn" in r]:
        summary["reject_empty"] = _rejected(rejecting)
    if required := [r for r in records if "tries" in r]:
        summary["require"] = _required(required)
    notes = dict.fromkeys(n for r in records for n in r.get("notes") or ())
    if notes:
        summary["notes"] = list(notes)
    changed = [r["changed_outside_edits"] for r in records if r.get("changed_outside_edits") is not None]
    if changed:
        summary["changed_outside_edits"] = round(sum(changed) / len(changed), 6)
    styled = summarize_change(records)
    if styled is not None:
        summary["style_change"] = styled
    return summary


def _sets(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The label sets of the samples, the most frequent first. complete: None where no maps were made, which would show it."""
    counts: dict[tuple[str, ...], list[int]] = {}
    maps = any(r.get("requested") for r in records)
    for record in records:
        asked = counts.setdefault(tuple(record["requested"] if maps else record["labels"]), [0, 0])
        asked[0] += 1
        asked[1] += not record.get("empty")
    ordered = sorted(counts.items(), key=lambda item: (-item[1][0], item[0]))
    return [{"labels": list(n), "asked": c[0], "complete": c[1] if maps else None} for n, c in ordered]


def _balance(records: list[dict[str, Any]], balance: Mapping[str, float]) -> dict[str, Any]:
    """wanted, asked, got: shares of samples; got: None of pictures alone, in which nobody sees it."""
    found: dict[str, Any] = {}
    for name, wanted in balance.items():
        shares: list[float | None] = []
        for key in ("balance_asked", "balance_got"):
            told = [name in r[key] for r in records if key in r]
            shares.append(round(sum(told) / len(told), 6) if told else None)
        found[name] = {"wanted": wanted, "asked": shares[0], "got": shares[1]}
    return found


def _rejected(records: list[dict[str, Any]]) -> dict[str, Any]:
    """draws: made anew, of all samples together; redrawn: samples that took one or more; exhausted: samples that still lack a class."""
    again = [r["redrawn"] for r in records]
    return {
        "draws": sum(again),
        "redrawn": sum(a > 0 for a in again),
        "most": max(again),
        "exhausted": sum(bool(r["exhausted"]) for r in records),
    }


def _required(records: list[dict[str, Any]]) -> dict[str, Any]:
    """draws: of all samples together; drawn_again: samples that took more than one; missing: samples that never showed a class."""
    missing: dict[str, int] = {}
    for name in (n for r in records for n in r.get("missing") or ()):
        missing[name] = missing.get(name, 0) + 1
    tries = [r["tries"] for r in records]
    return {"draws": sum(tries), "drawn_again": sum(t > 1 for t in tries), "most": max(tries), "missing": missing}


def ratio(inside: float | None, outside: float | None) -> float | None:
    """outside / inside, where both are known and something changed inside."""
    return round(outside / inside, 4) if inside and outside is not None else None


def summarize_change(records: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The mean of `measure`'s reports over the samples whose map shows the classes; None where nothing was measured."""
    reports = [r["style_change"] for r in records if r.get("style_change") is not None]
    if not reports:
        return None
    shown = [r for r in reports if r["inside"] is not None]
    away = [r["outside"] for r in shown if r["outside"] is not None]
    inside = round(sum(r["inside"] for r in shown) / len(shown), 5) if shown else None
    outside = round(sum(away) / len(away), 5) if away else None
    head = {"classes": reports[0]["classes"], "reach": reports[0]["reach"], "samples": len(shown)}
    return {**head, "inside": inside, "outside": outside, "ratio": ratio(inside, outside)}
