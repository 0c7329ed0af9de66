"""`zoo reproduce`: train the rows of a table one after the other, measure each, and set the paper's figures beside ours."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.data.kept import keeping_reads
from zoo.environment import versions
from zoo.errors import Cancelled, UsageError
from zoo.evaluation.evidence import Watch, unwatched
from zoo.evaluation.reproduction.document import document_of
from zoo.evaluation.reproduction.measuring import Measurer
from zoo.evaluation.reproduction.report import markdown
from zoo.evaluation.reproduction.request import ReproduceRequest, chosen_rows, matched_data, slug, table_named
from zoo.evaluation.reproduction.results import FORMAT, RESULTS, check_same, differing, read_document, write_document
from zoo.evaluation.reproduction.runs import Run, pace, runs_of, train
from zoo.evaluation.results import plain
from zoo.interfaces.tables import Row, TableData
from zoo.training.plan import public_name

Told = Callable[[str], None]
Watching = Callable[[], AbstractContextManager[Watch]]
Measured = dict[tuple[str, str, int], dict[str, Any]]
"""By row, data set and seed: what `Measurer.measure` found, with the training's facts under `trained`."""


def unseen() -> AbstractContextManager[Watch]:
    """No bar."""
    return nullcontext(unwatched)


class Reproduction:
    """One table at one budget. `schedule()` says what would be done, `run()` does it and can be called again after whatever ended it."""

    def __init__(
        self, request: ReproduceRequest, *, told: Told = lambda text: None, watching: Watching = unseen
    ) -> None:
        """watching: opened around each measuring, for a bar (a training has one of its own).

        Raises UsageError for an unknown table, row, data set or option, ConfigError for changes that do not fit."""
        self.request, self.told = request, told
        self.name, self.table = table_named(request.table)
        self.data = matched_data(self.table, request.data)
        self.folder = request.out / slug(self.name.replace("/", "-"))
        asked = {r.title for r in chosen_rows(self.table, request.only)}
        known = read_document(self.folder / RESULTS) or {}
        self.seeds = request.seeds
        if known and not differing(known, self.head()):
            self.seeds = max(self.seeds, known["seeds"])
        every = runs_of(self.table, replace(request, seeds=self.seeds, only=()), self.data)
        # finished trainings of an earlier call with more seeds or other rows stay part of the table
        self.runs = [r for r in every if r.state == "done" or (r.row.title in asked and r.seed < request.seeds)]
        kept = asked | {r.row.title for r in self.runs}
        self.rows = tuple(r for r in self.table.rows if r.title in kept)
        self.watching = watching
        self.measurer = Measurer(self.table, request)

    def absent(self) -> list[tuple[TableData, str]]:
        """Data sets of the table that were not given, and the command that would use each."""
        missing = [d for d in self.table.data if d.name not in self.data]
        return [(d, self._command(d)) for d in missing]

    def _command(self, need: TableData) -> str:
        given = [f"--data {d}" for d in self.data.values()]
        budget = str(self.request.budget).replace(" minutes", "m").replace(" ", "")
        return " ".join(["zoo", "reproduce", self.name, *given, f"--data {need.name}:DIR", f"--budget {budget}"])

    def head(self) -> dict[str, Any]:
        """The request as it stands in the document."""
        asked = self.request
        return {
            "format": FORMAT,
            "table": self.name,
            "title": self.table.title,
            "paper": self.table.paper,
            "size": asked.size,
            "budget": asked.budget.to_json(),
            "data": {name: public_name(spec) for name, spec in self.data.items()},
            "changes": dict(asked.changes),
            "limit": asked.limit,
            "samples": asked.samples,
            "styles": asked.styles or self.table.styles,
            "judged_by": {
                "parser": asked.parser,
                "judges": list(asked.judges),
                "extractor": asked.extractor,
                "lpips": asked.lpips,
            },
            "seeds": self.seeds,
            "command": asked.command,
            "versions": versions(),
        }

    def schedule(self, *, measure: bool = True) -> list[dict[str, Any]]:
        """The trainings in order: row, data, seed, state, and about how many minutes of training are left (None where it is not known: a
        budget of steps with `measure` False)."""
        found, paces = [], dict[str, float]()
        for run in self.runs:
            left: float | None = 0.0
            if run.state != "done":
                left = run.budget.minutes
                if left is None and measure:
                    key = f"{run.row.title}/{run.data.name}"
                    paces[key] = paces[key] if key in paces else pace(run.plan)
                    left = (run.budget.steps or 0) * paces[key] / 60
            found.append({"row": run.row.title, "system": run.plan.architecture, "variant": run.plan.variant,
                "data": run.data.name, "seed": run.seed, "state": run.state, "minutes": left,
                "batch_size": run.plan.training.batch_size, "folder": str(run.folder.path)})  # fmt: skip
        return found

    def run(self, *, quiet: bool = False) -> dict[str, Any]:
        """Train and measure what is not there yet; the document is written after every row. Raises ZooErrors, Interrupted after a signal."""
        if not self.runs and not any(self._real(row) for row in self.rows):
            lines = [f"{need.title}: {command}" for need, command in self.absent()]
            raise UsageError(
                "None of the data sets of this table was given. The commands that would use them: " + "; ".join(lines)
            )
        check_same(self.folder / RESULTS, self.head())
        with keeping_reads():  # every row has the same data
            return self._rows(quiet)

    def _rows(self, quiet: bool) -> dict[str, Any]:
        found: Measured = {}
        for number, run in enumerate(self.runs, 1):
            self._train(run, f"{number} of {len(self.runs)}", quiet)
            found[run.row.title, run.data.name, run.seed] = self._measured(run)
            document = self._write(found)
        for row, need, seed in self._reals():
            home = self.request.out / "real" / slug(need.name)
            found[row.title, need.name, seed] = self._measure(row, need, seed, None, home / f"s{seed}")
            document = self._write(found)
        return document

    def _real(self, row: Row) -> bool:
        return not row.systems and any(name in self.data for name in row.paper)

    def _reals(self) -> list[tuple[Row, TableData, int]]:
        """The rows of real data, by data set and seed (pictures of real maps are drawn in styles, too)."""
        return [
            (row, need, seed)
            for row in self.rows
            for need in self.table.data
            if not row.systems and need.name in self.data and need.name in row.paper
            for seed in range(self.seeds)
        ]

    def _train(self, run: Run, which: str, quiet: bool) -> None:
        if run.state != "done":
            verb = "goes on" if run.state == "begun" else "begins"
            self.told(f"{which}: training of {run.title} {verb}, {run.budget}.")
            try:
                train(run, quiet=quiet)
            except Cancelled as error:
                raise type(error)(f"Stopped in the training of {run.title}; the same command goes on.") from error

    def _measured(self, run: Run) -> dict[str, Any]:
        began = time.perf_counter()
        found = self._measure(run.row, run.data, run.seed, run.folder.model, run.folder.path)
        found["seconds_of_measuring"] = time.perf_counter() - began
        found["trained"] = trained_facts(run)
        return found

    def _measure(self, row: Row, need: TableData, seed: int, model: Path | None, home: Path) -> dict[str, Any]:
        with self.watching() as watch:
            found = self.measurer.measure(row, need, self.data[need.name], seed, model, home, watch=watch)
        for metric, why in found["missing"].items():
            self.told(f"{row.title!r}: {metric} is missing: {why}.")
        return found

    def _write(self, found: Measured) -> dict[str, Any]:
        document = plain(document_of(self.table, self.data, self.rows, self.head(), found))
        write_document(self.folder, document, markdown(self.table, document))
        return document


def trained_facts(run: Run) -> dict[str, Any]:
    """What the finished run says of itself: steps, samples, minutes of training, parameters."""
    from zoo.cards import read_card

    card = read_card(run.folder.model)
    facts: Mapping[str, Any] = card.facts if card else {}
    options = run.folder.options()
    minutes = [r["minutes"] for r in run.folder.metrics()]
    return {
        "system": f"{options['architecture']}/{options['variant']}"
        if options.get("variant")
        else options["architecture"],
        "folder": str(Path(run.folder.path).name),
        "parameters": facts.get("parameters"),
        "resolution": facts.get("resolution"),
        "training": facts.get("training"),
        "minutes": minutes[-1] if minutes else None,
        "config": options["config"],
        "options": options["training"],
    }
