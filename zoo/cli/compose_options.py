"""The options of `zoo compose`, `zoo generate` and `zoo synth`, in groups. No torch in here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zoo.composition.request.faults import TRIES
from zoo.composition.request.fields import AGAIN_MOST
from zoo.composition.request.requests import FLAGS, Request
from zoo.files.mapformats import MAP_FORMATS
from zoo.files.pictureformats import PICTURE_FORMATS, QUALITY
from zoo.inference.forms import DTYPES

Options = tuple[Callable[[Any], Any], ...]


def _option(argument: str, **more: Any) -> Callable[[Any], Any]:
    """The option of a request's argument, under the flag that `Request` gives it."""
    return click.option(FLAGS[argument], argument, **more)


LABELS: Options = (
    _option(
        "labels",
        metavar="C,C",
        multiple=True,
        help="Classes that every map shall have; given several times each sample draws one of the sets, all equally often; without"
        " it label sets are drawn as the training data had them.",
    ),
    _option(
        "label_sets",
        metavar="FILE.json",
        type=click.Path(path_type=Path),
        help='Sets with weights, [{"labels": ["skin", "hair"], "weight": 2}, …]; each sample draws one.',
    ),
    _option(
        "labels_like",
        metavar="FILE|DATASET",
        help="Label sets as often as they occur in something real: a file of zoo data label-sets, a run's folder or metadata.jsonl, a"
        " shard folder or its statistics.json, or a data set (celebamask-hq:DIR#train).",
    ),
    _option(
        "balance",
        metavar="C=SHARE[,C=SHARE]",
        multiple=True,
        help="Wanted shares of classes over the run, such as eye_g=.3,hat=.2: put into label sets or taken out, sample by sample.",
    ),
    _option(
        "reject_empty",
        metavar="[=K]",
        type=int,
        is_flag=False,
        flag_value=AGAIN_MOST,
        help="A sample in which a class that was asked for came out empty is drawn anew, of the same label set, K times at most; one that"
        f" still lacks it stays, and the report tells it.  [K, if it is not said: {AGAIN_MOST}]",
    ),
    _option(
        "graphs",
        metavar="FILE.json",
        multiple=True,
        type=click.Path(path_type=Path),
        help='Scene graphs, {"objects": ["tree", "grass"], "relationships": [[0, "above", 1]]} or a list of such, for generators that'
        " take them (sg2im); -n samples of each.",
    ),
    _option(
        "require",
        metavar="C[,C]",
        help="A sample whose map lacks one of these classes is drawn again, --tries times at most; one that never shows them stays,"
        " and the report tells it.",
    ),
    _option("tries", metavar="N", type=int, help=f"Draws of a sample at most, with --require.  [default: {TRIES}]"),
)
PRIOR: Options = (
    _option(
        "prior",
        type=click.Choice(["fitted", "normal"]),
        help="Where latents come from.  [default: fitted where the model has it]",
    ),
)
MAPS: Options = (
    _option(
        "maps",
        metavar="PATH",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A label map; repeatable; a folder means its PNGs.",
    ),
    _option(
        "mask_space",
        metavar="SPACE",
        help="Label space of the maps, if it is not the synthesizer's (a name or FILE).",
    ),
    _option("trust_maps", is_flag=True, help="The maps' numbers are in that order, wherever their parts lie."),
    _option("instances", metavar="PNG", type=click.Path(path_type=Path), help="Instance numbers of the one --mask."),
)
FRAME: Options = (
    _option(
        "frame",
        metavar="auto|X,Y,SIDE[,ANGLE]",
        multiple=True,
        help="Work on this square of the photo (and of its map), in pixels of the upright photo, turned clockwise by ANGLE degrees: auto"
        " finds the face (extra faces) and takes CelebA-HQ's framing. Several photos: auto, or one for each, --photo before --style.",
    ),
)
PASTE: Options = (
    _option(
        "paste",
        is_flag=True,
        help="Blend each picture back into its photo at the photo's own size: DIR/pasted; outside the frame its pixels stay.",
    ),
)
PHOTOS: Options = (
    _option(
        "photos",
        metavar="PHOTO",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Start from a photo: its map is parsed, its look is the style. Its copy in DIR/inputs has no EXIF or other metadata.",
    ),
    click.option("--parser", metavar="MODEL", help="The parser of photos.  [default: by label space]"),
    _option("keep", metavar="C,C", default="", help="Paste these classes' pixels of the photo back."),
)
EDITS: Options = (
    _option(
        "edits",
        metavar="EDIT",
        multiple=True,
        help="add:C[,C] | remove:C | redraw:C | perturb:C[=STRENGTH] | interpolate:C=OTHER.png[@T]; repeatable.",
    ),
    _option("keep_rest", is_flag=True, help="Put the old map back where no edited class was or is."),
)
STYLES: Options = (
    _option(
        "style",
        metavar="STYLE",
        multiple=True,
        help="SOURCE or C[,C][@LAYERS]=SOURCE; SOURCE: PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean.",
    ),
    _option("style_to", metavar="SOURCE", help="The n samples go from --style to this style in equal steps."),
    _option("same_style", is_flag=True, help="All samples get the style of the first."),
)
RUN: Options = (
    _option(
        "n",
        metavar="N",
        type=int,
        default=Request.n,
        show_default=True,
        help="Samples per map or photo (or scene graph); without them, in all.",
    ),
    _option("seed", metavar="S", type=int, help="Decides everything that is random.  [default: a fresh one, recorded]"),
    click.option(
        "--out",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="Output folder.  [default: ./<composition>-<seed>/]",
    ),
    _option(
        "options",
        metavar="KEY=VALUE",
        multiple=True,
        help="A sampling option of a model, such as flatten=argmax of segvae; repeatable; zoo card lists them.",
    ),
    click.option(
        "--labelmap",
        is_flag=True,
        help="Make the folder a Pascal VOC data set too, which datumaro and CVAT import: labelmap.txt with our colours.",
    ),
    click.option(
        "--no-inputs",
        is_flag=True,
        help="Copy none of the files that are read into DIR/inputs; the manifest keeps their sha256, and zoo replay asks for"
        " them (--input).  [default: copied, photos without their metadata]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace another run of the zoo in that folder."),
    _option(
        "map_format",
        type=click.Choice(MAP_FORMATS),
        help="How maps are written: class numbers with colours, or class numbers alone, which every library reads right."
        "  [default: palette]",
    ),
    _option(
        "size",
        metavar="N|W,H",
        help="Pixels of pictures and maps, where not the models' own: what they make is resampled (Lanczos; maps by the nearest).",
    ),
    _option(
        "image_format",
        type=click.Choice(list(PICTURE_FORMATS)),
        help="How pictures are written; maps are always PNGs.  [default: png]",
    ),
    _option("quality", metavar="1..100", type=int, help=f"Quality of JPEG.  [default: {QUALITY}]"),
    _option("batch_size", metavar="B", type=int, default=Request.batch_size, show_default=True),
    click.option(
        "--dtype",
        type=click.Choice(DTYPES),
        default=DTYPES[0],
        show_default=True,
        help="Numbers that the models compute in; bf16 gives other maps and pictures, and is faster on processors that multiply it.",
    ),
    click.option(
        "--compile",
        is_flag=True,
        help="Compile the models' blocks: minutes at the first batch, then faster ones; needs a C++ compiler.",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True),
)

