"""The document of a table out of what was measured: figures by row, column and seed, intervals, claims, and what differs from the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.data.specs import DataSpec
from zoo.evaluation.reproduction.figures import concordance, judge, over_seeds, paper_figures
from zoo.evaluation.reproduction.measuring import figure
from zoo.files.private import public_text
from zoo.interfaces.tables import Column, Row, Table, TableData
from zoo.training.plan import public_name

Measured = Mapping[tuple[str, str, int], Mapping[str, Any]]


def document_of(
    table: Table, data: Mapping[str, DataSpec], rows: Sequence[Row], head: Mapping[str, Any], found: Measured
) -> dict[str, Any]:
    """head: the request. found: by row, data set and seed. A part for each data set that is there, the others under `absent`."""
    parts = [_part(table, need, data[need.name], rows, found) for need in table.data if need.name in data]
    absent = [{"name": d.name, "title": d.title} for d in table.data if d.name not in data]
    return {**head, "parts": parts, "absent": absent}


def _part(table: Table, need: TableData, spec: DataSpec, rows: Sequence[Row], found: Measured) -> dict[str, Any]:
    columns = table.columns_of(need.name)
    by = {c.key: metric_of(c, need, found) for c in columns}
    lines = [_line(table, row, need, columns, by, found) for row in rows if row in table.rows_of(need.name)]
    by_column = {c.key: _by_seed(lines, c.key) for c in columns}
    trained = [r.title for r in table.rows if need.name in r.systems]
    claims = [
        {"text": c.text, "column": c.column, **judge(c, _column(columns, c.column), trained, by_column[c.column])}
        for c in table.claims
        if c.column in by_column and (not c.data or need.name in c.data)
    ]
    orders = {}
    for column in columns:
        same, pairs = concordance(paper_figures(table, need.name, column), by_column[column.key])
        orders[column.key] = {"as_in_the_paper": same, "pairs": pairs}
    return {
        "data": need.name, "title": need.title, "paper": need.paper, "given": public_name(spec),
        "painter": table.painter.get(need.name) if any(c.painted for c in columns) else None, "stand_in": spec.name != need.name,
        "columns": [
            {
                "key": c.key, "title": c.title, "metric": by[c.key], "in_place_of": None if by[c.key] == c.metric else c.metric,
                "better": c.better, "protocol": c.protocol, "difference": c.difference,
            }
            for c in columns
        ],
        "rows": lines, "claims": claims, "orders": orders,
    }  # fmt: skip


def _column(columns: Sequence[Column], key: str) -> Column:
    return next(c for c in columns if c.key == key)


def metric_of(column: Column, need: TableData, found: Measured) -> str:
    """The metric behind all figures of a column: its counterpart where a row has that one alone."""
    measured = [m for (_, name, _), m in found.items() if name == need.name]
    alone = any(column.counterpart in m["metrics"] and column.metric not in m["metrics"] for m in measured)
    return column.counterpart if column.counterpart and alone else column.metric


def _line(
    table: Table, row: Row, need: TableData, columns: Sequence[Column], by: Mapping[str, str], found: Measured
) -> dict[str, Any]:
    """A row: the paper's figures, ours by seed and over seeds, why some are missing, how the metrics were measured."""
    seeds = {seed: m for (title, name, seed), m in found.items() if title == row.title and name == need.name}
    ours: dict[str, Any] = {}
    for column in columns:
        by_seed = {
            s: f
            for s, m in seeds.items()
            if (f := _figure(table, row, need, column, by[column.key], s, m, found)) is not None
        }
        if by_seed:
            ours[column.key] = {**over_seeds([f["value"] for f in by_seed.values()]), "seeds": by_seed}
    missing: dict[str, str] = {}
    for measured in seeds.values():
        missing |= measured["missing"]
    if row.systems and need.name not in row.systems:
        missing |= {
            c.metric: "the zoo has no config of this row for this data set"
            for c in columns
            if c.key in row.paper[need.name]
        }
    missing = {metric: public_text(why) for metric, why in missing.items()}  # the document is for showing around
    metrics = next((m["metrics"] for m in seeds.values()), {})
    return {
        "title": row.title, "system": row.systems.get(need.name), "changes": dict(row.changes), "note": row.note,
        "paper": dict(row.paper.get(need.name, {})), "ours": ours, "missing": missing,
        "protocols": {name: {"protocol": m["protocol"], "warnings": m["warnings"]} for name, m in metrics.items()},
        "scores": {str(s): {name: m["scores"] for name, m in measured["metrics"].items()} for s, measured in seeds.items()},
        "trained": {str(s): m["trained"] for s, m in seeds.items() if "trained" in m},
        "seconds_of_measuring": {str(s): m["seconds_of_measuring"] for s, m in seeds.items() if "seconds_of_measuring" in m},
    }  # fmt: skip


def _figure(
    table: Table,
    row: Row,
    need: TableData,
    column: Column,
    metric: str,
    seed: int,
    measured: Mapping[str, Any],
    found: Measured,
) -> dict[str, float] | None:
    """A row's own figure; of real data, where nothing is painted, the one that a trained row's metric has beside its own."""
    if row.systems or column.painted:
        return figure(measured, column, metric)
    if not column.real:
        return None
    others = (found.get((r.title, need.name, seed)) for r in table.rows if r.systems)
    return next((f for m in others if m and (f := figure(m, column, metric, real=True)) is not None), None)


def _by_seed(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, dict[int, float]]:
    return {
        line["title"]: {seed: f["value"] for seed, f in line["ours"][key]["seeds"].items()}
        for line in lines
        if key in line["ours"]
    }
