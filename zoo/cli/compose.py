"""`zoo compose`, `zoo generate`, `zoo synth`: one request, one output folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.flags import with_flags
from zoo.cli.show import say
from zoo.composition.request.requests import ARGUMENTS, FLAGS, Request, read_request, split_composition
from zoo.errors import DataError, UsageError
from zoo.files.mapformats import MAP_FORMATS
from zoo.registry.kinds import of_role
from zoo.rng import fresh_seed

if TYPE_CHECKING:
    from zoo.composition.chain import Composition
    from zoo.composition.folder.outputs import OutputFolder
    from zoo.files.opened import OpenedFiles

Options = tuple[Callable[[Any], Any], ...]
MOST_THREADS = 512
"""More than any machine of ours has: what a manifest may ask for."""


def _option(argument: str, **more: Any) -> Callable[[Any], Any]:
    """The option of a request's argument, under the flag that `Request` gives it."""
    return click.option(FLAGS[argument], argument, **more)


_LABELS: Options = (
    _option(
        "labels",
        metavar="C,C",
        help="Classes that every map shall have; without it label sets are drawn as the training data had them.",
    ),
    _option(
        "prior",
        type=click.Choice(["fitted", "normal"]),
        help="Where latents come from.  [default: fitted where the model has it]",
    ),
)
_MAPS: Options = (
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
_PHOTOS: Options = (
    _option(
        "photos",
        metavar="PHOTO",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Start from a photo: its map is parsed, its look is the style.",
    ),
    click.option("--parser", metavar="MODEL", help="The parser of photos.  [default: by label space]"),
    _option("keep", metavar="C,C", default="", help="Paste these classes' pixels of the photo back."),
)
_EDITS: Options = (
    _option(
        "edits",
        metavar="EDIT",
        multiple=True,
        help="add:C[,C] | remove:C | redraw:C | perturb:C[=STRENGTH] | interpolate:C=OTHER.png[@T]; repeatable.",
    ),
    _option("keep_rest", is_flag=True, help="Put the old map back where no edited class was or is."),
)
_STYLES: Options = (
    _option(
        "style",
        metavar="STYLE",
        multiple=True,
        help="SOURCE or C[,C][@LAYERS]=SOURCE; SOURCE: PHOTO[::MASK.png] | FILE.safetensors | seed:N | prior | mean.",
    ),
    _option("style_to", metavar="SOURCE", help="The n samples go from --style to this style in equal steps."),
    _option("same_style", is_flag=True, help="All samples get the style of the first."),
)
_RUN: Options = (
    _option(
        "n", metavar="N", type=int, default=Request.n, show_default=True, help="Samples per label set, map or photo."
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
    click.option("--overwrite", is_flag=True, help="Replace another run of the zoo in that folder."),
    _option(
        "map_format",
        type=click.Choice(MAP_FORMATS),
        help="How maps are written: class numbers with colours, or class numbers alone, which every library reads right."
        "  [default: palette]",
    ),
    _option("batch_size", metavar="B", type=int, default=Request.batch_size, show_default=True),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True),
)


def _with(*groups: Options) -> Callable[[Any], Any]:
    def add(function: Any) -> Any:
        for option in reversed([o for group in groups for o in group]):
            function = option(function)
        return function

    return add


@click.command(epilog="Example: zoo compose mask-vae+scgan --mask FACE.png --edit perturb:nose --edit redraw:hair -n 4")
@click.argument("models", metavar="GEN+SYN")
@_with(_LABELS, _MAPS, _PHOTOS, _EDITS, _STYLES, _RUN)
def compose(models: str, **given: Any) -> None:
    """Maps from a generator, pictures from a synthesizer, joined by class names. Prints the output folder.

    Each part is a model id, an architecture (its default model) or a folder (./run/model). The same command again
    continues an interrupted run.
    """
    _run(split_composition(models), given)


@click.command(epilog="Example: zoo generate mask-vae --labels skin,hair,nose,l_eye,r_eye -n 8")
@click.argument("model", metavar="GEN")
@_with(_LABELS, _MAPS, _EDITS, _RUN)
def generate(model: str, **given: Any) -> None:
    """Label maps only (of an image generator such as cgan: pictures only). Prints the output folder."""
    from zoo.composition.checks.before_loading import check_draws_maps

    maps = [name for name in ("maps", "instances", "edits", "map_format") if given[name]]
    if maps:
        check_draws_maps(model, maps)
    if given["maps"] and not given["edits"]:
        raise UsageError("zoo generate with --mask edits that map: say how (--edit redraw:hair).")
    _run((model, None), given)


@click.command(epilog="Example: zoo synth scgan face-map.png -n 4 --out faces")
@click.argument("model", metavar="SYN")
@click.argument("paths", metavar="MASK.png…", nargs=-1, required=True, type=click.Path(path_type=Path))
@_with(_LABELS[1:], _MAPS[1:], _STYLES, _RUN, _PHOTOS[1:2])
def synth(model: str, paths: tuple[Path, ...], **given: Any) -> None:
    """Pictures of given label maps. Prints the output folder."""
    _run((None, model), {**given, "maps": paths})


def _run(models: tuple[str | None, str | None], given: dict[str, Any]) -> None:
    """Check everything that needs no model (and so no torch), load, check the rest, then write."""
    from zoo.composition.checks.before_loading import check_reference, quick_check
    from zoo.composition.folder.records import existing_seed
    from zoo.composition.folder.target import check_target, has_labelmap
    from zoo.files.opened import OpenedFiles

    out, overwrite, seed = given["out"], given["overwrite"], given["seed"]
    if seed is None and out is not None and not overwrite:
        seed = existing_seed(out)
    request = _request(given, fresh_seed() if seed is None else seed)
    if out is not None:
        check_target(out, overwrite=overwrite)  # before many maps are decoded
    if given.get("parser") is not None:
        check_reference(given["parser"], *of_role("parser"))
    files = OpenedFiles()
    names = [resolved.name for resolved in quick_check(models, request, files)]
    for note in files.take_notes():
        say(with_flags(note))
    folder = out if out is not None else Path(f"{'+'.join(names)}-{request.seed}")
    if out is None:
        check_target(folder, overwrite=overwrite)

    from zoo.composition.chain import compose as load_pair
    from zoo.composition.folder.labelmap import check_labelmap, write_labelmap
    from zoo.composition.folder.manifest import make_manifest
    from zoo.composition.folder.outputs import OutputFolder

    composition = load_pair(models, device=given["device"], parser=given.get("parser"))
    request = replace(request, device=composition.device)
    if given["labelmap"]:
        if composition.direct is not None:
            raise UsageError(f"{names[0]} makes pictures without maps: leave --labelmap out.")
        check_labelmap(composition.space, request.map_format)
    manifest, inputs = make_manifest(composition, request, files)
    with OutputFolder(folder, manifest, inputs, overwrite=overwrite, space=composition.space) as output:
        changed = not output.finished
        if changed:
            _produce(composition, request, output, files)
        if given["labelmap"] or (changed and has_labelmap(folder)):
            write_labelmap(folder, composition.space, output.done)
    _report(output)
    click.echo(str(folder))


def _request(given: dict[str, Any], seed: int) -> Request:
    """The request of the options; an option that was not given leaves its field's default."""
    asked = {name: value for name, value in given.items() if name in ARGUMENTS and value not in (None, ())}
    if "maps" in asked:
        asked["maps"] = _map_files(asked["maps"])
    return read_request({**asked, "seed": seed})


def _map_files(paths: tuple[Path, ...]) -> tuple[str, ...]:
    """Files as they are, folders as their PNGs in order of name. Raises UsageError for a folder without any."""
    from zoo.files.images import is_picture

    files: list[str] = []
    for path in paths:
        if path.is_dir():
            found = sorted(str(p) for p in path.iterdir() if p.suffix.lower() == ".png" and is_picture(p))
            if not found:
                raise UsageError(f"The folder {path} holds no *.png.")
            files += found
        else:
            files.append(str(path))
    return tuple(files)


def _produce(composition: Composition, request: Request, output: OutputFolder, files: OpenedFiles) -> None:
    """The batches that are missing, on the boundaries and with the threads of an uninterrupted run."""
    import torch
    from rich.console import Console
    from rich.progress import Progress

    from zoo.composition.checks.whole import describe_randomness

    total = request.samples
    for mapping in composition.mappings(request):
        say(mapping.describe())
    note = describe_randomness(composition, request)
    if note:
        say(with_flags(note))
    if output.done:
        say(f"Continuing {output.path}: {output.done} of {total} samples are there.")
        torch.set_num_threads(_threads(output.manifest["threads"]))
        if output.notes:
            say(
                f"The run began with other versions, so its new samples may differ in the last bits: {', '.join(output.notes)}."
            )
    if output.damaged:
        say(f"{output.damaged} samples are damaged or incomplete, and are made again.")
    console = Console(stderr=True)
    try:
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(composition.name, total=total, completed=output.done)
            for part in composition.run(
                request,
                missing=output.missing,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
                files=files,
            ):
                output.write(part)
        output.finish()
    except (KeyboardInterrupt, DataError):
        if output.done:
            say(
                f"{output.done} of {total} samples are in {output.path}; the same command with --out {output.path} continues."
            )
        raise


def _threads(recorded: Any) -> int:
    """The threads that a manifest names, as far as a machine can have them."""
    return min(max(recorded, 1), MOST_THREADS) if isinstance(recorded, int) else 1


def _report(output: OutputFolder) -> None:
    """What a user should know of the finished run."""
    summary = output.manifest.get("summary", {})
    say(f"{output.done} samples, seed {output.manifest['request']['seed']}")
    missed = {n: c for n, c in summary.get("requested", {}).items() if c["appeared"] < c["asked"]}
    if missed:
        say(
            "Asked for and empty: "
            + ", ".join(f"{n} in {c['asked'] - c['appeared']} of {c['asked']}" for n, c in missed.items())
        )
    if summary.get("dropped"):
        say(
            "Without a counterpart, became background: "
            + ", ".join(f"{n} in {c}" for n, c in summary["dropped"].items())
        )
    for note in summary.get("notes", ()):
        say(note)
    if summary.get("style_from_prior"):
        say(
            "Not in the style's photo or file, taken from the prior: "
            + ", ".join(f"{n} in {c}" for n, c in summary["style_from_prior"].items())
        )
    if "style_change" in summary:
        say(_style_change(summary["style_change"]))
    if "changed_outside_edits" in summary:
        changed = summary["changed_outside_edits"]
        kept = output.manifest["request"]["keep_rest"]
        hint = " and were put back" if kept else " (--keep-rest puts the old ones back)"
        say(f"Outside the edited classes {changed:.2%} of the pixels changed{hint if changed else ''}.")


def _style_change(change: dict[str, Any]) -> str:
    """How far the styles of single classes reached, in a sentence."""
    names = ", ".join(change["classes"])
    if change["inside"] is None:
        return f"No map shows {names}: its style changed nothing."
    if change["inside"] == 0:
        return (
            f"The style of {names} changed nothing: it is what {names} would have had anyway. Give the rest a style that stays,"
            " for example --style seed:1 before it."
        )
    text = f"The style of {names} changed its pixels by {change['inside']:.4f} on average (1 is black to white)"
    if change["outside"] is None:
        return f"{text}; nothing lies farther than {change['reach']} pixels from it."
    share = "" if change["ratio"] is None else f", {change['ratio']:.2f} of that"
    return f"{text}; what lies farther than {change['reach']} pixels from it, by {change['outside']:.4f}{share}."
