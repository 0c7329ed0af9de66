"""`zoo train`."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import click

from zoo.cli.show import command_line
from zoo.errors import UsageError
from zoo.training.plan import TrainingPlan, make_plan


@click.command(epilog="Example: zoo train mask-vae/celeba-128 --data toy-faces --set steps=50 --out run")
@click.argument("name", metavar="[ARCH[/VARIANT]]", required=False)
@click.option(
    "--data", metavar="DATASET[:PATH][#SPLIT]", help="What to train on: toy-faces, celebamask-hq:DIR, folder:DIR, …"
)
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the model and the maps (a name or FILE) instead of the config's.",
)
@click.option("--init", metavar="MODEL", help="Start from these weights (and its discriminator, if it has one).")
@click.option(
    "--set",
    "changes",
    metavar="FIELD=VALUE",
    multiple=True,
    help="Override network.FIELD, trainer.FIELD or FIELD; repeatable.",
)
@click.option(
    "--out", metavar="RUN", type=click.Path(path_type=Path), help="Run folder to make.  [default: ./run-ARCH]"
)
@click.option(
    "--resume",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help="Go on with this run; needs nothing else (--set changes training options).",
)
@click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), help="[default: auto; with --resume the run's]"
)
@click.option("--dry-run", is_flag=True, help="Print the resolved options and stop.")
def train(
    name: str | None,
    data: str | None,
    space: str | None,
    init: str | None,
    changes: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    device: str | None,
    dry_run: bool,
) -> None:
    """Train a model; the run folder ends with a model folder, RUN/model, that every command takes.

    ARCH alone trains the official config; ARCH/VARIANT a named one. Ctrl-C and SIGTERM save and stop. Prints the run folder.
    """
    from zoo.training.runs import RunFolder

    sets = parse_sets(changes)
    if resume:
        given = [
            n for n, v in (("ARCH", name), ("--data", data), ("--out", out), ("--space", space), ("--init", init)) if v
        ]
        plan, run = _resumed(resume, given, sets, device), RunFolder.open(resume)
    else:
        plan = _new(name, data, sets, space, init, device or "auto")
        run = RunFolder(out or Path(f"run-{plan.architecture}"))
        if not dry_run and _first_process():
            run = RunFolder.create(run.path)
        plan.check()
    if dry_run:
        click.echo(json.dumps(plan.to_json(), indent=2))
        return
    from zoo.api import pick_device
    from zoo.training.session import run_training

    run_training(plan, run, device=str(pick_device(plan.device)))
    if _first_process():
        click.echo(str(run.path))


def _first_process() -> bool:
    """True unless a launcher (accelerate, torchrun) started this as one of the further processes."""
    return os.environ.get("RANK", "0") == "0"


def parse_sets(changes: tuple[str, ...]) -> dict[str, str]:
    """`--set FIELD=VALUE` options as a dict. Raises UsageError."""
    sets = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {change!r}: expected FIELD=VALUE.")
        sets[key.strip()] = value.strip()
    return sets


def _new(
    name: str | None, data: str | None, sets: dict[str, str], space: str | None, init: str | None, device: str
) -> TrainingPlan:
    if not name:
        raise UsageError(
            "Say what to train, for example: zoo train mask-vae/celeba-128 --data toy-faces (see: zoo list --kind …)"
        )
    if not data:
        raise UsageError("Say what to train on: --data toy-faces, --data celebamask-hq:DIR or --data folder:DIR.")
    return make_plan(name, data, sets, space=space, init=init, command=command_line(), device=device)


def _resumed(resume: Path, given: list[str], sets: dict[str, str], device: str | None) -> TrainingPlan:
    from zoo.training.runs import RunFolder

    if given:
        raise UsageError(
            f"--resume RUN takes its architecture, data and folder from the run: leave out {', '.join(given)}."
        )
    plan = TrainingPlan.from_json(RunFolder.open(resume).options(), str(resume / "options.json"))
    changed = plan.with_changes(sets)
    if changed.config != plan.config:
        raise UsageError("A resumed run keeps its network: --set can change training options only.")
    # a plain resumption gives what an uninterrupted run gives, a changed one is part of the recipe
    command = f"{plan.command} && {command_line()}" if sets else plan.command
    return dataclasses.replace(changed, command=command, device=device or plan.device)
