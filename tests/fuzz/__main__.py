"""`python -m tests.fuzz`."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from pathlib import Path

import click

from . import campaign, report
from .kinds import KINDS
from .verdicts import Outcome


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--minutes", type=float, help="Stop then; the kinds share the time.  [default: full length]")
@click.option("--only", metavar="KIND,KIND", default=",".join(KINDS), help=f"Some of {', '.join(KINDS)}.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--case", type=int, help="One case of the one kind of --only again.")
@click.option("--count", type=int, help="Cases per kind.  [default: full length]")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Write counts and bad cases to FILE.")
@click.option("--table", type=click.Path(exists=True, path_type=Path), help="Print the table of such a FILE and stop.")
def main(
    minutes: float | None,
    only: str,
    seed: int,
    case: int | None,
    count: int | None,
    file: Path | None,
    table: Path | None,
) -> None:
    """Try inputs of strangers and interruptions on the commands of the zoo; exit 1 if one ended badly."""
    if table is not None:
        click.echo(report.markdown(json.loads(table.read_text())))
        return
    kinds = [k.strip() for k in only.split(",")]
    if unknown := [k for k in kinds if k not in KINDS]:
        raise click.UsageError(f"no kind {unknown[0]!r}; kinds: {', '.join(KINDS)}")
    if case is not None:
        counts = dict.fromkeys(kinds, 1)
    else:
        counts = dict.fromkeys(kinds, count) if count else None
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was tried until then is told, as at Ctrl-C
    made = campaign.run(
        kinds,
        seed=seed,
        seconds=minutes and minutes * 60,
        counts=counts,
        first=case or 0,
        told=_told if case is None else _all,
    )
    made.command = shlex.join(["python", "-m", "tests.fuzz", *sys.argv[1:]])
    found = made.to_json()
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")
    shown: set[str] = set()
    for name, number, example in report.by_fault(made.bad):
        recipe = report.recipe(example)
        click.echo(f"\n{number} x {name}" + (f"\n{recipe}" if recipe not in shown else ""))
        shown.add(recipe)
    click.echo("\n" + report.table(found))
    sys.exit(1 if made.bad else 0)


def _told(outcome: Outcome) -> None:
    if outcome.problems:
        kind, told = outcome.problems[0]
        click.echo(f"{outcome.kind} {outcome.case}: {kind}: {told}", err=True)


def _all(outcome: Outcome) -> None:
    click.echo(json.dumps(outcome.to_json(), indent=1), err=True)


main()
