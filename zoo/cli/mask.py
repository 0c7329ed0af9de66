"""`zoo mask inspect` and `zoo mask paint`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli.flags import with_flags
from zoo.cli.labels import space_option
from zoo.cli.show import emit_json, json_option, show
from zoo.errors import UsageError
from zoo.files.mapformats import MAP_FORMATS
from zoo.labels import LabelSpace

DEFAULT_SPACE = "celebamask-hq"


@click.group()
def mask() -> None:
    """Look at label-map files, and paint on them."""


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


@mask.command(
    epilog="Example: zoo mask paint face.png --stroke hair@12=40,30:60,20:90,34 --stroke skin@4=64,70 --out edited.png"
)
@click.argument("file", metavar="MAP", type=click.Path(path_type=Path))
@click.option(
    "--stroke",
    "strokes",
    metavar="STROKE",
    multiple=True,
    required=True,
    help="CLASS[@SIZE]=X,Y[:X,Y…]: lines of so many pixels (default 6) with round ends, from point to point; one point is a dot."
    " Repeatable, painted in this order.",
)
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path), required=True, help="The painted map, a PNG.")
@click.option("--space", metavar="SPACE", help="The map's label space (a name or FILE).  [default: celebamask-hq]")
@click.option(
    "--map-format",
    type=click.Choice(MAP_FORMATS),
    default=MAP_FORMATS[0],
    show_default=True,
    help="Class numbers with colours, or class numbers alone, which every library reads right.",
)
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
def paint(file: Path, strokes: tuple[str, ...], out: Path, space: str | None, map_format: str, overwrite: bool) -> None:
    """MAP with brush strokes in the given classes, as a new file; the background is the eraser. Prints its path.

    X and Y are whole pixels from the upper left corner, and may lie outside. What is painted is painted pixel by pixel: edits that
    redraw a part in a plausible shape are those of zoo compose --edit.
    """
    from zoo.cli.strokes import parse_stroke
    from zoo.composition.checks.before_loading import existing_file

    chosen = space_option(space or DEFAULT_SPACE)
    assert chosen is not None
    parsed = [parse_stroke(text, chosen) for text in strokes]
    path = _target(existing_file(file, "map file"), out, overwrite)

    from zoo.files.lines import draw_path
    from zoo.maps import SemanticMap

    semantic_map = SemanticMap.from_png(file, chosen)
    labels = semantic_map.labels[0].numpy()  # the map's own memory
    for stroke in parsed:
        draw_path(labels, stroke.points, stroke.size, stroke.value)
    semantic_map.to_png(path, map_format=map_format)
    show(path)


def _target(file: Path, out: Path, overwrite: bool) -> Path:
    """The file to write. Raises UsageError where something of the user's would be lost."""
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder: name a file.")
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: maps are written as PNG, name a file that ends in .png.")
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: choose another --out, or --overwrite.")
    if out.exists() and out.samefile(file):
        raise UsageError(f"--out {out} is the map itself: choose another file.")
    if not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    return out


def _report(file: Path, space: LabelSpace | None) -> dict[str, Any]:
    from zoo.files.mapfiles import read_map_file
    from zoo.files.mapreport import describe
    from zoo.registry import registry

    report = describe(read_map_file(file), registry().working_spaces()[0], space)
    return {"file": str(file), **report, "advice": [with_flags(line) for line in report["advice"]]}
