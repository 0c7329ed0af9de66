"""`zoo compose`, `zoo generate`, `zoo synth`: one request, one output folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.compose_options import EDITS, FRAME, LABELS, MAPS, PASTE, PHOTOS, PRIOR, RUN, SHARDS, STYLES, with_options
from zoo.cli.compose_report import report
from zoo.cli.compose_request import read_options
from zoo.cli.flags import with_flags
from zoo.cli.show import say, show
from zoo.composition.request.requests import Request, split_composition
from zoo.environment import keep_pages, uncollected
from zoo.errors import DataError, UsageError
from zoo.files.names import one_line
from zoo.files.pictureformats import PICTURE_FORMATS
from zoo.registry.kinds import of_role
from zoo.rng import fresh_seed

if TYPE_CHECKING:
    from zoo.composition.chain import Composition
    from zoo.composition.folder.outputs import OutputFolder
    from zoo.files.opened import OpenedFiles


@click.command(epilog="Example: zoo compose mask-vae+scgan --mask FACE.png --edit perturb:nose --edit redraw:hair -n 4")
@click.argument("models", metavar="GEN+SYN")
@with_options(LABELS, PRIOR, MAPS, PHOTOS, FRAME, PASTE, EDITS, STYLES, RUN, SHARDS)
def compose(models: str, **given: Any) -> None:
    """Maps from a generator, pictures from a synthesizer, joined by class names. Prints the output folder.

    Each part is a model id, an architecture (its default model) or a folder (./run/model). The same command again
    continues an interrupted run.
    """
    _run(split_composition(models), given)


@click.command(epilog="Example: zoo generate mask-vae --labels skin,hair,nose,l_eye,r_eye -n 8")
@click.argument("model", metavar="GEN")
@with_options(LABELS, PRIOR, MAPS, EDITS, RUN, SHARDS)
def generate(model: str, **given: Any) -> None:
    """Label maps only, with the pictures of a generator that has its own (sg2im); of an image generator such as cgan pictures only. Prints
    the output folder."""
    from zoo.composition.checks.before_loading import check_draws_maps

    maps = [name for name in ("maps", "instances", "edits", "map_format", "require") if given[name]]
    if maps:
        check_draws_maps(model, maps)
    if given["maps"] and not given["edits"]:
        raise UsageError("zoo generate with --mask edits that map: say how (--edit redraw:hair).")
    _run((model, None), given)


@click.command(epilog="Example: zoo synth scgan face-map.png -n 4 --out faces")
@click.argument("model", metavar="SYN")
@click.argument("paths", metavar="MASK.png…", nargs=-1, required=True, type=click.Path(path_type=Path))
@with_options(PRIOR, MAPS[1:], STYLES, FRAME, RUN, PHOTOS[1:2], SHARDS)
def synth(model: str, paths: tuple[Path, ...], **given: Any) -> None:
    """Pictures of given label maps. Prints the output folder."""
    _run((None, model), {**given, "maps": paths})


def _run(models: tuple[str | None, str | None], given: dict[str, Any]) -> None:
    """Check everything that needs no model (and so no torch), load, check the rest, then write."""
    from zoo.cli.shards import check_shard_options, compose_shards

    if check_shard_options(given):
        compose_shards(models, given)
        return
    from zoo.composition.checks.before_loading import check_reference, quick_check
    from zoo.composition.folder.records import existing_rules, existing_seed
    from zoo.composition.folder.target import check_target, has_labelmap
    from zoo.files.opened import OpenedFiles
    from zoo.inference.forms import check_form

    out, overwrite, seed = given["out"], given["overwrite"], given["seed"]
    if seed is None and out is not None and not overwrite:
        seed = existing_seed(out)
    request = read_options(given, fresh_seed() if seed is None else seed)
    if out is not None:
        check_target(out, overwrite=overwrite)  # before many maps are decoded
    if given.get("parser") is not None:
        check_reference(given["parser"], *of_role("parser"))
    form = {"dtype": given["dtype"], "compile": given["compile"]}
    check_form(**form)
    files = OpenedFiles()
    names = [resolved.name for resolved in quick_check(models, request, files)]
    for note in files.take_notes():
        say(with_flags(note))
    folder = out if out is not None else Path(f"{'+'.join(names)}-{request.seed}")
    if out is None:
        check_target(folder, overwrite=overwrite)

    keep_pages()
    with uncollected():
        import torch

        from zoo.composition.chain import compose as load_pair
        from zoo.composition.checks.faces import note_faces, with_frames
        from zoo.composition.folder.labelmap import check_labelmap, write_labelmap
        from zoo.composition.folder.manifest import make_manifest
        from zoo.composition.folder.outputs import OutputFolder
        from zoo.composition.run.workers import share

        composition = load_pair(models, device=given["device"], parser=given.get("parser"), **form)
    request = with_frames(replace(request, device=composition.device), composition.space, files)
    note_faces(request, composition.space, files)
    for note in files.take_notes():
        say(with_flags(note))
    processors = torch.get_num_threads()
    torch.set_num_threads(share(composition, request, processors).threads)  # which the manifest tells
    if out is not None and not overwrite:
        composition.rules = existing_rules(out)
    if given["labelmap"]:
        if composition.direct is not None:
            raise UsageError(f"{names[0]} makes pictures without maps: leave --labelmap out.")
        check_labelmap(composition.space, request.map_format)
    manifest, inputs = make_manifest(composition, request, files, inputs=not given["no_inputs"])
    with OutputFolder(folder, manifest, inputs, overwrite=overwrite, space=composition.space) as output:
        changed = not output.finished
        if changed:
            _produce(composition, request, output, files, processors)
        if given["labelmap"] or (changed and has_labelmap(folder)):
            write_labelmap(folder, composition.space, output.done, PICTURE_FORMATS[request.image_format])
    report(output)
    show(folder)


@contextmanager
def progress_bar(name: str, total: int, done: int) -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr, as what takes (done, total); None where stderr is no terminal, for which nothing is imported."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task(escape(one_line(name)), total=total, completed=done)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _produce(
    composition: Composition, request: Request, output: OutputFolder, files: OpenedFiles, processors: int
) -> None:
    """The batches that are missing, on the boundaries and with the threads of an uninterrupted run. processors: how many to use."""
    import torch

    from zoo.composition.checks.whole import describe_randomness
    from zoo.composition.run.workers import share

    total = request.samples
    for mapping in composition.mappings(request):
        say(mapping.describe())
    note = describe_randomness(composition, request)
    if note:
        say(with_flags(note))
    if output.done:
        say(f"Continuing {output.path}: {output.done} of {total} samples are there.")
        if output.notes:
            say(
                f"The run began with other versions, so its new samples may differ in the last bits: {', '.join(output.notes)}."
            )
    if output.damaged:
        say(f"{output.damaged} samples are damaged or incomplete, and are made again.")
    workers, threads = share(composition, request, processors, output.manifest["threads"])
    torch.set_num_threads(threads)
    try:
        with progress_bar(composition.name, total, output.done) as progress:
            parts = composition.run(request, missing=output.missing, progress=progress, files=files, workers=workers)
            with closing(parts):
                for part in parts:
                    output.write(part)
        output.finish()
    except (KeyboardInterrupt, DataError):
        if output.done:
            say(
                f"{output.done} of {total} samples are in {output.path}; the same command with --out {output.path} continues."
            )
        raise