SHARDS: Options = (
    click.option(
        "--shards",
        metavar="DIR",
        help="Make shards instead of a folder of files: tars of about 1000 samples that webdataset reads, the same bytes whoever makes them"
        " (docs/scale.md). The same command again makes what is missing.",
    ),
    click.option("--per-shard", metavar="K", type=int, help="Samples of a shard, whole batches.  [default: about 1000]"),
    click.option("--split", metavar="A,B,C", help="Shares of train, val and test, by a hash of each sample's number.  [default: .9,.05,.05]"),
    click.option("--workers", metavar="N", type=click.IntRange(1, 1024), help="Processes that make shards.  [default: one, with a thread per processor]"),
    click.option(
        "--ray",
        metavar="[ADDRESS]",
        is_flag=False,
        flag_value="",
        help="Make shards on a Ray cluster (extra ray): HOST:PORT of its head, auto, or nothing, which starts Ray on this machine.",
    ),
    click.option("--check", is_flag=True, help="Hold shards that are there against their sha256 first.  [default: their size]"),
    click.option("--dry-run", is_flag=True, help="Say what it would make and take, by a short measurement; write nothing."),
)  # fmt: skip


def with_options(*groups: Options) -> Callable[[Any], Any]:
    """A decorator that gives a command the options of these groups, in order."""

    def add(function: Any) -> Any:
        for option in reversed([o for group in groups for o in group]):
            function = option(function)
        return function

    return add
