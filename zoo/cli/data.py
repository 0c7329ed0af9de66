"""`zoo data`: looking at data sets. torch is imported only when a command runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.flags import with_flags
from zoo.cli.show import emit_json, json_option, say, say_count, show
from zoo.data.formats import FORMATS
from zoo.errors import UsageError
from zoo.files.mapformats import MAP_FORMATS

if TYPE_CHECKING:
    from zoo.data.check import DataReport
    from zoo.data.labelsets import CountedSets
    from zoo.labels import LabelSpace

SHOWN_PROBLEMS = 50
SHOWN_SETS = 8


@click.group()
def data() -> None:
    """Look at data sets of photos and label maps."""


@data.command()
@click.argument("dataset", metavar="DATASET[:PATH[,KEY=VALUE]...][#SPLIT]")
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the maps (a name or FILE), where the data set does not say it (of ccp: atr takes its 18 derived labels).",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SHEET.png",
    help="Write a contact sheet of up to 32 pairs.",
)
@click.option(
    "--trust-maps", is_flag=True, help="The maps' numbers are in the order of their label space, wherever parts lie."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def check(dataset: str, space: str | None, out: Path | None, trust_maps: bool, as_json: bool) -> None:
    """Read every pair of a data set and report pairs, sizes, classes and faults; exits 1 if anything is wrong.

    Data sets: celebamask-hq (layout=labels|parts|masks|segvae, else as found), ccp and humanparsing (aspect=1, crop=person,
    pad=square or mirror: maps of odd proportions left out, cropped to the person, padded to a square), folder, shards, toy-faces.

    Examples: zoo data check celebamask-hq:DIR#train --out sheet.png; zoo data check folder:faces; zoo data check toy-faces:64;
    zoo data check humanparsing:DIR,aspect=1,crop=person,pad=square
    """
    from zoo.data.check import check_data, write_sheet
    from zoo.data.specs import open_source, parse_spec

    spec = parse_spec(dataset)
    given = None if space is None else _space(space)
    source = open_source(spec, space=given)
    if given is not None and given.names != source.label_space.names:
        raise UsageError(f"{spec} says that its maps are in {source.label_space.name!r}: leave --space {space} out.")
    progress = _progress if sys.stderr.isatty() else None
    report = check_data(spec, source, trust_maps=trust_maps, told=with_flags, progress=progress)
    if out is not None and report.samples:
        write_sheet(report, source, out)
        say(f"Contact sheet: {out}")
    if as_json:
        emit_json(report.to_json())
    else:
        show(_text(report))
    if not report.ok:
        raise SystemExit(1)


@data.command("label-sets")
@click.argument("dataset", metavar="DATASET[:PATH[,KEY=VALUE]...][#SPLIT]")
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the maps (a name or FILE), where the data set does not say it.",
)
@click.option(
    "--side",
    metavar="N",
    type=click.IntRange(1, 8192),
    help="Count what maps show at N x N pixels, where small parts may be gone.  [default: at their own size]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="SETS.json",
    help="Write the counted sets, for --labels-like and --label-sets.",
)
@click.option("--overwrite", is_flag=True, help="Replace SETS.json.")
@json_option
def label_sets(
    dataset: str, space: str | None, side: int | None, out: Path | None, overwrite: bool, as_json: bool
) -> None:
    """Count which classes occur together in the maps of a data set.

    zoo compose --labels-like SETS.json draws label sets with these frequencies. Prints the share of maps that show each class and the most
    frequent sets; the background is left out.

    Examples: zoo data label-sets celebamask-hq:DIR#train --out sets.json; zoo data label-sets folder:faces
    """
    from zoo.data.labelsets import count_sets
    from zoo.data.specs import open_source
    from zoo.files.writing import write_text

    if out is not None and out.exists() and not overwrite:
        raise UsageError(f"{out} exists: choose another name, or --overwrite.")
    source = open_source(dataset, space=None if space is None else _space(space))
    found = count_sets(source, side, _progress if sys.stderr.isatty() else None)
    if out is not None:
        if not found.sets:
            raise UsageError(
                f"{dataset}: none of its {found.maps} maps shows a class, so that there is nothing to write."
            )
        write_text(out, json.dumps(found.to_json(), indent=1) + "\n")
        say(f"Label sets: {out}")
    if as_json:
        emit_json(found.to_json())
    else:
        show(_sets_text(dataset, found))


@data.command()
@click.argument("dataset", metavar="DATASET[:PATH[,KEY=VALUE]...][#SPLIT]")
@click.argument("path", metavar="FILE.tar", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the maps (a name, or FILE.json), where the data set does not say it.",
)
@click.option(
    "--map-format",
    type=click.Choice(MAP_FORMATS),
    default=MAP_FORMATS[1],
    show_default=True,
    help="webdataset's own decoders read grey maps right, of palette maps they give colours.",
)
@click.option("--overwrite", is_flag=True, help="Replace FILE.tar.")
def tar(dataset: str, path: Path, space: str | None, map_format: str, overwrite: bool) -> None:
    """Write a data set as one tar for webdataset: KEY.image.png, KEY.map.png and KEY.json per pair. Prints its path.

    Example: zoo data tar folder:faces faces.tar
    """
    from zoo.data.specs import open_source
    from zoo.data.tar import write_tar

    if path.exists() and not overwrite:
        raise UsageError(f"{path} exists: choose another name, or --overwrite.")
    source = open_source(dataset, space=None if space is None else _space(space))
    write_tar(source, path, map_format)
    show(path)


@data.command()
@click.argument("dataset", metavar="DATASET[:PATH[,KEY=VALUE]...][#SPLIT]")
@click.argument("out", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Choice(tuple(FORMATS)), help="The form of the folder.")
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the maps (a name or FILE), where the data set does not say it.",
)
def convert(dataset: str, out: Path, to: str, space: str | None) -> None:
    """Write a data set in the form of other tools, all its splits or the one that is named. Prints the folder, a new one.

    Pictures stay as they are (JPEG) or become PNG, and every pixel of the maps stays what it is; YOLO's outlines have no unlabeled pixels, and
    its background is no class. `zoo data check folder:DIR` reads the first two forms back.

    Examples: zoo data convert shards:faces faces-coco --to coco-panoptic; zoo data convert folder:faces faces-yolo --to yolo-seg
    """
    from zoo.data.formats.convert import convert as write

    progress = _progress if sys.stderr.isatty() else None
    for line in write(dataset, out, to, space=None if space is None else _space(space), progress=progress):
        say(line)
    show(out)


@data.command()
@click.argument("runs", metavar="RUN…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="DIR", required=True, type=click.Path(path_type=Path), help="The folder to write; a new one."
)
@click.option(
    "--space",
    metavar="SPACE",
    help="Label space of the merged maps (a name or FILE).  [default: that of the first run]",
)
def merge(runs: tuple[Path, ...], out: Path, space: str | None) -> None:
    """Write the samples of several run folders as one data set, in their order. Prints the folder.

    Runs of one label space are copied byte for byte; others are joined by the names of classes, and classes that the space lacks become
    its background. Each line of metadata.jsonl says where its sample is from, and each sample stays in its split. Inputs are not copied.

    Example: zoo data merge smiles hats --out faces
    """
    from zoo.composition.folder.merge import merge as write

    for line in write(runs, out, space=None if space is None else _space(space)):
        say(line)
    show(out)


def _space(name: str) -> LabelSpace:
    from zoo.registry import space_or_file

    return space_or_file(name)


def _progress(done: int, total: int) -> None:
    say_count(done + 1, total)


def _sets_text(dataset: str, found: CountedSets) -> str:
    lines = [f"{dataset}: {found.maps} maps, {len(found.sets)} different label sets, label space {found.label_space}"]
    if found.blank:
        lines.append(f"{found.blank} of the maps show no class but the background")
    lines += [f"{share:>8.2%}  {name}" for name, share in found.shares().items()]
    lines += [f"{entry['count']:>8}  {','.join(entry['labels'])}" for entry in found.sets[:SHOWN_SETS]]
    if len(found.sets) > SHOWN_SETS:
        lines.append(f"… and {len(found.sets) - SHOWN_SETS} more sets (--json or --out lists all)")
    return "\n".join(lines)


def _text(report: DataReport) -> str:
    kind = "pairs" if report.has_images else "maps without photos"
    lines = [
        f"{report.spec}: {report.pairs} {kind} in {report.location}, label space {report.label_space}"
        + (f", splits {', '.join(report.splits)}" if report.splits else ""),
        "sizes: " + (", ".join(f"{size} ({count})" for size, count in list(report.sizes.items())[:8]) or "none"),
        *report.notes,
        *([f"parts lie on each other in {report.overlap:.2%} of all pixels"] if report.overlap is not None else []),
        "value  class                     pixels        share  maps",
    ]
    for row in report.classes:
        lines.append(
            f"{row['value']:>5}  {row['name']:<18} {row['pixels']:>13,} {100 * row['share']:>11.3f}% {row['maps']:>5}"
        )
    if report.ok:
        return "\n".join([*lines, "nothing wrong"])
    count = len(report.problems)
    lines += [
        f"{count} {'problem' if count == 1 else 'problems'}:",
        *(f"- {p}" for p in report.problems[:SHOWN_PROBLEMS]),
    ]
    return "\n".join(
        lines + ([f"… and {count - SHOWN_PROBLEMS} more (--json lists all)"] if count > SHOWN_PROBLEMS else [])
    )
