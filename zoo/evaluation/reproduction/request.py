"""What `zoo reproduce` is asked for: which table, at which budget, with how many seeds, on which data. No torch in here."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.data.specs import DataSpec, parse_spec
from zoo.errors import PluginError, UsageError, did_you_mean
from zoo.interfaces.tables import Row, Table, TableData
from zoo.registry import registry
from zoo.training.plan import absolute_data, check_data_set

_BUDGET = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|steps?)")
_MINUTES = {"s": 1 / 60, "m": 1.0, "h": 60.0}


@dataclass(frozen=True)
class Budget:
    """How long every row trains: minutes or steps, one of them."""

    minutes: float | None = None
    steps: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """`10m`, `90s`, `1.5h` or `2000steps`. Raises UsageError."""
        match = _BUDGET.fullmatch(text.strip().lower())
        if match is None or float(match[1]) <= 0 or (match[2].startswith("step") and "." in match[1]):
            raise UsageError(
                f"<<budget={text!r}>>: expected a time such as 10m or 1.5h, or a number of steps such as 2000steps."
            )
        if match[2].startswith("step"):
            return cls(steps=int(match[1]))
        return cls(minutes=float(match[1]) * _MINUTES[match[2]])

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes"

    def to_json(self) -> dict[str, Any]:
        """The one of the two that is set."""
        return {"steps": self.steps} if self.steps else {"minutes": self.minutes}


@dataclass(frozen=True)
class ReproduceRequest:
    """table: `PLUGIN/NAME`. data: specs. size: `official` or `small` (the table's narrower form). only: rows by title, start of a title or
    number. changes: training options or network fields of every row. limit: pairs that are measured. samples: maps that are drawn.
    styles, parser, judges, extractor, lpips: as of `zoo.evaluation.run.EvalRequest`; styles None: the table's."""

    table: str
    budget: Budget
    seeds: int = 1
    data: tuple[str, ...] = ()
    out: Path = Path("reproduced")
    only: tuple[str, ...] = ()
    size: str = "official"
    changes: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    samples: int = 500
    parser: str | None = None
    judges: tuple[str, ...] = ()
    styles: int | None = None
    extractor: str | None = None
    lpips: str = "alex"
    device: str = "cpu"
    command: str = ""

    def __post_init__(self) -> None:
        for name, value in (
            ("seeds", self.seeds),
            ("limit", self.limit),
            ("samples", self.samples),
            ("styles", self.styles),
        ):
            if value is not None and value < 1:
                raise UsageError(f"<<{name}={value}>>: expected 1 or more.")


def table_names() -> tuple[str, ...]:
    """The tables of all plugins, `PLUGIN/NAME`; `distribution:PLUGIN/NAME` only where two plugins claim the plain name."""
    names = registry().names("tables")
    return tuple(n for n in names if ":" not in n or n.partition(":")[2] not in names)


def table_named(name: str) -> tuple[str, Table]:
    """A table and its full name; `mask-vae/table-1` and `mask-vae/Table1` are `mask-vae/table1`. Raises UsageError, PluginError."""
    reg = registry()
    known = reg.names("tables")
    full = name if name in known else next((k for k in known if _loose(k) == _loose(name)), None)
    if full is None:
        reg.refuse_clash("tables", name)
        listed = ", ".join(table_names()) or "none"
        raise UsageError(f"No table {name!r}{did_you_mean(name, known)} (known: {listed}){reg.broken_hint()}.")
    table = reg.get("tables", full)
    if not isinstance(table, Table):
        raise PluginError(
            f"Plugin {reg.owner_of('tables', full).label}: its table {full!r} is {type(table).__name__}, expected a zoo.plugin.Table."
        )
    return full, table


def _loose(name: str) -> str:
    return re.sub(r"(?<=[a-z])[-_ ](?=\d)", "", name.casefold())


def chosen_rows(table: Table, only: Sequence[str]) -> tuple[Row, ...]:
    """The rows that are asked for (all without `only`), in the table's order. Raises UsageError."""
    titles = [r.title for r in table.rows]
    chosen: set[str] = set()
    for asked in only:
        text = asked.strip().casefold()
        fits = [t for t in titles if t.casefold() == text]
        fits = fits or [t for t in titles if text and t.casefold().startswith(text)]
        if not fits and text.isdigit() and 1 <= int(text) <= len(titles):
            fits = [titles[int(text) - 1]]
        if len(fits) != 1:
            rows = ", ".join(f"{i} {t!r}" for i, t in enumerate(titles, 1))
            what = "No row" if not fits else f"Several rows ({', '.join(fits)}) begin as"
            raise UsageError(f"{what} {asked!r}{did_you_mean(asked, titles) if not fits else ''} (rows: {rows}).")
        chosen.add(fits[0])
    return tuple(r for r in table.rows if not only or r.title in chosen)


def matched_data(table: Table, specs: Sequence[str]) -> dict[str, DataSpec]:
    """By data set of the table what was given for it. Raises UsageError for what none of them takes, and for two of one."""
    found: dict[str, DataSpec] = {}
    for text in specs:
        spec = parse_spec(text)
        check_data_set(spec)
        need = _need(table, spec.name)
        if need is None:
            wanted = ", ".join(f"{d.name} or {' or '.join(d.stand_ins)}" if d.stand_ins else d.name for d in table.data)
            raise UsageError(f"<<data={text!r}>>: the table takes {wanted}.")
        if need.name in found:
            raise UsageError(f"<<data={text!r}>>: {found[need.name]} was given for {need.title} already.")
        found[need.name] = absolute_data(spec)
    return found


def _need(table: Table, name: str) -> TableData | None:
    exact = next((d for d in table.data if d.name == name), None)
    exact = exact or next((d for d in table.data if name in d.stand_ins), None)
    return exact or (table.data[0] if len(table.data) == 1 else None)


def slug(text: str) -> str:
    """A name for folders: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text.casefold()).strip("-.") or "row"
