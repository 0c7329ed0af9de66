"""What is measured of a finished run: every metric that the table's columns name, into a file beside the model, once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from zoo.data.specs import DataSpec, splits_of
from zoo.errors import Cancelled, UsageError, ZooError
from zoo.evaluation.evidence import Watch, unwatched
from zoo.evaluation.extractors import DEFAULT
from zoo.evaluation.parsers import model_facts
from zoo.evaluation.reproduction.pictures import Pictures, painted_folder
from zoo.evaluation.reproduction.request import ReproduceRequest
from zoo.evaluation.run import EvalRequest, Evaluation
from zoo.interfaces.tables import Column, Row, Table, TableData
from zoo.labels import LabelSpace
from zoo.registry import registry

EVERY = 1_000_000
"""Maps whose styles are drawn where no limit is given: all."""


def measured_split(need: TableData, spec: DataSpec, space: LabelSpace | None = None) -> DataSpec:
    """The held-out pairs of a data set: the split that the table names, else the first of test, val and validation that there is.

    Raises UsageError where all is one whole, or where the data are given with a split, which is that of training.
    """
    splits = splits_of(spec, space=space)
    for name in (need.split, "test", "val", "validation"):
        if name in splits and name != spec.split:
            return spec.with_split(name)
    raise UsageError(
        f"{spec} has no held-out pairs to measure on (splits: {', '.join(splits) or 'none'}; wanted: {need.split})."
    )


class Measurer:
    """Measures models of a table. Every figure comes from a file of results (`zoo.evaluation.results`) in the run's folder."""

    def __init__(self, table: Table, request: ReproduceRequest) -> None:
        self.table, self.request = table, request
        self.watch: Watch = unwatched

    def measure(
        self,
        row: Row,
        need: TableData,
        spec: DataSpec,
        seed: int,
        model: Path | None,
        home: Path,
        *,
        watch: Watch = unwatched,
    ) -> dict[str, Any]:
        """Metrics by name as in a file of results, and `missing`: by metric why there is none, in one line.

        model: None for real data, whose pictures alone are measured. home: where pictures and results of this lie.
        """
        self.watch = watch
        found: dict[str, Any] = {"metrics": {}, "missing": {}}
        told = row.paper.get(need.name, {})  # what the paper leaves out cannot be measured of that row
        columns = [c for c in self.table.columns_of(need.name) if not told or c.key in told]
        split = measured_split(need, spec)
        for painted in (False, True):
            names = list(dict.fromkeys(c.metric for c in columns if c.painted == painted))
            if not names or (model is None and not painted):
                continue
            known = self._known(names, found["missing"])
            if not known:
                continue
            try:
                subject = self._subject(row, need, split, seed, model, home, painted)
            except (Cancelled, KeyboardInterrupt):
                raise
            except ZooError as error:
                found["missing"] |= dict.fromkeys(known, one_sentence(error))
                continue
            self._evaluate(subject, seed, known, home, found)
            instead = [
                c.counterpart
                for c in columns
                if c.painted == painted and c.counterpart and c.metric in found["missing"]
            ]
            if instead := self._known(list(dict.fromkeys(instead)), found["missing"]):
                self._evaluate(subject, seed, instead, home, found)
        return found

    def _known(self, names: Iterable[str], missing: dict[str, str]) -> list[str]:
        known = []
        for name in names:
            if name in registry().names("metrics"):
                known.append(name)
            else:
                missing[name] = f"no plugin registers the metric {name!r}"
        return known

    def _subject(
        self, row: Row, need: TableData, split: DataSpec, seed: int, model: Path | None, home: Path, painted: bool
    ) -> Pictures:
        if not painted:
            assert model is not None
            return Pictures(model, split)
        painter = self.table.painter.get(need.name)
        weights = model_facts(painter) if painter else None
        folder = home / "pictures" / short_digest([str(split), self.request.limit, row.own_pictures, weights])
        return painted_folder(
            folder, model, split, painter=painter, own=row.own_pictures,
            limit=self.request.limit, seed=seed, device=self.request.device, watch=self.watch,
        )  # fmt: skip

    def _evaluate(self, made: Pictures, seed: int, names: list[str], home: Path, found: dict[str, Any]) -> None:
        asked = self.request
        request = EvalRequest(
            str(made.subject), str(made.pairs), limit=asked.limit, samples=asked.samples, seed=seed, parser=asked.parser,
            styles=asked.styles or self.table.styles, styled=asked.limit or EVERY, judges=asked.judges, extractor=asked.extractor or DEFAULT, lpips=asked.lpips,
            device=asked.device,
        )  # fmt: skip
        out = home / "results" / f"{short_digest([made.subject.name, str(made.pairs), request.options])}.json"
        out.parent.mkdir(parents=True, exist_ok=True)
        try:
            evaluation = Evaluation(request, among=names, watch=self.watch)
        except Cancelled:
            raise
        except ZooError as error:
            found["missing"] |= dict.fromkeys(names, one_sentence(error))
            return
        chosen = dict(evaluation.metrics)
        for name in names:
            if name not in chosen:
                found["missing"][name] = evaluation.skipped.get(name) or "does not measure this kind of model"
                continue
            evaluation.metrics = {name: chosen[name]}
            try:
                document = evaluation.run(out)
            except Cancelled:
                raise
            except ZooError as error:
                found["missing"][name] = one_sentence(error)
                continue
            if name in document["metrics"]:
                found["metrics"][name] = document["metrics"][name]
            else:
                found["missing"][name] = document["not_measured"].get(name, "was not measured").rstrip(".")


def one_sentence(error: ZooError) -> str:
    """The first sentence of an error, for a cell or a line."""
    from zoo.registry import told

    return told(error).split(". ")[0].rstrip(".")


def short_digest(value: Any) -> str:
    """Ten digits that stand for a JSON value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:10]


def figure(
    found: Mapping[str, Any], column: Column, metric_name: str, *, real: bool = False
) -> dict[str, float] | None:
    """The figure of a column by a metric (the column's, or its counterpart) in the paper's unit, `value` and, where the metric gives an
    interval over its items, `low` and `high`."""
    metric = found["metrics"].get(metric_name)
    if metric is None:
        return None
    for way in (column.real if real else column.score).split("|"):
        value: Any = metric["scores"]
        for part in way.split(".") if way else ():
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping) and "mean" in value:
            scaled = {k: value[k] for k in ("mean", "low", "high") if value.get(k) is not None}
        elif isinstance(value, int | float) and not isinstance(value, bool):
            scaled = {"mean": float(value)}
        else:
            continue
        scaled = {k: column.scale * float(v) for k, v in scaled.items()}
        if "mean" in scaled:
            return {"value": scaled.pop("mean"), **scaled}
    return None
