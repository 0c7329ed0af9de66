"""Charts out of files: results of `zoo eval` and `zoo reproduce`, and run folders of `zoo train`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.evaluation.plots.charts import Chart, Panel, Series
from zoo.evaluation.reproduction.results import read_document
from zoo.evaluation.results import read_results
from zoo.files.jsonfiles import read_json
from zoo.training.runs import TENSORBOARD, RunFolder

IOU = "iou"


def read_any(path: Path) -> tuple[str, dict[str, Any]]:
    """`table` or `eval` with the document. Raises UsageError for a file of something else."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}: give results.json of zoo eval or zoo reproduce.")
    found = read_json(path, error=UsageError, what="a file of results")
    if "parts" in found:
        return "table", read_document(path) or {}
    return "eval", read_results(path) or {}


# --- intersection over union by class ---------------------------------------------------------------------------------


def class_bars(paths: Sequence[Path], only: str | None = None) -> Chart:
    """Bars of IoU by class, a panel for each metric that has them and a series for each model or row. only: a part of the metric's name.

    Raises UsageError if no file has such figures.
    """
    groups: dict[str, dict[str, dict[str, float]]] = {}
    for path in paths:
        for where, who, found in _by_class(path):
            if only is None or only in where:
                groups.setdefault(where, {})[who] = found
    if not groups:
        raise UsageError(f"No intersection over union by class in {', '.join(str(p) for p in paths)}.")
    panels = []
    for where, models in groups.items():
        names = list(dict.fromkeys(n for found in models.values() for n in found))
        series = [
            Series(who, tuple(n for n in names if n in f), tuple(f[n] for n in names if n in f))
            for who, f in models.items()
        ]
        panels.append(Panel("bars", where, "class", "IoU", tuple(series)))
    return Chart("Intersection over union by class", tuple(panels))


def _by_class(path: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Metric and what of, model or row, IoU by class."""
    kind, document = read_any(path)
    if kind == "eval":
        for name, metric in document["metrics"].items():
            yield from ((w, document["subject"], f) for w, f in _ious(metric["scores"], name))
        return
    for part in document["parts"]:
        for row in part["rows"]:
            for seed, metrics in row["scores"].items():
                who = row["title"] + (f", seed {seed}" if len(row["scores"]) > 1 else "")
                for name, scores in metrics.items():
                    yield from ((f"{part['title']}: {w}", who, f) for w, f in _ious(scores, name))


def _ious(scores: Any, where: str) -> Iterator[tuple[str, dict[str, float]]]:
    if not isinstance(scores, Mapping):
        return
    for key, value in scores.items():
        if key == IOU and isinstance(value, Mapping):
            yield where, {str(n): float(v) for n, v in value.items() if v is not None}
        else:
            yield from _ious(value, f"{where}, {key.replace('_', ' ')}")


# --- a table: the paper's figures beside ours -------------------------------------------------------------------------


def table_bars(path: Path) -> Chart:
    """The figures of a table, a panel for each data set and column; ours with intervals over seeds, the paper's beside them.

    Raises UsageError for other files, and for a table without figures.
    """
    kind, document = read_any(path)
    if kind != "table":
        raise UsageError(f"{path} holds results of zoo eval: this chart is of a table (zoo reproduce).")
    panels, notes = [], []
    for part in document["parts"]:
        for column in part["columns"]:
            rows = [r for r in part["rows"] if column["key"] in r["ours"]]
            if not rows:
                continue
            ours = [r["ours"][column["key"]] for r in rows]
            mine = Series(
                "ours", tuple(r["title"] for r in rows), tuple(o["mean"] for o in ours),
                tuple(o["low"] for o in ours), tuple(o["high"] for o in ours),
            )  # fmt: skip
            told = [(r["title"], r["paper"][column["key"]]) for r in part["rows"] if column["key"] in r["paper"]]
            theirs = Series(
                "paper", tuple(t for t, _ in told), tuple(f[0] if isinstance(f, list) else f for _, f in told)
            )
            better = "more is better" if column["better"] == "higher" else "less is better"
            title = f"{part['given']}: {column['title']} ({better})"
            panels.append(Panel("bars", title, "row", column["title"], (mine, theirs) if told else (mine,)))
            if told:
                notes.append(
                    f"{column['title']} of the paper and ours are not of one protocol; what differs stands in {path.with_name('README.md').name}."
                )
    if not panels:
        raise UsageError(f"{path} has no figures yet.")
    return Chart(f"{document['table']}: {document['title']}", tuple(panels), tuple(dict.fromkeys(notes)))


# --- training ---------------------------------------------------------------------------------------------------------


def training_curves(runs: Sequence[Path], only: Sequence[str] = ()) -> Chart:
    """Losses and held-out scores over steps, a panel for each name and a series for each run. only: names to draw (all without).

    Raises UsageError for a folder that is no run, for an unknown name, and for runs that have recorded nothing.
    """
    groups: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for path in runs:
        run = RunFolder.open(path)
        for name, points in (*_losses(run), *_scores(run)):
            groups.setdefault(name, {})[path.name] = points
    if unknown := [n for n in only if n not in groups]:
        raise UsageError(f"No curve {unknown[0]!r} (recorded: {', '.join(sorted(groups)) or 'none'}).")
    chosen = {n: g for n, g in groups.items() if not only or n in only}
    if not chosen:
        raise UsageError(
            f"{', '.join(str(r) for r in runs)}: nothing has been recorded (the first losses come after `log_every` steps)."
        )
    panels = [
        Panel("lines", name, "step", name, tuple(
            Series(run, tuple(x for x, _ in points), tuple(y for _, y in points)) for run, points in found.items()
        ))
        for name, found in chosen.items()
    ]  # fmt: skip
    return Chart("Training", tuple(panels))


def _scores(run: RunFolder) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Held-out scores by name."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in run.metrics():
        for name, value in record.items():
            if name not in ("step", "samples", "minutes") and isinstance(value, int | float):
                found.setdefault(f"held-out {name}", []).append((record["step"], float(value)))
    yield from found.items()


def _losses(run: RunFolder) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Losses out of TensorBoard's event files; of a step that was recorded twice (a resumed run) the later."""
    folder = run.path / TENSORBOARD
    if not folder.is_dir():
        return
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 1})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        if tag.startswith("train/"):
            points = {e.step: float(e.value) for e in events.Scalars(tag)}
            yield tag.removeprefix("train/"), sorted((float(s), v) for s, v in points.items())
