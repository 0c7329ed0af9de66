"""`zoo new-plugin`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.show import say, show
from zoo.scaffold import KINDS, PARTS, new_plugin


@click.command("new-plugin", epilog="Example: zoo new-plugin toy-masks --to plugins")
@click.argument("name")
@click.option(
    "--kind", type=click.Choice([*KINDS, *PARTS]), default="mask-generator", show_default=True, help="What it adds."
)
@click.option(
    "--to",
    "where",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    metavar="DIR",
    help="Where the folder NAME is made (default: here).",
)
def new(name: str, kind: str, where: Path) -> None:
    """Write a plugin of your own: the folder NAME with a small distribution that pip installs.

    It holds one working system (a toy: config, network, loss, trainer, converter), a trained model of it with its card,
    tests, README and licence; or, by --kind, a reader of a data set or a label space, with tests. CONTRIBUTING.md of the zoo goes
    through it step by step.
    """
    folder = new_plugin(name, kind, where)
    show(folder)
    then = f"zoo list '{folder.name}*'" if kind in KINDS else "zoo plugins"
    say(f"Next: pip install -e '{folder}[test]'   then: {then}   and read {folder / 'README.md'}")
