"""`zoo compare`."""

from __future__ import annotations

import sys
from typing import Any

import click

from zoo.cli.show import emit_json, json_option, show

TOP = 5
"""Tensors that the report for people names."""


@click.command(epilog="Example: zoo compare run-1/model run-2/model")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@json_option
def compare(first: str, second: str, as_json: bool) -> None:
    """How two models differ: architecture, config, weights tensor by tensor, and what they give for the same inputs and seed.

    A and B are model ids, architectures, model folders or training runs. Exit 0 if config, weights, assets and outputs are equal, 1 if
    something differs.
    """
    from zoo.checkpoints.compare import compare as report_of

    report = report_of(first, second)
    if as_json:
        emit_json(report)
    else:
        for line in _lines(report):
            show(line)
    if not report["equal"]:
        sys.exit(1)


def _lines(report: dict[str, Any]) -> list[str]:
    lines = [f"A: {report['a']['folder']}", f"B: {report['b']['folder']}"]
    architectures = [report[side]["architecture"] for side in "ab"]
    same = architectures[0] == architectures[1]
    lines.append(f"architecture: {architectures[0]}" if same else f"architecture: {' against '.join(architectures)}")
    for name, (a, b) in report["config"].items():
        lines.append(f"config {name}: {a} against {b}")
    weights = report["weights"]
    lines.append(f"weights: {weights['equal']} of {weights['tensors']} tensors are equal")
    for side in ("only_a", "only_b"):
        if names := weights[side]:
            more = f", … {len(names)} in all" if len(names) > TOP else ""
            lines.append(f"  only in {side[-1].upper()}: {', '.join(names[:TOP])}{more}")
    for row in weights["different"][:TOP]:
        what = (
            f"shapes {row['shapes'][0]} and {row['shapes'][1]}"
            if row["difference"] is None
            else f"up to {row['difference']:.4g}"
        )
        lines.append(f"  {row['name']}: {what}")
    if len(weights["different"]) > TOP:
        lines.append(f"  … {len(weights['different'])} differ in all (--json names them)")
    if report["assets"]:
        lines.append(f"assets that differ: {', '.join(report['assets'])}")
    outputs = report["outputs"]
    lines.append(f"outputs: {outputs['text']}")
    return [*lines, "equal" if report["equal"] else "different"]
