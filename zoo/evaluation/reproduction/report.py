"""A table's document as Markdown: the paper's figures beside ours, everything in which the protocols differ, and the claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zoo.interfaces.tables import Table

ARROW = {"higher": "↑", "lower": "↓"}
VERDICTS = {
    "agrees": "**agrees**",
    "disagrees": "**disagrees**",
    "open": "**open** (the interval holds both)",
    "not decided": "**not decided**",
}


def markdown(table: Table, document: Mapping[str, Any]) -> str:
    """The whole document, made of what stands in the JSON."""
    lines = [f"# {document['table']}", "", f"{table.title}. {table.paper}.", ""]
    if document["command"]:
        lines += [f"    {document['command']}", ""]
    for part in document["parts"]:
        lines += [*_part(table, document, part), ""]
    for need in document["absent"]:
        lines += [f"{need['title']}: not given (`--data {need['name']}:DIR`), so its part of the table is missing.", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _part(table: Table, document: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[str]:
    named = f" (in place of {part['title']})" if part["stand_in"] else ""
    yield f"## {part['given']}{named}" if part["stand_in"] else f"## {part['title']}"
    yield ""
    head = ["row"]
    for column in part["columns"]:
        head += [
            f"{column['title']} {ARROW[column['better']]} paper",
            f"{column['title']} {ARROW[column['better']]} ours",
        ]
    yield f"| {' | '.join(head)} |"
    yield "|---" + "|---:" * (len(head) - 1) + "|"
    for row in part["rows"]:
        cells = [row["title"]]
        for column in part["columns"]:
            cells += [paper_cell(row["paper"].get(column["key"])), our_cell(row["ours"].get(column["key"]))]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "The two columns of a metric are not of one protocol. What differs:"
    yield ""
    yield from (f"- {line}" for line in differences(table, document, part))
    if missing := missing_lines(part):
        yield ""
        yield "Missing:"
        yield ""
        yield from (f"- {line}" for line in missing)
    if part["claims"] or any(o["pairs"] for o in part["orders"].values()):
        yield ""
        yield "What the paper claims, in our run:"
        yield ""
        yield from (f"- {line}" for line in claim_lines(part))


def paper_cell(figure: Any) -> str:
    """A paper's figure, with its +- if it has one."""
    if figure is None:
        return "-"
    return f"{figure[0]:g} ± {figure[1]:g}" if isinstance(figure, list | tuple) else f"{figure:g}"


def our_cell(ours: Mapping[str, Any] | None) -> str:
    """A mean with its interval over seeds; of one seed the figure alone, or with the interval that the metric gives over its items."""
    if ours is None:
        return "-"
    if ours["low"] is not None:
        return f"{short(ours['mean'])} [{short(ours['low'])}, {short(ours['high'])}]"
    only = next(iter(ours["seeds"].values()))
    if only.get("low") is not None and only.get("high") is not None:
        return f"{short(ours['mean'])} ({short(only['low'])} to {short(only['high'])} over items)"
    return short(ours["mean"])


