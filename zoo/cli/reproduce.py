"""`zoo reproduce`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.eval import watching
from zoo.cli.show import command_line, emit_json, json_option, say, show, table
from zoo.cli.train import parse_sets
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.evaluation.reproduction.reproduce import Reproduction


@click.command(epilog="Example: zoo reproduce mask-vae/table1 --data celebamask-hq:DIR --budget 10m --seeds 3")
@click.argument("name", metavar="[PLUGIN/TABLE]", required=False)
@click.option("--budget", metavar="TIME|STEPS", help="Training of every row: 10m, 1.5h, 2000steps.  [default: 10m]")
@click.option("--seeds", metavar="N", type=int, default=1, show_default=True, help="Trainings of every row.")
@click.option(
    "--data",
    metavar="DATASET:PATH",
    multiple=True,
    help="A data set of the table, or one in its place (which is printed); repeatable.",
)
@click.option("--only", metavar="ROW", multiple=True, help="Rows by title, start of a title or number; repeatable.")
@click.option(
    "--size",
    type=click.Choice(["auto", "official", "small"]),
    default="auto",
    show_default=True,
    help="The official configs, or the table's narrower form.  [auto: official on an accelerator]",
)
@click.option(
    "--set", "changes", metavar="FIELD=VALUE", multiple=True, help="A training option of every row; repeatable."
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=Path("reproduced"),
    show_default=True,
    help="Trainings (shared by tables) and a folder for each table.",
)
@click.option("--limit", metavar="N", type=int, help="Measure on the first N held-out pairs only.")
@click.option("--samples", metavar="N", type=int, default=500, show_default=True, help="Maps that a generator draws.")
@click.option(
    "--styles", metavar="N", type=int, help="Pictures of a map in metrics of diversity.  [default: the table's]"
)
@click.option("--parser", metavar="MODEL", help="The judge that reads pictures.")
@click.option("--judge", "judges", metavar="MODEL", multiple=True, help="A judge of maps; repeatable.")
@click.option("--extractor", metavar="NAME", help="Whose features fid and kid compare, as of zoo eval.")
@click.option(
    "--lpips", type=click.Choice(["alex", "vgg"]), default="alex", show_default=True, help="Backbone of LPIPS."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option("--dry-run", is_flag=True, help="Say what would be trained, and how long it takes.")
@json_option
def reproduce(
    name: str | None,
    budget: str | None,
    seeds: int,
    data: tuple[str, ...],
    only: tuple[str, ...],
    size: str,
    changes: tuple[str, ...],
    out: Path,
    limit: int | None,
    samples: int,
    styles: int | None,
    parser: str | None,
    judges: tuple[str, ...],
    extractor: str | None,
    lpips: str,
    device: str,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train the rows of a paper's table at one budget, and set its figures beside ours. Without a TABLE: which there are.

    Everything in which the protocols differ is printed under the table; every claim of the paper gets a verdict, with 95 % intervals over
    seeds. Ctrl-C stops; the same command goes on, also with more seeds or rows. Writes DIR/PLUGIN-TABLE/results.json and README.md.
    """
    if name is None:
        _list(as_json)
        return
    from zoo.api import pick_device
    from zoo.evaluation.reproduction.reproduce import Reproduction
    from zoo.evaluation.reproduction.request import Budget, ReproduceRequest

    chosen = str(pick_device(device))
    request = ReproduceRequest(
        name, Budget.parse(budget or "10m"), seeds=seeds, data=data, out=out, only=only,
        size=size if size != "auto" else "small" if chosen == "cpu" else "official",
        changes=parse_sets(changes), limit=limit, samples=samples, styles=styles, parser=parser,
        judges=judges, extractor=extractor, lpips=lpips, device=chosen, command=command_line(),
    )  # fmt: skip
    reproduction = Reproduction(request, told=say, watching=watching)
    for need, command in reproduction.absent():
        say(f"{need.title} was not given; the command that would use it: {command}")
    if dry_run:
        _plan(reproduction, as_json)
        return
    document = reproduction.run()
    if as_json:
        emit_json(document)
        return
    from zoo.evaluation.reproduction.report import markdown

    show(markdown(reproduction.table, document).rstrip("\n"))
    say(f"Figures by seed and class, protocols and claims: {reproduction.folder / 'results.json'}")


def _list(as_json: bool) -> None:
    from zoo.evaluation.reproduction.request import table_named, table_names

    found: list[dict[str, Any]] = []
    for name in table_names():
        _, declared = table_named(name)
        found.append({
            "table": name, "title": declared.title, "paper": declared.paper, "data": [d.name for d in declared.data],
            "rows": [r.title for r in declared.rows], "columns": [c.title for c in declared.columns],
            "metrics": sorted({c.metric for c in declared.columns}),
        })  # fmt: skip
    if as_json:
        emit_json(found)
        return
    table(
        ("TABLE", "ROWS", "DATA", "WHAT"),
        [(t["table"], str(len(t["rows"])), ", ".join(t["data"]), t["title"]) for t in found],
    )


def _plan(reproduction: Reproduction, as_json: bool) -> None:
    """What would be done, with minutes."""
    from zoo.evaluation.reproduction.request import Budget

    rows = reproduction.schedule()
    if as_json:
        emit_json({"runs": rows, "absent": [{"data": n.name, "command": c} for n, c in reproduction.absent()]})
        return
    if not rows:
        raise UsageError("Nothing would be trained: none of the data sets was given.")
    budget: Budget = reproduction.request.budget
    show(f"{reproduction.name}: {reproduction.table.title}; {budget} a row, {reproduction.request.size} networks")
    table(
        ("ROW", "SYSTEM", "DATA", "SEED", "STATE", "MINUTES LEFT"),
        [
            (
                r["row"],
                f"{r['system']}/{r['variant']}" if r["variant"] else r["system"],
                r["data"],
                str(r["seed"]),
                r["state"],
                "?" if r["minutes"] is None else f"{r['minutes']:.1f}",
            )
            for r in rows
        ],
    )
    total = sum(r["minutes"] or 0 for r in rows)
    show(f"About {total:.0f} minutes of training on {reproduction.request.device}, and the measuring of each row.")
