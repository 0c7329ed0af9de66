"""`zoo mask inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.flags import with_flags
from zoo.cli.labels import space_option
from zoo.cli.show import emit_json, json_option
from zoo.labels import LabelSpace

if TYPE_CHECKING:
    from zoo.files.mapguess import Guess


@click.group()
def mask() -> None:
    """Look at label-map files."""


@mask.command(epilog="Example: zoo mask inspect face.png --space celebamask-hq")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--space", metavar="SPACE", help="Check the file against this label space (a name or FILE).")
@json_option
def inspect(file: Path, space: str | None, as_json: bool) -> None:
    """What FILE holds: mode, size, values or colours with their counts, which label spaces it fits, what to do if none.

    Of a face, where its parts lie tells celebamask-hq's order from face-parsing's, and numbers that are all off by one.
    """
    from zoo.composition.checks.before_loading import existing_file

    chosen = space_option(space)
    report = _report(existing_file(file, "map file"), chosen)
    if as_json:
        emit_json(report)
        return
    click.echo(f"{file}: mode {report['mode']}, {report['width']} x {report['height']} pixels, {report['holds']}")
    for entry in report["histogram"]:
        click.echo(
            f"  {entry['value']!s:>16}  {entry['pixels']:>9}  {entry['share']:7.2%}"
            + (f"  {entry['class']}" if "class" in entry else "")
        )
    click.echo("fits: " + (", ".join(report["fits"]) or "no known label space"))
    for line in report["advice"]:
        click.echo(line)


def _report(file: Path, space: LabelSpace | None) -> dict[str, Any]:
    from zoo.errors import LabelError
    from zoo.files.mapfiles import fitting_spaces, likely_fix, palette_matches, read_map_file, to_values
    from zoo.registry import registry

    map_file = read_map_file(file)
    spaces = registry().working_spaces()[0] + ([space] if space else [])
    fits = list(dict.fromkeys(fitting_spaces(map_file, spaces)))
    total = map_file.size[0] * map_file.size[1]
    fitting = [s for s in spaces if s.name in fits]
    guess = _guess(map_file)
    guessed = [s for s in fitting if guess is not None and guess.offset == 0 and s.name == guess.space]
    shown = [s for s in fitting if palette_matches(map_file, s)]
    own = [s for s in shown if not s.voc_colored]
    named = space or next(iter(own or guessed or ([] if shown else fitting)), None)
    if space is None and guess is not None and guess.offset:
        named = None  # no space's names are right as it stands
    counts: dict[Any, int] = dict(map_file.value_counts() or map_file.color_counts())
    histogram = []
    for value, count in list(counts.items())[:64]:
        entry = {"value": value, "pixels": count, "share": count / total}
        if named and isinstance(value, int) and value < len(named):
            entry["class"] = named.names[value]
        histogram.append(entry)
    advice = []
    if len(counts) > 64:
        advice.append(f"{len(counts)} different values or colours in all; the first 64 are shown.")
    if map_file.values is not None and map_file.colors is not None:
        advice += _palette_advice(map_file, [s for s in spaces if s.name in fits])
    if space is not None:
        try:
            to_values(map_file, space)
        except LabelError as error:
            advice.append(with_flags(error))
    elif not fits and map_file.values is not None:
        advice.append(with_flags(likely_fix(map_file, spaces[0])))
    elif len(fits) > 1 and named is not None and palette_matches(map_file, named):
        advice.append(f"Its palette shows the colours of {named.name} at their own numbers.")
    elif len(fits) > 1 and guess is None:
        advice.append("The numbers alone do not tell which of these it is: say it with --space (or --mask-space).")
    if guess is not None:
        advice += _guess_advice(guess, space)
    holds = (
        "colours"
        if map_file.values is None
        else "class numbers" + (" with a palette" if map_file.colors is not None else "")
    )
    height, width = map_file.size
    return {
        "file": str(file),
        "mode": map_file.mode,
        "width": width,
        "height": height,
        "holds": holds,
        "histogram": histogram,
        "fits": fits,
        "guess": None if guess is None else guess.to_json(),
        "advice": advice,
    }


def _guess(map_file: Any) -> Guess | None:
    """The numbering of a face's map; None if it is none, or if its colours, not its numbers, say what its parts are."""
    from zoo.errors import LabelError
    from zoo.files.mapfiles import to_values
    from zoo.files.mapguess import SPACES, guess_face_space
    from zoo.registry import label_space

    if map_file.values is None:
        return None
    spaces = [label_space(name) for name in SPACES]
    for space in spaces if map_file.colors is not None else ():
        try:
            if (to_values(map_file, space) != map_file.values).any():
                return None
        except LabelError:
            continue
    return guess_face_space(map_file.values, spaces)


def _guess_advice(guess: Guess, space: LabelSpace | None) -> list[str]:
    from zoo.files.mapguess import SPACES

    odd = f"; {{}} {', '.join(guess.faults)}" if guess.faults else ""
    if guess.offset:
        high = guess.offset > 0
        return [
            f"Warning: its numbers are all one too {'high' if high else 'low'}: by where its parts lie, this is a face in"
            f" {guess.space} once 1 is {'subtracted' if high else 'added'}{odd.format('as it stands,')}."
        ]
    other = next(n for n in SPACES if n != guess.space)
    if space is not None and space.name == other:
        return [
            f"Warning: by where its parts lie, its numbers are in the order of {guess.space}, not of {other}"
            f"{odd.format(f'in {other}')}. Name it so: --mask-space {guess.space}."
        ]
    if space is not None and space.name != guess.space:
        return []
    return [f"By where its parts lie, its numbers are in the order of {guess.space}{odd.format(f'in {other}')}."]


def _palette_advice(map_file: Any, spaces: list[LabelSpace]) -> list[str]:
    """Say so where a palette file is read by its colours, not by its numbers."""
    from zoo.files.mapfiles import to_values

    by_color = [
        s.name for s in spaces if map_file.values.max() >= len(s) or (to_values(map_file, s) != map_file.values).any()
    ]
    return (
        [f"Its palette shows the colours of {', '.join(by_color)} at other numbers: there it is read by its colours."]
        if by_color
        else []
    )
