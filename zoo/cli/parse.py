"""`zoo parse`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli.labels import space_option
from zoo.cli.show import say, show
from zoo.errors import UsageError
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
    required=True,
    help="Folder for the maps (<photo>.png); their colours go to __colors__ in it, which no data set takes for samples.",
)
@click.option(
    "--parser",
    metavar="MODEL",
    default="face-parser",
    show_default=True,
    help="Of the zoo, or a folder or hf: id of transformers.",
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
    default=MAP_FORMATS[0],
    show_default=True,
    help="Class numbers with colours, or class numbers alone, which every library reads right.",
)
@click.option("--overwrite", is_flag=True, help="Replace maps that are there.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def parse(
    photos: tuple[Path, ...],
    out: Path,
    parser: str,
    crop: str | None,
    space: str | None,
    map_format: str,
    overwrite: bool,
    device: str,
) -> None:
    """A PNG of class numbers per photo, at the photo's size. Prints the maps' paths."""
    from zoo.composition.checks.before_loading import check_reference
    from zoo.composition.parsing import parse_crop, parse_window
    from zoo.files.opened import OpenedFiles

    target = space_option(space)
    window = parse_crop(crop) if crop is not None else None
    resolved = check_reference(parser, *of_role("parser"))
    files = OpenedFiles()
    names = _targets(photo_files(photos, files), out, overwrite)

    from zoo.api import load, pick_device
    from zoo.files.images import photo_tensor, save_image, to_pil
    from zoo.files.writing import told
    from zoo.interfaces.models import MaskParser

    where = pick_device(device)
    model = load(resolved.folder, device=where)
    assert isinstance(model, MaskParser)
    mapping = model.label_space.mapping_to(target) if target else None
    if mapping and not mapping.identity:
        say(mapping.describe())
    for path, photo in names.items():
        parsed = parse_window(model, photo_tensor(files.photo(photo).pixels)[None].to(where), window).to("cpu")
        parsed = parsed.mapped(mapping) if mapping else parsed
        with told(preview(path).parent):
            preview(path).parent.mkdir(parents=True, exist_ok=True)
        parsed.to_png(path, map_format=map_format)
        save_image(to_pil(parsed.colorize()[0]), preview(path))
        show(path)


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


def photo_files(paths: tuple[Path, ...], opened: OpenedFiles) -> list[Path]:
    """Files as they are, folders as their pictures; every one is decoded once, so that a bad one stops before the first map."""
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
    for path in files:
        opened.photo(path)
    return files
