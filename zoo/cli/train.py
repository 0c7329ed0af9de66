"""`zoo train`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import click

from zoo.errors import UsageError
from zoo.training.plan import Plan, make_plan


@click.command(epilog="Example: zoo train mask-vae/celeba-128 --data toy-faces --set steps=50 --out run")
@click.argument("name", metavar="[ARCH[/VARIANT]]", required=False)
@click.option("--data", metavar="DATASET[:PATH][#SPLIT]", help="What to train on: toy-faces, celebamask-hq:DIR, folder:DIR, …")
@click.option("--space", metavar="SPACE", help="Label space of the model and the maps (a name or FILE.json) instead of the config's.")
@click.option("--init", metavar="MODEL", help="Start from these weights (and its discriminator, if it has one).")
@click.option("--set", "changes", metavar="FIELD=VALUE", multiple=True, help="Override network.FIELD, trainer.FIELD or FIELD; repeatable.")
@click.option("--out", metavar="RUN", type=click.Path(path_type=Path), help="Run folder to make.  [default: ./run-ARCH]")
@click.option("--resume", metavar="RUN", type=click.Path(path_type=Path), help="Go on with this run; needs nothing else (--set changes training options).")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@click.option("--dry-run", is_flag=True, help="Print the resolved options and stop.")
def train(
    name: str | None,
    data: str | None,
    space: str | None,
    init: str | None,
    changes: tuple[str, ...],
    out: Path | None,
    resume: Path | None,
    device: str,
    dry_run: bool,
) -> None:
    """Train a model; the run folder ends with a model folder that every command takes.

    ARCH alone trains the official config; ARCH/VARIANT a named one. Prints the model folder.
    """
    sets = _parse_sets(changes)
    plan = _resumed(resume, name, data, out, sets) if resume else _new(name, data, sets, space, init)
    if dry_run:
        click.echo(json.dumps(plan.to_json(), indent=2))
        return
    from zoo.training.runs import RunFolder

    if resume:
        run = RunFolder.open(resume)
        run.write_options(plan.to_json())
    else:
        _check_data(plan)
        run = RunFolder.create(out or Path(f"run-{plan.architecture}"), plan.to_json())
    from zoo.api import pick_device
    from zoo.training.session import run_training

    click.echo(str(run_training(plan, run, device=str(pick_device(device)))))


def _parse_sets(changes: tuple[str, ...]) -> dict[str, str]:
    sets = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set {change!r}: expected FIELD=VALUE.")
        sets[key.strip()] = value.strip()
    return sets


def _new(name: str | None, data: str | None, sets: dict[str, str], space: str | None, init: str | None) -> Plan:
    if not name:
        raise UsageError("Say what to train, for example: zoo train mask-vae/celeba-128 --data toy-faces (see: zoo list --kind …)")
    if not data:
        raise UsageError("Say what to train on: --data toy-faces, --data celebamask-hq:DIR or --data folder:DIR.")
    return make_plan(name, data, sets, space=space, init=init, command=shlex.join(["zoo", *sys.argv[1:]]))


def _resumed(resume: Path, name: str | None, data: str | None, out: Path | None, sets: dict[str, str]) -> Plan:
    from zoo.training.runs import RunFolder

    if name or data or out:
        raise UsageError("--resume RUN takes its architecture, data and folder from the run: leave them out.")
    plan = Plan.from_json(RunFolder.open(resume).options(), str(resume))
    changed = plan.with_changes(sets)
    if changed.config != plan.config:
        raise UsageError("A resumed run keeps its network: --set can change training options only.")
    return changed


def _check_data(plan: Plan) -> None:
    """Name and place of the data are checked before a run folder is made."""
    from zoo.data import splits_of
    from zoo.training.session import model_space

    splits_of(plan.data, space=model_space(plan))
