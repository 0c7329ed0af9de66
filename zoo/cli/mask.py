"""`zoo mask inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.flags import with_flags
from zoo.cli.labels import space_option
from zoo.cli.show import emit_json, json_option, show
from zoo.labels import LabelSpace


@click.group()
def mask() -> None:
    """Look at label-map files."""


@mask.command(epilog="Example: zoo mask inspect face.png --space celebamask-hq")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--space", metavar="SPACE", help="Check the file against this label space (a name or FILE).")
@json_option
def inspect(file: Path, space: str | None, as_json: bool) -> None:
    """What FILE holds: mode, size, values or colours with their counts, which label spaces it fits, what to do if none.

    Where the parts of a face or of people lie tells known orders of numbers from each other, and numbers that are all off by one.
    """
    from zoo.composition.checks.before_loading import existing_file

    chosen = space_option(space)
    report = _report(existing_file(file, "map file"), chosen)
    if as_json:
        emit_json(report)
        return
    show(f"{file}: mode {report['mode']}, {report['width']} x {report['height']} pixels, {report['holds']}")
    for entry in report["histogram"]:
        show(
            f"  {entry['value']!s:>16}  {entry['pixels']:>9}  {entry['share']:7.2%}"
            + (f"  {entry['class']}" if "class" in entry else "")
        )
    show("fits: " + (", ".join(report["fits"]) or "no known label space"))
    for line in report["advice"]:
        show(line)


def _report(file: Path, space: LabelSpace | None) -> dict[str, Any]:
    from zoo.files.mapfiles import read_map_file
    from zoo.files.mapreport import describe
    from zoo.registry import registry

    report = describe(read_map_file(file), registry().working_spaces()[0], space)
    return {"file": str(file), **report, "advice": [with_flags(line) for line in report["advice"]]}
