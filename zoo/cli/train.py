"""`zoo train`."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.show import command_line, emit_json, show
from zoo.errors import UsageError, ZooError
from zoo.training.plan import TrainingPlan, make_plan

if TYPE_CHECKING:
    from zoo.training.runs import RunFolder


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

    Several processes: torchrun --nnodes N --nproc_per_node M -m zoo train … (docs/training.md). batch_size is that of a step over all of
    them together, so the same command trains the same way in any number, and --resume may change it.
    """
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dry_run
    try:
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
            plan, run = _resumed(resume, [n for n, v in alone.items() if v], sets, device)
        else:
            more = {"space": space, "init": init, "device": device or "auto", "trust_maps": trust_maps}
            plan, run = _new(name, data, sets, out, more, dry_run=dry_run)
        if dry_run:
            if plan is not None and _first_process():
                emit_json(plan.to_json())
            return
        from zoo.api import pick_device

        chosen = str(pick_device(plan.device if plan else device or "auto"))
    except ZooError as error:
        if several:
            from zoo.training.session import refuse_together

            refuse_together(error)
        raise
    from zoo.training.session import run_training

    run_training(plan, run, device=chosen)
    if _first_process():
        show(run.path)


def _first_process() -> bool:
    """True unless a launcher (torchrun) started this as one of the further processes."""
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
    name: str | None, data: str | None, sets: dict[str, str], out: Path | None, more: dict[str, Any], *, dry_run: bool
) -> tuple[TrainingPlan, RunFolder]:
    """A new run; or the one that the same command began, where the launcher starts its processes again after a fault."""
    from zoo.training.runs import RunFolder

    if not name and not more["init"]:
        raise UsageError(
            "Say what to train, for example: zoo train mask-vae/celeba-128 --data toy-faces (see: zoo list --kind …)"
        )
    if not data:
        raise UsageError("Say what to train on: --data toy-faces, --data celebamask-hq:DIR or --data folder:DIR.")
    plan = make_plan(name, data, sets, command=command_line(), **more)
    run = RunFolder(out or Path(f"run-{plan.architecture}"))
    if os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and run.has_options:
        begun = TrainingPlan.from_json(run.options(), str(run.path / "options.json"))
        if begun.command == plan.command:
            return begun, run
    if not dry_run and _first_process():
        run = RunFolder.create(run.path)
    plan.check()
    return plan, run


def _resumed(
    resume: Path, given: list[str], sets: dict[str, str], device: str | None
) -> tuple[TrainingPlan | None, RunFolder]:
    """A run to go on with; without a plan in a further process on a machine that does not see its folder."""
    from zoo.training.runs import RunFolder

    if given:
        raise UsageError(
            f"--resume RUN takes its architecture, data and folder from the run: leave out {', '.join(given)}."
        )
    if not _first_process() and not RunFolder(resume).has_options:
        return None, RunFolder(resume)
    run = RunFolder.open(resume)
    plan = TrainingPlan.from_json(run.options(), str(resume / "options.json"))
    changed = plan.with_changes(sets)
    if changed.config != plan.config:
        raise UsageError("A resumed run keeps its network: --set can change training options only.")
    # a plain resumption gives what an uninterrupted run gives, a changed one is part of the recipe
    command = f"{plan.command} && {command_line()}" if sets else plan.command
    return dataclasses.replace(changed, command=command, device=device or plan.device), run
