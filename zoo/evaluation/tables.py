"""Results as tables: rows for a terminal, Markdown for a file or a card. Figures of other protocols carry their names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

BY_CLASS = ("iou", "class_accuracy", "classes", "requested", "intervals")
"""Parts of scores that are no rows of their own."""
USUAL = {"extractor": "inception"}
"""What a metric's bare name means; another judge stands behind it."""


def title(name: str, found: Mapping[str, Any]) -> str:
    """A metric with the judge that decides its figures: `fid [mobilenet-v2]`, `parser_agreement [mobile-parser-celeba]`."""
    for part in ("extractor", "parser", "judge", "distance", "classifier"):
        judge = found["protocol"].get(part)
        if isinstance(judge, Mapping) and judge.get("name") != USUAL.get(part):
            return f"{name} [{judge.get('name')}]"
    return name


def rows(document: Mapping[str, Any], names: Sequence[str] | None = None) -> Iterator[tuple[str, str, str, str]]:
    """Metric, of what, figure, 95 % interval; figures by class stay in the JSON (`class_rows`)."""
    for name, found in document["metrics"].items():
        if names is None or name in names:
            yield from ((title(name, found), *row) for row in _figures(found["scores"], "", {}))


def _figures(scores: Any, where: str, intervals: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if isinstance(scores, Mapping):
        if {"mean", "low", "high"} <= scores.keys():
            yield where or "mean", number(scores["mean"]), between(scores["low"], scores["high"])
            return
        for key, value in scores.items():
            if key not in BY_CLASS:
                yield from _figures(value, f"{where}.{key}".lstrip("."), scores.get("intervals") or {})
    elif scores is None or isinstance(scores, int | float):
        yield where, number(scores), between(*intervals.get(where.rpartition(".")[2], (None, None)))


def figures(document: Mapping[str, Any]) -> dict[str, float]:
    """Every figure that has a row and is a number, by `METRIC.OF.WHAT`, rounded to what a card shows."""
    found = {}
    for name, metric in document["metrics"].items():
        for where, value in _numbers(metric["scores"], ""):
            found[f"{name}.{where}".rstrip(".")] = round(float(value), 4)
    return found


def _numbers(scores: Any, where: str) -> Iterator[tuple[str, float]]:
    if isinstance(scores, Mapping):
        if {"mean", "low", "high"} <= scores.keys():
            scores = {"": scores["mean"]}
        for key, value in scores.items():
            if key not in BY_CLASS:
                yield from _numbers(value, f"{where}.{key}".strip("."))
    elif isinstance(scores, int | float) and not isinstance(scores, bool):
        yield where, scores


def class_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Tables by class: a heading, the names of the columns, and a row for each class."""
    for name, found in document["metrics"].items():
        scores = found["scores"]
        parts = [("", scores), *((k, v) for k, v in scores.items() if isinstance(v, Mapping) and "iou" in v)]
        read = [(where, part) for where, part in parts if isinstance(part, Mapping) and "iou" in part]
        if read:
            columns = [f"{kind}{f' ({where})' if where else ''}" for where, _ in read for kind in ("IoU", "accuracy")]
            names = list(dict.fromkeys(n for _, part in read for n in part["iou"]))
            values = [[part[kind].get(n) for _, part in read for kind in ("iou", "class_accuracy")] for n in names]
            yield (
                title(name, found),
                ["class", *columns],
                [[n, *map(number, row)] for n, row in zip(names, values, strict=True)],
            )
        if name == "requests":
            table = [[n, str(v["asked"]), str(v["appeared"]), number(v["share"])] for n, v in scores["classes"].items()]
            yield name, ["class", "asked", "appeared", "share"], table
        if name == "layout":
            yield (
                name,
                ["class", "appears", "area, % (real)", "distance", "centre x y (real)", "distance"],
                list(_parts(scores)),
            )


def _parts(scores: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, row in scores["classes"].items():
        met = scores["requested"].get(name)
        area, centre = row["area"], row["centre"]
        sizes = " ".join(_percent(area[side]["mean"], area[side]["std"]) for side in ("found", "real"))
        places = [f"{number(centre[s]['x']['mean'], 2)} {number(centre[s]['y']['mean'], 2)}" for s in ("found", "real")]
        size, _, real = sizes.partition("% ")
        yield [
            name, f"{met['appeared']} of {met['asked']}" if met else "-", f"{size} ({real.rstrip('%')})", number(area["distance"], 2),
            f"{places[0]} ({places[1]})", number(centre["distance"], 3),
        ]  # fmt: skip


def _percent(mean: float | None, std: float | None) -> str:
    return " ± ".join("-" if v is None else f"{100 * v:.2f}" for v in (mean, std)) + "%"


def markdown(document: Mapping[str, Any], *, heading: str = "#") -> str:
    """The whole document for people: what was measured on what, the figures, what could not be measured, tables by class, protocols."""
    lines = [f"{heading} {document['subject']} on {document['data']}", ""] if heading else []
    size = " x ".join(str(n) for n in reversed(document["resolution"]))
    lines += [f"{document['pairs']} pairs at {size} px, label space {document['label_space']}.", ""]
    lines += table(("metric", "of", "figure", "95 % interval"), list(rows(document)))
    notes = [f"- {title(n, m)}: {w}" for n, m in document["metrics"].items() for w in m["warnings"]]
    notes += [f"- Not measured: {n}: {why.rstrip('.')}." for n, why in document.get("not_measured", {}).items()]
    lines += ["", *notes] if notes else []
    for name, columns, values in class_rows(document):
        lines += ["", f"{heading}# {name}, by class" if heading else f"By class, {name}:", "", *table(columns, values)]
    lines += ["", f"{heading}# Protocols" if heading else "Protocols:", ""]
    lines += [f"- {title(n, m)}: {protocol(m['protocol'])}" for n, m in document["metrics"].items()]
    return "\n".join(lines) + "\n"


def protocol(facts: Mapping[str, Any]) -> str:
    """How a figure was made, in one line."""

    def said(value: Any) -> str:
        if isinstance(value, Mapping):
            return "{" + ", ".join(f"{k} {said(v)}" for k, v in value.items()) + "}"
        if isinstance(value, list | tuple):
            return " ".join(map(str, value)) if len(value) <= 4 else f"{len(value)} of them"
        if value is None:
            return "none"
        text = str(value)
        return text[:12] + "…" if len(text) == 64 and " " not in text else text

    return "; ".join(f"{name} {said(value)}" for name, value in facts.items())


def table(columns: Sequence[str], values: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown."""
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in values]


def number(value: float | None, digits: int = 4) -> str:
    """A figure as tables show it."""
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def between(low: float | None, high: float | None) -> str:
    """An interval as tables show it."""
    return "" if low is None or high is None else f"{low:.4f} to {high:.4f}"
