"""`zoo translate`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.compose import progress_bar
from zoo.cli.compose_report import report
from zoo.cli.show import say, show
from zoo.environment import keep_pages, uncollected
from zoo.errors import DataError, UsageError
from zoo.files.pictureformats import PICTURE_FORMATS, QUALITY
from zoo.inference.forms import DTYPES
from zoo.registry.kinds import of_role
from zoo.rng import fresh_seed
from zoo.translation.request import DEFAULT_N, STYLES, TranslationRequest, parse_styles

if TYPE_CHECKING:
    from zoo.files.opened import OpenedFiles
    from zoo.translation.folder import TranslationFolder
    from zoo.translation.run import Translation


@click.command(epilog="Example: zoo translate ./run/model photo.jpg --to B --style seed:1 --style seed:2 --out winter")
@click.argument("model", metavar="MODEL")
@click.argument("paths", metavar="PHOTO…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", metavar="DOMAIN", help="The domain of the pictures.  [default: the model's last]")
@click.option("--from", "source", metavar="DOMAIN", help="The domain of the photos.  [default: the other one of two]")
@click.option(
    "--style",
    "styles",
    metavar="STYLE",
    multiple=True,
    help=f"{STYLES}; a photo is of the domain of the pictures. Given several times, sample j of a photo has the j-th.  [default: random]",
)
@click.option(
    "-n",
    "n",
    metavar="N",
    type=int,
    help=f"Pictures of each photo.  [default: one of each --style, {DEFAULT_N} at random]",
)
@click.option(
    "--seed", metavar="S", type=int, help="Decides everything that is random.  [default: a fresh one, recorded]"
)
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Output folder.  [default: ./<model>-<seed>/]"
)
@click.option(
    "--no-inputs",
    is_flag=True,
    help="Copy none of the photos into DIR/inputs; zoo replay asks for them (--input).  [default: copied, without their metadata]",
)
@click.option("--overwrite", is_flag=True, help="Replace another run of the zoo in that folder.")
@click.option(
    "--format", "image_format", type=click.Choice(list(PICTURE_FORMATS)), default="png", show_default=True, help="How pictures are written."
)  # fmt: skip
@click.option("--quality", metavar="1..100", type=int, help=f"Quality of JPEG.  [default: {QUALITY}]")
@click.option("--batch-size", metavar="B", type=int, default=TranslationRequest.batch_size, show_default=True)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default=DTYPES[0],
    show_default=True,
    help="Numbers that the model computes in; bf16 gives other pictures, and is faster on processors that multiply it.",
)
@click.option(
    "--compile", is_flag=True, help="Compile the model's blocks: minutes at the first batch, then faster ones."
)
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def translate(
    model: str,
    paths: tuple[Path, ...],
    to: str | None,
    source: str | None,
    styles: tuple[str, ...],
    n: int | None,
    seed: int | None,
    out: Path | None,
    no_inputs: bool,
    overwrite: bool,
    image_format: str,
    quality: int | None,
    batch_size: int,
    dtype: str,
    compile: bool,
    device: str,
) -> None:
    """Photos as if they were of another domain. Prints the output folder.

    A folder means its pictures. The same command again continues an interrupted run; zoo replay makes it again.
    """
    from zoo.cli.parse import photo_files
    from zoo.composition.checks.before_loading import check_reference, existing_file
    from zoo.composition.folder.records import existing_seed
    from zoo.composition.folder.target import check_target
    from zoo.files.opened import OpenedFiles
    from zoo.inference.forms import check_form

    if seed is None and out is not None and not overwrite:
        seed = existing_seed(out)
    parsed, files = parse_styles(styles), OpenedFiles()
    fixed = [s for s in parsed if s.kind != "prior"]
    if out is not None:
        check_target(out, overwrite=overwrite)  # before many photos are decoded
    check_form(dtype, compile)
    resolved = check_reference(model, *of_role("translator"))
    request = TranslationRequest(
        tuple(str(path) for path in photo_files(paths, files)),
        n=n if n is not None else (len(parsed) if fixed else DEFAULT_N),
        seed=fresh_seed() if seed is None else seed,
        to=to,
        source=source,
        styles=parsed,
        batch_size=batch_size,
        image_format=image_format,
        quality=quality,
    )
    for style in fixed:
        if style.path is not None:
            existing_file(style.path, "photo" if style.kind == "photo" else "style file")
            if style.kind == "photo":
                files.photo(style.path)
    folder = out if out is not None else Path(f"{resolved.name}-{request.seed}")
    if out is None:
        check_target(folder, overwrite=overwrite)

    keep_pages()
    with uncollected():
        from zoo.translation.folder import TranslationFolder, check_memory, make_manifest
        from zoo.translation.run import Translation

        translation = Translation.load(model, device=device, dtype=dtype, compile=compile)
    request = translation.resolved(replace(request, device=translation.device))
    translation.check(request, files)
    check_memory(translation, request, files)
    manifest, inputs = make_manifest(translation, request, files, inputs=not no_inputs)
    with TranslationFolder(folder, manifest, inputs, overwrite=overwrite) as output:
        if not output.finished:
            _produce(translation, request, output, files)
    report(output)
    show(folder)


def _produce(
    translation: Translation, request: TranslationRequest, output: TranslationFolder, files: OpenedFiles
) -> None:
    """The batches that are missing, on the boundaries and with the threads of an uninterrupted run."""
    import torch

    total = request.samples
    say(f"{len(request.photos)} photos of {request.source} as {request.to}.")
    if not request.draws and request.n > len(request.styles):
        say(
            f"Nothing is random: with {len(request.styles)} styles some of the {request.n} pictures of a photo are the same."
        )
    if output.done:
        say(f"Continuing {output.path}: {output.done} of {total} samples are there.")
        torch.set_num_threads(output.manifest["threads"])
        if output.notes:
            say(
                f"The run began with other versions, so its new samples may differ in the last bits: {', '.join(output.notes)}."
            )
    if output.damaged:
        say(f"{output.damaged} samples are damaged or incomplete, and are made again.")
    try:
        with progress_bar(translation.name, total, output.done) as progress:
            for part in translation.run(request, files, missing=output.missing, progress=progress):
                output.write(part)
        output.finish()
    except (KeyboardInterrupt, DataError, UsageError):
        if output.done:
            say(
                f"{output.done} of {total} samples are in {output.path}; the same command with --out {output.path} continues."
            )
        raise
