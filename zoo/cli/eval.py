"""`zoo eval`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.flags import with_flags
from zoo.cli.labels import space_option
from zoo.cli.show import emit_json, json_option, rich_table, say, show
from zoo.errors import UsageError
from zoo.files.names import one_line

if TYPE_CHECKING:
    from zoo.evaluation.evidence import Watch


@click.command("eval", epilog="Example: zoo eval face-parser --data toy-faces:20 --out results.json")
@click.argument("subject", metavar="MODEL|GENERATOR+SYNTHESIZER|FOLDER", required=False)
@click.option(
    "--data",
    metavar="DATASET[:PATH][#SPLIT]",
    help="The pairs to measure on, best a split that no training saw: celebamask-hq:DIR#test.",
)
@click.option(
    "--metrics", metavar="NAME,…", help="Which metrics.  [default: all that apply; --metrics list alone shows them]"
)
@click.option(
    "--out",
    metavar="FILE.json",
    type=click.Path(path_type=Path),
    help="Write the results here after each metric; the same command goes on with what is missing.",
)
@click.option("--limit", metavar="N", type=int, help="Measure on the first N pairs (or pictures) only.")
@click.option(
    "--parser",
    metavar="MODEL",
    help="The judge that reads pictures: a parser of the zoo, or a folder or hf: id of transformers.  [default: the published one for the classes]",
)
@click.option(
    "--judges",
    metavar="MODEL",
    multiple=True,
    help="A judge of maps (an auto-encoder, a shape predictor).  [default: the published ones for the classes]",
)
@click.option(
    "--extractor",
    metavar="NAME",
    default="inception",
    show_default=True,
    help="Whose features kid, fid and style_diversity compare: inception (FID's), mobilenet-v2, or a plugin's network.",
)
@click.option("--lpips", type=click.Choice(["alex", "vgg"]), default="alex", show_default=True, help="LPIPS' backbone.")
@click.option("--samples", metavar="N", type=int, default=500, show_default=True, help="Maps that a generator draws.")
@click.option(
    "--styles",
    metavar="K",
    type=int,
    default=4,
    show_default=True,
    help="Pictures of a map in the metrics of diversity.",
)
@click.option(
    "--styled", metavar="N", type=int, default=50, show_default=True, help="Of how many maps these are drawn."
)
@click.option(
    "--prior",
    type=click.Choice(["fitted", "normal"]),
    help="Of a generator's codes.  [default: fitted where there is one]",
)
@click.option("--seed", metavar="S", type=int, default=0, show_default=True, help="Of all that is drawn.")
@click.option(
    "--space", metavar="SPACE", help="Label space of the maps (a name or FILE), where the data set does not say it."
)
@click.option(
    "--markdown",
    metavar="FILE.md",
    type=click.Path(path_type=Path),
    help="Write figures, tables by class and protocols here, too.",
)
@click.option(
    "--card",
    is_flag=True,
    help="Write the figures into the model's card: its section Measured, and the Hub's model index.",
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@json_option
def evaluate(
    subject: str | None,
    data: str | None,
    metrics: str | None,
    out: Path | None,
    limit: int | None,
    parser: str | None,
    judges: tuple[str, ...],
    extractor: str,
    lpips: str,
    samples: int,
    styles: int,
    styled: int,
    prior: str | None,
    seed: int,
    space: str | None,
    markdown: Path | None,
    card: bool,
    device: str,
    as_json: bool,
) -> None:
    """Measure a model, a composition GENERATOR+SYNTHESIZER, or a FOLDER of pictures that another system made, on the pairs of a data set.

    Every figure comes with its protocol: counts, sizes, judges and their digests, seeds, classes. Pictures of a FOLDER belong to the pairs
    that have their names; with other names they are measured as a whole (kid, fid, detail). Prints a table.
    """
    names = _names(metrics)
    if names == ("list",):
        _list()
        return
    if not subject or not data:
        raise UsageError("Say what to measure and on which pairs: zoo eval MODEL --data celebamask-hq:DIR#test.")
    for option, path in (("--out", out), ("--markdown", markdown)):
        if path is not None and path.is_dir():
            raise UsageError(f"{option} {path} is a folder: name a file such as {path / 'results'}.")
    from zoo.api import pick_device
    from zoo.evaluation.run import EvalRequest, Evaluation
    from zoo.evaluation.tables import rows

    request = EvalRequest(
        subject, data, names, limit=limit, samples=samples, styles=styles, styled=styled, seed=seed, parser=parser, judges=judges,
        extractor=extractor, lpips=lpips, prior=prior, space=space_option(space), device=str(pick_device(device)),
    )  # fmt: skip
    with watching() as watch:
        evaluation = Evaluation(request, watch=watch)
        if card and (evaluation.subject.folder is None or not (evaluation.subject.folder / "README.md").is_file()):
            raise UsageError(f"--card: {subject} has no card. It is for published models and finished training runs.")
        if not evaluation.metrics:
            raise UsageError(
                f"Nothing can be measured: {'; '.join(f'{n} {w}' for n, w in evaluation.skipped.items())}."
            )
        document = evaluation.run(out, told=lambda text: say(with_flags(text)))
    for name, found in document["metrics"].items():
        for warning in found["warnings"]:
            say(f"{name}: {warning}")
    _written(document, evaluation.subject.folder if card else None, markdown)
    if as_json:
        emit_json(document)
        return
    rich_table(("metric", "of", "figure", "95 % interval"), rows(document))
    if out is not None:
        say(f"Protocols and figures by class: {out}")


def _written(document: dict[str, Any], folder: Path | None, path: Path | None) -> None:
    """Markdown and card, where they are asked for."""
    from zoo.evaluation.carding import write_into_card
    from zoo.evaluation.tables import markdown
    from zoo.files.writing import write_text

    if path is not None:
        write_text(path, markdown(document))
    if folder is not None:
        say(f"Written into {write_into_card(document, folder)}")


def _names(metrics: str | None) -> tuple[str, ...]:
    """The names of `--metrics`. Raises UsageError for an empty one or one that is given twice."""
    if metrics is None:
        return ()
    names = tuple(name.strip() for name in metrics.split(","))
    if "" in names:
        raise UsageError(f"--metrics {metrics!r}: expected names between commas, for example --metrics kid,l1.")
    if twice := [n for n in names if names.count(n) > 1]:
        raise UsageError(f"--metrics names {twice[0]!r} twice.")
    return names


def _list() -> None:
    from zoo.evaluation.run import metric_named, metric_names

    for name in metric_names():
        metric = metric_named(name)
        show(f"{name}: {metric.about} ({', '.join(metric.subjects)})")


@contextmanager
def watching() -> Iterator[Watch]:
    """A bar on stderr for what is being made; where stderr is no terminal nothing is shown or imported."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=escape(one_line(what)), completed=done, total=total
        )
