"""`zoo plot`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.eval import watching
from zoo.cli.show import say, show
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.evaluation.plots.charts import Chart

_paths = click.argument("paths", metavar="FILE.json…", nargs=-1, type=click.Path(path_type=Path), required=True)
_out = click.option(
    "--out", metavar="FILE.png", type=click.Path(path_type=Path), required=True, help="The picture; numbers beside it."
)
_device = click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)


@click.group()
def plot() -> None:
    """Charts as PNG, with the numbers behind them as JSON and CSV beside the picture. Needs the extra `plots`."""


@plot.command(epilog="Example: zoo plot classes parser.json other.json --out classes.png")
@_paths
@click.option("--metric", metavar="PART", help="Only metrics whose name holds this, for example mean_code or real.")
@_out
def classes(paths: tuple[Path, ...], metric: str | None, out: Path) -> None:
    """Intersection over union by class, of results of zoo eval or zoo reproduce, side by side."""
    _check(out)
    from zoo.evaluation.plots.sources import class_bars

    _write(class_bars(paths, metric.replace("_", " ") if metric else None), out)


@plot.command(epilog="Example: zoo plot table reproduced/segvae-table3/results.json --out orders.png")
@click.argument("path", metavar="RESULTS.json", type=click.Path(path_type=Path))
@_out
def table(path: Path, out: Path) -> None:
    """The rows of a paper's table, ours with intervals and the paper's; of segvae/table3 this is the analysis of orders."""
    _check(out)
    from zoo.evaluation.plots.sources import table_bars

    _write(table_bars(path), out)


@plot.command(epilog="Example: zoo plot training run-a run-b --only g_gan --out curves.png")
@click.argument("runs", metavar="RUN…", nargs=-1, type=click.Path(path_type=Path), required=True)
@click.option("--only", metavar="NAME", multiple=True, help="A loss or a score (held-out …); repeatable.")
@_out
def training(runs: tuple[Path, ...], only: tuple[str, ...], out: Path) -> None:
    """Losses and held-out scores of runs of zoo train over their steps."""
    _check(out)
    from zoo.evaluation.plots.sources import training_curves

    _write(training_curves(runs, only), out)


@plot.command(epilog="Example: zoo plot diversity clvae spade --data 'celebamask-hq:DIR#test' --out diversity.png")
@click.argument("models", metavar="MODEL…", nargs=-1, required=True)
@click.option("--data", metavar="DATASET[:PATH][#SPLIT]", required=True, help="The maps and their photos.")
@click.option(
    "--styles", metavar="N", type=click.IntRange(2), default=40, show_default=True, help="Pictures of each map."
)
@click.option("--limit", metavar="N", type=click.IntRange(1), help="The first N maps only.")
@click.option("--seed", metavar="S", type=click.IntRange(0), default=0, show_default=True, help="Of the styles.")
@click.option(
    "--distance", type=click.Choice(["lpips", "features"]), default="lpips", show_default=True,
    help="LPIPS, or features of MobileNetV2 where its backbone is not here.",
)  # fmt: skip
@click.option(
    "--lpips",
    "backbone",
    type=click.Choice(["alex", "vgg"]),
    default="alex",
    show_default=True,
    help="Backbone of LPIPS.",
)
@_device
@_out
def diversity(
    models: tuple[str, ...],
    data: str,
    styles: int,
    limit: int | None,
    seed: int,
    distance: str,
    backbone: str,
    device: str,
    out: Path,
) -> None:
    """Histograms over maps of how unlike their pictures in drawn styles are, and how near the nearest is to the photo (CLVAE, Figure 10)."""
    _check(out)
    from zoo.api import pick_device
    from zoo.evaluation.plots.models import DiversityRequest, diversity_histograms

    request = DiversityRequest(models, data, styles, limit, seed, distance, backbone, str(pick_device(device)))
    with watching() as watch:
        chart = diversity_histograms(request, watch=watch)
    _write(chart, out)


@plot.command(
    epilog="Example: zoo plot speed --score parser_agreement.random_style.miou --score segmentation.miou --out speed.png"
)
@click.argument("models", metavar="[MODEL…]", nargs=-1)
@click.option(
    "--score", "scores", metavar="NAME", multiple=True, help="A figure of cards; of each kind the first it has."
)
@click.option("--repeats", metavar="N", type=click.IntRange(1), default=5, show_default=True, help="Timed calls.")
@_device
@_out
def speed(models: tuple[str, ...], scores: tuple[str, ...], repeats: int, device: str, out: Path) -> None:
    """The figures of cards against the time of one map or picture here; without MODEL all whose weights are here."""
    _check(out)
    from zoo.api import pick_device
    from zoo.evaluation.plots.models import check_scores, quality_against_speed

    check_scores(scores)
    with watching() as watch:
        chart = quality_against_speed(models, scores, repeats=repeats, device=str(pick_device(device)), watch=watch)
    _write(chart, out)


@plot.command(epilog="Example: zoo plot shards pairs more-pairs --out pairs.png")
@click.argument("places", metavar="DIR…", nargs=-1, type=click.Path(path_type=Path), required=True)
@_out
def shards(places: tuple[Path, ...], out: Path) -> None:
    """Classes of shards (zoo compose --shards): in how many maps they are, their pixels, what was asked for and what came."""
    _check(out)
    from zoo.evaluation.plots.shards import shard_classes

    _write(shard_classes(places), out)


def _check(out: Path) -> None:
    """Refuse before work what could not be written after it."""
    from zoo.evaluation.plots.drawing import require_matplotlib

    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: expected a name that ends in .png.")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}.")
    require_matplotlib()


def _write(chart: Chart, out: Path) -> None:
    from zoo.evaluation.plots.drawing import draw

    draw(chart, out)
    numbers = chart.write_numbers(out)
    show(out)
    say(f"The numbers behind it: {numbers[0]}, {numbers[1]}")
