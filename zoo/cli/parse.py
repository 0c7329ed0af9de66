"""`zoo parse`."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli.labels import space_option
from zoo.cli.show import say
from zoo.errors import DataError, UsageError


@click.command(epilog="Example: zoo parse me.jpg --out maps")
@click.argument("photos", metavar="PHOTO…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", metavar="DIR", type=click.Path(path_type=Path), required=True, help="Folder for the maps (<photo>.png) and their colours (<photo>.color.png).")
@click.option("--parser", metavar="MODEL", default="face-parser", show_default=True)
@click.option("--space", metavar="SPACE", help="Write the maps in this label space (a name or FILE.json).  [default: the parser's]")
@click.option("--overwrite", is_flag=True, help="Replace maps that are there.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda", "mps"]), default="auto", show_default=True)
def parse(photos: tuple[Path, ...], out: Path, parser: str, space: str | None, overwrite: bool, device: str) -> None:
    """A palette PNG per photo, at the photo's size. Prints the maps' paths."""
    target = space_option(space)
    files = _photo_files(photos)
    if out.is_file():
        raise UsageError(f"--out {out} is a file: name a folder.")
    names = {}
    for photo in files:
        path = out / f"{photo.stem}.png"
        if path in names:
            raise UsageError(f"{names[path]} and {photo} would both become {path}: parse them into different folders.")
        if path.exists() and not overwrite:
            raise UsageError(f"{path} exists: choose another --out, or --overwrite.")
        names[path] = photo

    from zoo.api import load, pick_device
    from zoo.images import read_photo, save_image, to_pil
    from zoo.interfaces import MaskParser

    where = pick_device(device)
    model = load(parser, device=where)
    if not isinstance(model, MaskParser):
        raise UsageError(f"{parser} is no mask parser (see: zoo list --kind mask-parser).")
    mapping = model.label_space.mapping_to(target) if target else None
    if mapping and not mapping.identity:
        say(mapping.describe())
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {out}: {error.strerror or error}.") from error
    for path, photo in names.items():
        found = model.parse(read_photo(photo)[None].to(where)).to("cpu")
        found = found.mapped(mapping) if mapping else found
        found.to_png(path)
        save_image(to_pil(found.colorize()[0]), path.with_suffix(".color.png"))
        click.echo(str(path))


def _photo_files(paths: tuple[Path, ...]) -> list[Path]:
    from zoo.images import IMAGE_SUFFIXES, open_image

    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not found:
                raise UsageError(f"The folder {path} holds no pictures ({', '.join(IMAGE_SUFFIXES)}).")
            files += found
        else:
            if not path.is_file():
                open_image(path)
            files.append(path)
    return files
