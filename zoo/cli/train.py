"""`zoo train`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import click

from zoo.cli.show import command_line, emit_json, show
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
@click.option(
    "--trust-maps", is_flag=True, help="The maps' numbers are in the order of their label space, wherever parts lie."
)
@click.option(
    "--init",
    metavar="MODEL",
    help="Start from these weights (and its discriminator, if it has one); without ARCH also with its config.",
)
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
    trust_maps: bool,
    init: str | None,
    changes: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    device: str | None,
    dry_run: bool,
) -> None:
    """Train a model; the run folder ends with a model folder, RUN/model, that every command takes.

    ARCH alone trains the official config; ARCH/VARIANT a named one; without either, --init MODEL gives architecture, network and label
    space, and --set changes what the weights still fit. Ctrl-C and SIGTERM save and stop. Prints the run folder.
    """
    from zoo.training.runs import RunFolder

    sets = parse_sets(changes)
    if resume:
        alone = {
            "ARCH": name,
            "--data": data,
            "--out": out,
            "--space": space,
            "--init": init,
            "--trust-maps": trust_maps,
        }
        given = [n for n, v in alone.items() if v]
        plan, run = _resumed(resume, given, sets, device), RunFolder.open(resume)
    else:
        plan = _new(
            name, data, sets, {"space": space, "init": init, "device": device or "auto", "trust_maps": trust_maps}
        )
        run = RunFolder(out or Path(f"run-{plan.architecture}"))
        if not dry_run and _first_process():
            run = RunFolder.create(run.path)
        plan.check()
    if dry_run:
        emit_json(plan.to_json())
        return
    from zoo.api import pick_device
    from zoo.training.session import run_training

    run_training(plan, run, device=str(pick_device(plan.device)))
    if _first_process():
        show(run.path)


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


def _new(name: str | None, data: str | None, sets: dict[str, str], more: dict[str, Any]) -> TrainingPlan:
    if not name and not more["init"]:
        raise UsageError(
            "Say what to train, for example: zoo train mask-vae/celeba-128 --data toy-faces (see: zoo list --kind …)"
        )
    if not data:
        raise UsageError("Say what to train on: --data toy-faces, --data celebamask-hq:DIR or --data folder:DIR.")
    return make_plan(name, data, sets, command=command_line(), **more)


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
