"""A table of a paper as a plugin declares it: rows that are trained, columns that are measured, the paper's figures and claims. No torch.

`Plugin(tables={"table1": "my_module:TABLE"})` makes it `zoo reproduce PLUGIN/table1` (docs/evaluating.md, "A table of a paper").
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from zoo.errors import ConfigError, few

Figure = float | tuple[float, float]
"""A figure of a paper, alone or with its +-."""


@dataclass(frozen=True)
class TableData:
    """A data set of a table.

    name: as registered, which is what `--data NAME:DIR` gives. paper: sizes and split in the paper, in words. split: what is measured on.
    stand_ins: registered data sets that may take its place (of a table with one data set every one may); that it did is printed.
    """

    name: str
    title: str
    paper: str = ""
    split: str = "test"
    stand_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """A column: a registered metric, and where in its scores the figure stands.

    score: names joined with dots (`mean_code.miou`), several ways with `|`, of which the first that is there counts; what has a `mean`
    gives that. scale: by which ours is multiplied, so that it has the paper's unit. protocol: how the paper measured it. difference: how
    ours differs from that, in words; printed beside the figures. painted: measured on pictures; the maps of mask generators go through
    the table's painter first. real: where in the scores of a trained row the figure of real data stands, for a row that is not
    trained ("": there is none). counterpart: a metric of the same form that takes the column's place where the metric cannot be had
    (weights that are not here); that it did is printed. data: the data sets that have it (none named: all).
    """

    key: str
    title: str
    metric: str
    score: str
    better: Literal["higher", "lower"]
    protocol: str = ""
    difference: str = ""
    scale: float = 1.0
    painted: bool = False
    real: str = ""
    counterpart: str = ""
    data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of the table.

    systems: by data set what is trained for it, `ARCH[/VARIANT]`, the official config; without one nothing is trained and real data
    are measured. changes: what makes the row differ from the variant, in training options or network.
    own_pictures: painted columns are of the pictures that the model gives itself of what it draws, not of the table's painter. paper:
    figures by data set and column. note: our reading of what the paper leaves open.
    """

    title: str
    systems: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    paper: Mapping[str, Mapping[str, Figure]] = field(default_factory=dict)
    own_pictures: bool = False
    note: str = ""


@dataclass(frozen=True)
class Claim:
    """What the paper says of a column: `better` beats each of `than` (none named: every other trained row).

    equal: they differ by no more than this share of the figure of `than`. data: on which data set (none named: all that have the column).
    """

    text: str
    column: str
    better: str
    than: tuple[str, ...] = ()
    equal: float | None = None
    data: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    small: by architecture the changes that narrow the official configs (and their batches) for a machine without an accelerator, the same
    for every row; or the name of the variant that stands in their place. painter: by data set the model that turns maps into pictures
    in painted columns. training: how the paper trained, in words. styles: pictures of a map in metrics of diversity, as in the paper.
    notes: further differences of protocol. Raises ConfigError for names that do not fit each other.
    """

    title: str
    paper: str
    data: tuple[TableData, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...] = ()
    small: Mapping[str, Mapping[str, Any] | str] = field(default_factory=dict)
    painter: Mapping[str, str] = field(default_factory=dict)
    training: str = ""
    styles: int = 4
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if faults := _faults(self):
            raise ConfigError(f"The table {self.title!r}: {'; '.join(faults)}.")

    def row(self, title: str) -> Row:
        """The row of that title."""
        return next(r for r in self.rows if r.title == title)

    def columns_of(self, data: str) -> tuple[Column, ...]:
        """The columns of a data set."""
        return tuple(c for c in self.columns if not c.data or data in c.data)

    def rows_of(self, data: str) -> tuple[Row, ...]:
        """The rows that are trained on a data set, or have figures of the paper there."""
        return tuple(r for r in self.rows if data in r.systems or data in r.paper)


def _faults(table: Table) -> list[str]:
    """What does not fit."""
    known = {
        "row": [r.title for r in table.rows],
        "column": [c.key for c in table.columns],
        "data set": [d.name for d in table.data],
    }
    faults = [f"no {what}" for what, names in known.items() if not names]
    for what, names in known.items():
        if twice := [n for n in dict.fromkeys(names) if names.count(n) > 1]:
            faults.append(f"{what} {few(twice)} twice")
    asked: list[tuple[str, str, str]] = []
    for row in table.rows:
        asked += [(f"row {row.title!r}", "data set", n) for n in (*row.systems, *row.paper)]
        asked += [(f"row {row.title!r}", "column", n) for figures in row.paper.values() for n in figures]
    for column in table.columns:
        asked += [(f"column {column.key!r}", "data set", n) for n in column.data]
        if column.better not in ("higher", "lower"):
            faults.append(f"column {column.key!r}: better is {column.better!r}, expected higher or lower")
    for claim in table.claims:
        asked += [(f"claim {claim.text!r}", "row", n) for n in (claim.better, *claim.than)]
        asked += [(f"claim {claim.text!r}", "column", claim.column)]
        asked += [(f"claim {claim.text!r}", "data set", n) for n in claim.data]
    asked += [("painter", "data set", n) for n in table.painter]
    return faults + [f"{where} names the {what} {name!r}" for where, what, name in asked if name not in known[what]]
