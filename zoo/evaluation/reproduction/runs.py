"""The trainings behind a table: one for each row, data set and seed; tables that share a row share its runs."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.data.specs import DataSpec, open_source
from zoo.errors import ConfigError, UsageError
from zoo.evaluation.reproduction.request import Budget, ReproduceRequest, chosen_rows, slug
from zoo.interfaces.tables import Row, Table, TableData
from zoo.labels import LabelSpace
from zoo.registry import label_space
from zoo.training.plan import TrainingPlan, make_plan
from zoo.training.runs import RunFolder

RUNS = "runs"


@dataclass(frozen=True)
class Run:
    """A row on a data set with a seed. plan: without the budget of steps where that is a time (it is measured when the run begins)."""

    row: Row
    data: TableData
    seed: int
    plan: TrainingPlan
    budget: Budget
    folder: RunFolder

    @property
    def state(self) -> str:
        """`done`, `begun` or `new`."""
        if (self.folder.model / "config.json").is_file():
            return "done"
        return "begun" if self.folder.has_state else "new"

    @property
    def title(self) -> str:
        """For messages."""
        return f"{self.row.title!r} ({self.plan.architecture}) on {self.plan.data_name}, seed {self.seed}"


def runs_of(table: Table, request: ReproduceRequest, data: Mapping[str, DataSpec]) -> list[Run]:
    """The runs of the rows that are asked for, row by row, on the data that is there. Raises UsageError, ConfigError, DataError."""
    found = []
    for row in chosen_rows(table, request.only):
        for need in table.data:
            if need.name in row.systems and need.name in data:
                plan = planned(table, row, need, data[need.name], request)
                for seed in range(request.seeds):
                    seeded = plan.with_changes({"trainer.seed": seed})
                    folder = request.out / RUNS / run_name(seeded, row, request.budget)
                    found.append(Run(row, need, seed, seeded, request.budget, RunFolder(folder)))
    return found


def planned(table: Table, row: Row, need: TableData, spec: DataSpec, request: ReproduceRequest) -> TrainingPlan:
    """The official variant, narrowed where the small form is asked for, with the row's own changes, then the caller's, then the budget.

    All that is left open (validation, what is published) is the same for every row: no validation on the way, the last weights.
    """
    system = row.systems[need.name]
    arch = system.partition("/")[0]
    narrow = table.small.get(arch) if request.size == "small" else {}
    if narrow is None:
        raise UsageError(f"<<size='small'>>: the table declares no small form of {arch!r}; take the size official.")
    if isinstance(narrow, str):
        system, narrow = f"{arch}/{narrow}", {}
    plan = make_plan(system, str(spec), {}, command=request.command, device=request.device)
    layers: list[Mapping[str, Any]] = [narrow, row.changes, request.changes]
    for changes in layers:
        try:
            plan = plan.with_changes(dict(changes))
        except (ConfigError, UsageError) as error:
            raise type(error)(f"Row {row.title!r} ({system}): {error}") from error
    same = {"trainer.publish": "last", "trainer.validate_every": 0, "trainer.preview_every": 0}
    if request.budget.steps:
        same |= {"trainer.steps": request.budget.steps, "trainer.minutes": None}
    else:
        same |= {"trainer.minutes": request.budget.minutes}
    plan = plan.with_changes(same)
    return replace(plan, space=_other_space(plan, spec))


def _other_space(plan: TrainingPlan, spec: DataSpec) -> str | None:
    """The label space of the data where it is not that of the config (a stand-in), so that the network speaks it."""
    own = plan.label_space()
    found = _space_of(spec, own)
    if found.names == own.names or getattr(plan.config, "channels", ()):
        return plan.space
    return found.name if label_space(found.name).names == found.names else None


@lru_cache(maxsize=64)
def _space_of(spec: DataSpec, own: LabelSpace) -> LabelSpace:
    """That in which a data set is opened for a model of the space `own`."""
    return open_source(spec, space=own).label_space


def run_name(plan: TrainingPlan, row: Row, budget: Budget) -> str:
    """A folder name that two tables give to the same training and to no other."""
    told = {k: v for k, v in plan.to_json().items() if k not in ("command", "device")}
    digest = hashlib.sha256(json.dumps([told, budget.to_json()], sort_keys=True, default=str).encode()).hexdigest()
    return f"{slug(f'{plan.architecture}-{plan.variant or row.title}')}-s{plan.training.seed}-{digest[:10]}"


def train(run: Run, *, quiet: bool = False) -> Path:
    """Train the run, or go on with it; returns its model folder. Raises ZooErrors; Interrupted after a signal, with its state saved."""
    from zoo.training.session import run_training

    if run.state == "done":
        return run.folder.model
    plan = run.plan
    if run.folder.has_options:  # the steps that a time came to were measured then
        stored = TrainingPlan.from_json(run.folder.options(), str(run.folder.path / "options.json"))
        plan = replace(stored, data=plan.data, device=plan.device)
    elif run.budget.minutes is not None:
        seconds = pace(plan)
        plan = plan.with_changes({"trainer.steps": max(1, math.ceil(60 * run.budget.minutes / seconds))})
    device = plan.device
    return run_training(plan, run.folder, device=device, quiet=quiet)


def pace(plan: TrainingPlan, steps: int = 3) -> float:
    """Seconds a step takes here, measured over `steps` after a first one, in a folder that goes away."""
    import torch

    from zoo.training.log import Log
    from zoo.training.loop import Loop
    from zoo.training.session import build_trainer, open_splits

    with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
        trainer = build_trainer(plan)
        data, _ = open_splits(plan, trainer.model)
        with Log(Path(folder), steps, quiet=True, write=False) as log:
            loop = Loop(trainer, data, None, RunFolder(Path(folder) / "run"), log, device=plan.device)
            began = time.perf_counter()
            for step, batches in loop.sampler.stream(0, steps + 1):
                loop.stepper.step(step, batches)
                if step == 0:
                    began = time.perf_counter()
        return max(1e-4, (time.perf_counter() - began) / steps)
