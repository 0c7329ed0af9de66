"""What the pictures of a request say without a model: do photo and map agree in size, is the map of that label space? No torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.composition.request.requests import Request, Source, StyleSpec
from zoo.errors import LabelError, UsageError, ZooError
from zoo.files.images import open_image
from zoo.files.mapfiles import MapFile, palette_matches, read_map_file, to_values
from zoo.files.mapguess import SPACES, guess_face_space
from zoo.labels import LabelSpace
from zoo.registry import label_space, registry

if TYPE_CHECKING:
    import numpy as np

LOOKED_AT = 8
"""Maps of a run whose numbering is judged; a run's maps come from one place."""
TURNED = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""


def check_pictures(request: Request, output: LabelSpace) -> None:
    """Look at the photos and maps that a request names as files. output: the label space of the maps that come out.

    Raises UsageError for a map of another size than its photo, one that is legal in its label space but shows another,
    and a class asked of a style whose map lacks it; LabelError for values outside the space; DataError for damaged files.
    """
    space = request.mask_space or output
    for photo, mask in _pairs(request):
        _check_sizes(photo, mask)
    others = [*(s.mask for s in _photo_sources(request)), *(e.other for e in request.edits)]
    files = [m for m in (*request.masks[:LOOKED_AT], *others) if isinstance(m, str | Path)]
    for path in dict.fromkeys(files):
        _check_numbering(path, space, named=request.mask_space is not None)
    for spec in request.styles:
        if spec.classes is not None and spec.source.kind == "photo" and spec.source.mask is not None:
            _check_class(spec, space, output)


def _photo_sources(request: Request) -> Iterator[Source]:
    ends = () if request.style_to is None else (request.style_to,)
    yield from (s for s in (*(s.source for s in request.styles), *ends) if s.kind == "photo")


def _pairs(request: Request) -> Iterator[tuple[Any, Any]]:
    """Photos and the maps of the same picture."""
    if request.photos and request.masks:
        yield from zip(request.photos, request.masks, strict=True)
    yield from ((s.path, s.mask) for s in _photo_sources(request) if s.mask is not None)


def check_sizes(photo: str, photo_size: tuple[int, int], mask: str, mask_size: tuple[int, int]) -> None:
    """Raise UsageError if a photo and its map differ in size. Sizes: (height, width)."""
    if photo_size != mask_size:
        raise UsageError(
            f"The photo {photo} has {photo_size[1]} x {photo_size[0]} pixels, its map {mask} has {mask_size[1]} x {mask_size[0]}:"
            " they must show the same picture at the same size."
        )


def _check_sizes(photo: Any, mask: Any) -> None:
    """`check_sizes` of two files, by their heads alone; objects of a Python caller are looked at when they are used."""
    import PIL.Image

    if not isinstance(photo, str | Path) or not isinstance(mask, str | Path):
        return
    sizes = []
    for path in (photo, mask):
        try:
            with PIL.Image.open(path) as picture:
                width, height = picture.size
                turned = path is photo and picture.getexif().get(0x0112) in TURNED
        except (OSError, SyntaxError, ValueError):
            open_image(path)  # says what is wrong with it
            raise
        sizes.append((width, height) if turned else (height, width))
    check_sizes(str(photo), sizes[0], str(mask), sizes[1])


def _check_numbering(path: str | Path, space: LabelSpace, *, named: bool) -> None:
    """Refuse a map that does not fit `space`, or (unless its space was named) one that is legal in it and shows another."""
    file = read_map_file(path)
    values = to_values(file, space)
    if named:
        return
    sign = _foreign_palette(file, space, values) or _foreign_numbers(file, space)
    if sign is not None:
        found, why = sign
        raise UsageError(
            f"{path} was taken for a map of {space.name}, the space that is used here, but {why}."
            f" Say --mask-space {found}; if it is right as it stands, --mask-space {space.name}."
        )


def _foreign_palette(file: MapFile, space: LabelSpace, values: np.ndarray) -> tuple[str, str] | None:
    """Another label space whose own colours the palette shows at their own numbers, while this one's are others."""
    if file.colors is None or file.values is None or (values != file.values).any() or palette_matches(file, space):
        return None
    shown = len(file.value_counts())
    for other in registry().working_spaces()[0] if shown > 2 else ():
        if other.name != space.name and palette_matches(file, other) and len(set(other.palette)) == len(other):
            return other.name, f"its palette shows the colours of {other.name}"
    return None


def _foreign_numbers(file: MapFile, space: LabelSpace) -> tuple[str, str] | None:
    """The other of the two orders of face parts, told from where they lie."""
    if space.name not in SPACES or file.values is None or palette_matches(file, space):
        return None
    guess = guess_face_space(file.values, [label_space(name) for name in SPACES])
    if guess is None or guess.offset or guess.space == space.name:
        return None
    odd = f" (as {space.name}, {', '.join(guess.faults[:3])})" if guess.faults else ""
    return guess.space, f"by where its parts lie its numbers are in the order of {guess.space}{odd}"


def _check_class(spec: StyleSpec, space: LabelSpace, output: LabelSpace) -> None:
    """Refuse a class asked for by name that the map of its photo does not show."""
    found = to_values(read_map_file(str(spec.source.mask)), space)
    try:
        table = space.mapping_to(output).table
    except LabelError as error:
        raise UsageError(f"The map {spec.source.mask}: {error}") from error
    shown = {output.names[table[v]] for v in set(found.ravel().tolist()) if v < len(table) and table[v] >= 0}
    check_shown(spec, shown, output)


def check_shown(spec: StyleSpec, shown: set[str], space: LabelSpace) -> None:
    """Raise UsageError for classes of a style that its source (showing the classes `shown` of `space`) lacks."""
    try:
        wanted = [space.names[space.index(c)] for c in spec.classes or ()]
    except ZooError as error:
        raise UsageError(str(error)) from error
    missing = [name for name in wanted if name not in shown]
    if missing:
        raise UsageError(
            f"The style {spec.source} has no {', '.join(missing)}: its map shows {', '.join(n for n in space.names if n in shown)}."
        )
