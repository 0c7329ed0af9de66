"""`zoo fit`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.labels import space_option
from zoo.cli.show import command_line, emit_json, json_option, say, show
from zoo.cli.train import parse_sets
from zoo.training.fit import plan_fit, run_fit


@click.command(epilog="Example: zoo fit mask-vae-celeba label_sets --data celebamask-hq:DIR#train --out mine")
@click.argument("model")
@click.argument("asset")
@click.option(
    "--data",
    metavar="DATASET[:PATH[,KEY=VALUE]...][#SPLIT]",
    required=True,
    help="What to compute it from; without #SPLIT the split train, if there is one.",
)
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the maps (a name or FILE), where the data set does not say it.  [default: the model's]",
)
@click.option(
    "--set",
    "changes",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Override a training option, for example flip=false; repeatable.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write a copy of the model with the new asset; needed for a published model.  [default: change the folder]",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@json_option
def fit(
    model: str,
    asset: str,
    data: str,
    space: str | None,
    changes: tuple[str, ...],
    out: Path | None,
    device: str,
    as_json: bool,
) -> None:
    """Compute ASSET of MODEL (a fitted prior, the label sets) from data: again, or from other data than it was trained on.

    Whether mirror images count, and the like, is as in the model's training; --set changes it. The card gets the new digest
    and says where the asset is from. Prints the model folder.
    """
    plan = plan_fit(
        model, asset, data, out=out, changes=parse_sets(changes), space=space_option(space), command=command_line()
    )
    from zoo.api import pick_device

    report = run_fit(plan, device=str(pick_device(device)))
    if report["mapping"]:
        say(report["mapping"])
    if as_json:
        emit_json(report)
    else:
        say(f"{asset} of {report['model']} from {report['pairs']} pairs of {data}: {report['file']}")
        show(report["folder"])