def short(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def differences(table: Table, document: Mapping[str, Any], part: Mapping[str, Any]) -> Iterator[str]:
    """In words, everything in which our figures were made in another way."""
    counted = next((row["protocols"] for row in part["rows"] if row["protocols"]), {})
    counts = next((p["protocol"]["counts"] for p in counted.values() if "counts" in p["protocol"]), {})
    here = part["given"] + (f", measured on {counts['pairs']} held-out pairs" if counts else "")
    paper = f" ({part['paper']})" if part["paper"] else ""
    yield f"Data: the paper {part['title']}{paper}; here {here}."
    trained = [facts for row in part["rows"] for facts in row["trained"].values()]
    if trained:
        yield f"Training: the paper {table.training or 'as its section on training says'}; here {_training(document, trained)}."
        yield f"Networks: {_networks(document, part)}."
    yield _seeds(document, part)
    if part["painter"]:
        yield f"Maps become pictures by `{part['painter']}`."
    for column in part["columns"]:
        metric = counted.get(column["metric"])
        ours = "; ".join(filter(None, [column["difference"], _protocol(metric["protocol"]) if metric else ""]))
        instead = f", in place of `{column['in_place_of']}`, which cannot be had here" if column["in_place_of"] else ""
        paper = column["protocol"] or "not said"
        yield f"{column['title']}: the paper: {paper}. Here (`{column['metric']}`{instead}): {ours or 'not measured'}."
    yield from (n.rstrip(".") + "." for n in table.notes)
    yield from (f"{row['title']}: {row['note']} (our reading)." for row in part["rows"] if row["note"])
    warned = {w: None for row in part["rows"] for p in row["protocols"].values() for w in p["warnings"]}
    yield from warned


def _training(document: Mapping[str, Any], trained: list[Mapping[str, Any]]) -> str:
    budget = document["budget"]
    same = f"{budget['steps']} steps" if "steps" in budget else f"{budget['minutes']:g} minutes"
    batches = sorted({str(t["options"]["batch_size"]) for t in trained})
    steps = [t["training"]["steps"] for t in trained if t["training"]]
    spent = [t["minutes"] for t in trained if t["minutes"] is not None]
    words = [f"{same} for every row", f"batch {' or '.join(batches)}"]
    if "minutes" in budget and steps:
        words.append(f"{min(steps)} to {max(steps)} steps")
    if spent:
        words.append(f"{min(spent):.1f} to {max(spent):.1f} minutes of wall time a row")
    if document["changes"]:
        words.append(", ".join(f"{k}={v}" for k, v in document["changes"].items()))
    return ", ".join(words)


def _networks(document: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    sizes = []
    for row in part["rows"]:
        facts = next(iter(row["trained"].values()), None)
        if facts and facts["parameters"]:
            sizes.append(f"{row['title']} {facts['parameters'] / 1e6:.2f} M")
    what = (
        "the official configs"
        if document["size"] == "official"
        else "the table's small form (not the official configs)"
    )
    resolution = next(
        (f["resolution"] for row in part["rows"] for f in row["trained"].values() if f["resolution"]), None
    )
    at = f" at {resolution[1]} x {resolution[0]} px" if resolution else ""
    return f"{what}{at}; parameters: {', '.join(sizes)}"


def _seeds(document: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    most = max((ours["n"] for row in part["rows"] for ours in row["ours"].values()), default=0)
    if most < 2:
        return "Seeds: one, so there is no interval over trainings, and an order of rows may be luck."
    return f"Seeds: {most}; brackets are 95 % intervals of the mean over them (Student's t)."


def _protocol(protocol: Mapping[str, Any]) -> str:
    """The facts of a protocol that decide a figure, in a few words."""
    words = []
    for key, value in protocol.items():
        if key in ("classes", "counts", "seed", "interval") or value is None:
            continue
        if isinstance(value, Mapping):
            inner = value.get("name") or ", ".join(f"{k} {v}" for k, v in value.items() if k not in ("sha256", "from"))
            words.append(f"{key.replace('_', ' ')} {inner}")
        elif isinstance(value, str | int | float):
            words.append(f"{key.replace('_', ' ')} {value}")
    return ", ".join(words)


def missing_lines(part: Mapping[str, Any]) -> list[str]:
    """Why cells are empty, each reason once with its rows."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for row in part["rows"]:
        for metric, why in row["missing"].items():
            reasons.setdefault((metric, why), []).append(row["title"])
    every = len(part["rows"])
    return [
        f"`{m}` ({'all rows' if len(rows) == every else ', '.join(rows)}): {why}." for (m, why), rows in reasons.items()
    ]


def claim_lines(part: Mapping[str, Any]) -> Iterator[str]:
    """Each claim with its verdict and the pairs behind it, then how many pairs of rows have the paper's order."""
    for claim in part["claims"]:
        seeds = f", {claim['seeds']} seed{'s' if claim['seeds'] != 1 else ''}" if claim["seeds"] else ""
        held = [p["verdict"] for p in claim["pairs"].values()]
        of = f", {held.count('agrees')} of {len(held)} comparisons" if len(held) > 1 else ""
        why = f" (no figure of: {', '.join(claim['absent'])})" if claim["absent"] else ""
        yield f"{claim['text']}: {VERDICTS[claim['verdict']]}{of}{seeds}{why}."
    titles = {c["key"]: c["title"] for c in part["columns"]}
    for key, order in part["orders"].items():
        if order["pairs"]:
            yield f"Order of rows by {titles[key]}: {order['as_in_the_paper']} of {order['pairs']} pairs as in the paper."
