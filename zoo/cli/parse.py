"""`zoo parse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.compose_options import SHARDS, with_options
from zoo.cli.flags import with_flags
from zoo.cli.labels import space_option
from zoo.cli.show import say, show
from zoo.errors import DataError, UsageError, few
from zoo.files.links import refuse_links
from zoo.files.mapformats import MAP_FORMATS
from zoo.registry.kinds import of_role

if TYPE_CHECKING:
    from zoo.files.opened import OpenedFiles


@click.command(epilog="Example: zoo parse me.jpg --out maps")
@click.argument("photos", metavar="PHOTO…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the maps (<photo>.png); their colours go to __colors__ in it, which no data set takes for samples.",
)
@click.option(
    "--frame",
    metavar="auto|X,Y,SIDE[,ANGLE]",
    multiple=True,
    help="Read this square of each photo alone, in pixels of the upright photo, turned clockwise by ANGLE degrees; around it lies background."
    " auto finds the face (extra faces). Several photos: auto, or one for each.",
)
@click.option(
    "--parser",
    metavar="MODEL",
    help="Of the zoo, or a folder or hf: id of transformers.  [default: the published one that reads the classes of --space best, or faces]",
)
@click.option(
    "--crop",
    metavar="X,Y,W,H",
    help="The part of each photo that is read, in pixels, for photos that are not framed as the parser expects; the rest is background.",
)
@click.option(
    "--space",
    metavar="SPACE",
    help="Write the maps in this label space (a name or FILE).  [default: the parser's]",
)
@click.option(
    "--map-format",
    type=click.Choice(MAP_FORMATS),
    help="Class numbers with colours, or class numbers alone, which every library reads right.  [default: palette; in shards grey]",
)
@click.option("--overwrite", is_flag=True, help="Replace maps that are there.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
@with_options(SHARDS)
def parse(
    photos: tuple[Path, ...],
    out: Path | None,
    frame: tuple[str, ...],
    parser: str | None,
    crop: str | None,
    space: str | None,
    map_format: str | None,
    overwrite: bool,
    device: str,
    **given: Any,
) -> None:
    """A PNG of class numbers per photo, at the photo's size. Prints the maps' paths."""
    from zoo.cli.shards import check_shard_options
    from zoo.composition.checks.before_loading import check_reference
    from zoo.composition.checks.faces import check_detector
    from zoo.composition.parsers import default_parser
    from zoo.composition.request.framing import parse_crop, read_framing
    from zoo.files.opened import OpenedFiles

    target = space_option(space)
    if frame and crop is not None:
        raise UsageError(
            "<<crop>> is a part of the photo as it lies, <<frame>> a square that may be turned: give one of them."
        )
    framing = read_framing(frame) if frame else None
    if framing is not None and framing.auto:
        check_detector()
    window = parse_crop(crop) if crop is not None else None
    parser = parser or default_parser(target)
    resolved = check_reference(parser, *of_role("parser"))
    if check_shard_options({**given, "out": out, "overwrite": overwrite}):
        from zoo.cli.shards import parse_shards
        from zoo.sharding.parsed import ParseRequest

        request = ParseRequest(target, window, framing)
        parse_shards(photo_files(photos), parser, request, device, {**given, "map_format": map_format})
        return
    if out is None:
        raise UsageError("Say where the maps go: --out DIR, or --shards DIR for tars of photos and maps.")
    files = OpenedFiles()
    names = _targets(photo_files(photos, files), out, overwrite)

    if framing is not None and not framing.auto and len(framing.frames) != len(names):
        raise UsageError(
            f"--frame takes auto or one frame for each photo (here {len(names)}), got {len(framing.frames)}."
        )

    from zoo.api import load, pick_device
    from zoo.composition.checks.faces import is_face_space, no_face, note_face
    from zoo.composition.parsing import parse_framed, parse_window
    from zoo.composition.request.framing import Framing
    from zoo.files.faces import installed
    from zoo.files.images import photo_tensor, save_image, to_pil
    from zoo.files.squares import check_inside
    from zoo.files.writing import told
    from zoo.interfaces.models import MaskParser

    where = pick_device(device)
    model = load(resolved.folder, device=where)
    assert isinstance(model, MaskParser)
    mapping = model.label_space.mapping_to(target) if target else None
    if mapping and not mapping.identity:
        say(mapping.describe())
    frames = framing.frames if framing is not None else ()
    for photo, square in zip(names.values(), frames, strict=False):  # before the first map
        check_inside(square, files.photo(photo).size, str(photo))
    faceless: list[Path] = []
    for number, (path, photo) in enumerate(names.items()):
        pixels = files.photo(photo).pixels
        if framing is None:
            read = parsed = parse_window(model, photo_tensor(pixels)[None].to(where), window).to("cpu")
            if is_face_space(model.label_space) and installed():
                note_face(pixels, str(photo), files)
        else:
            one = Framing(framing.auto, frames[number : number + 1])
            try:
                parsed, _, read = parse_framed(model, photo_tensor(pixels), str(photo), one, files)
            except DataError as error:
                if len(names) == 1:
                    raise
                say(with_flags(error))  # the others are parsed all the same
                faceless.append(photo)
                continue
        for note in (*files.take_notes(), no_face(read.label_set().names, read.space, str(photo))):
            if note:
                say(with_flags(note))
        parsed = parsed.mapped(mapping) if mapping else parsed
        with told(preview(path).parent):
            preview(path).parent.mkdir(parents=True, exist_ok=True)
        parsed.to_png(path, map_format=map_format or MAP_FORMATS[0])
        save_image(to_pil(parsed.colorize()[0]), preview(path))
        show(path)
    if faceless:
        raise DataError(f"{len(faceless)} of {len(names)} photos have no map: {few([str(p) for p in faceless])}.")


def preview(path: Path) -> Path:
    """Where the colours of a map go: `datasets` leaves out folders of such names, and so does `folder:`."""
    return path.parent / "__colors__" / path.name


def _targets(photos: list[Path], out: Path, overwrite: bool) -> dict[Path, Path]:
    """The map that each photo becomes. Raises UsageError where files would collide or something of the user's be lost."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file: name a folder.")
    refuse_links(out, [f"{preview(Path('x')).parent}/"], "remove it, or choose another --out")
    names: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for photo in photos:
        path = out / f"{photo.stem}.png"
        for target in (path, preview(path)):
            if target in taken:
                raise UsageError(
                    f"{taken[target]} and {photo} would both become {target}: parse them into different folders."
                )
            if target.exists() and any(target.samefile(p) for p in photos):
                raise UsageError(f"The map of {photo} would replace the photo {target}: choose another --out.")
            if target.exists() and not overwrite:
                raise UsageError(f"{target} exists: choose another --out, or --overwrite.")
            taken[target] = photo
        names[path] = photo
    return names


def photo_files(paths: tuple[Path, ...], opened: OpenedFiles | None = None) -> list[Path]:
    """Files as they are, folders as their pictures. opened: every one is decoded once, so that a bad one stops before the first map."""
    from zoo.composition.checks.before_loading import existing_file
    from zoo.files.images import IMAGE_SUFFIXES, is_picture

    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            pictures = sorted(p for p in path.iterdir() if is_picture(p))
            if not pictures:
                raise UsageError(f"The folder {path} holds no pictures ({', '.join(IMAGE_SUFFIXES)}).")
            files += pictures
        else:
            files.append(existing_file(path, "photo"))
    if opened is not None:
        for path in files:
            opened.photo(path)
    return files
