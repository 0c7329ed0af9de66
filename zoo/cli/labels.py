"""`zoo labels`."""

from __future__ import annotations

import click

from zoo.cli.show import emit_json, json_option, say, show, table
from zoo.labels import LabelSpace
from zoo.registry import registry, space_or_file


def space_option(text: str | None) -> LabelSpace | None:
    """A `--space`/`--mask-space` value: a registered name, or a file with a list of classes."""
    return None if text is None else space_or_file(text)


@click.command(epilog="Example: zoo labels celebamask-hq")
@click.argument("space", required=False)
@json_option
def labels(space: str | None, as_json: bool) -> None:
    """All label spaces, or the classes of SPACE (a name, or a FILE with a list of classes) with values, colours and aliases."""
    if space is None:
        spaces, faults = registry().working_spaces()
        for fault in faults:
            say(fault)
        if as_json:
            emit_json([{"name": s.name, "classes": len(s), "title": s.title} for s in spaces])
        else:
            table(("SPACE", "CLASSES", "TITLE"), [(s.name, str(len(s)), s.title) for s in spaces])
        return
    label_space = space_option(space)
    assert label_space is not None
    if as_json:
        emit_json(label_space.to_json())
        return
    table(
        ("VALUE", "CLASS", "COLOUR", "ALSO", "MIRRORED"),
        [
            (str(v), c.name, "#{:02x}{:02x}{:02x}".format(*c.color), ", ".join(c.aliases), c.mirror or "")
            for v, c in enumerate(label_space.classes)
        ],
    )
    if label_space.ignore:
        show("255    unlabeled")
