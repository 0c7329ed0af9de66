"""What the pictures of a request say without a model: are they whole, do photo and map agree in size, is the map of that label space?

The one pass over them: a command makes it before torch is imported, and a run, handed the same `OpenedFiles`, finds it made. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from zoo.composition.request.requests import Request, StyleSource, StyleSpec
from zoo.errors import LabelError, UsageError, ZooError
from zoo.files.images import turn_fault
from zoo.files.mapjudge import judge_file
from zoo.files.opened import OpenedFiles
from zoo.files.palettes import palette_doubt
from zoo.labels import LabelSpace
from zoo.registry import registry

LOOKED_AT = 8
"""Maps of a run whose numbering is judged; a run's maps come from one place."""


def check_pictures(request: Request, output: LabelSpace, files: OpenedFiles) -> None:
    """Look at every photo and map that a request names. output: the label space of the maps that come out.

    Raises UsageError for a map of another size than its photo, one that is legal in its label space but shows another,
    and a class asked of a style whose map lacks it; LabelError for values outside the space; DataError for damaged files.
    """
    space = request.mask_space or output
    for photo, mask in _pairs(request):
        _check_sizes(photo, mask, files)
    others = [*(s.mask for s in _photo_sources(request)), *(e.other for e in request.edits)]
    for path in dict.fromkeys(_paths((*request.masks[:LOOKED_AT], *others))):
        _check_numbering(path, files, space, trusted=request.trust_maps or files.trusted)
    for path in _paths(request.masks):
        shown = files.map(path)
        shown.shown(space)
        if request.instances is not None:
            files.map(request.instances).check_instances(shown.size)
    for path in _paths((*request.photos, *(s.path for s in _photo_sources(request)))):
        files.photo(path)
    for spec in request.styles:
        if spec.classes is not None and spec.source.kind == "photo" and spec.source.mask is not None:
            _check_class(spec, space, output, files)


def _paths(values: Iterable[Any]) -> Iterator[str | Path]:
    """Those that are files; a Python caller's objects have been decoded."""
    yield from (v for v in values if isinstance(v, str | Path))


def _photo_sources(request: Request) -> Iterator[StyleSource]:
    ends = () if request.style_to is None else (request.style_to,)
    yield from (s for s in (*(s.source for s in request.styles), *ends) if s.kind == "photo")


def _pairs(request: Request) -> Iterator[tuple[Any, Any]]:
    """Photos and the maps of the same picture."""
    if request.photos and request.masks:
        yield from zip(request.photos, request.masks, strict=True)
    yield from ((s.path, s.mask) for s in _photo_sources(request) if s.mask is not None)


def _check_sizes(photo: Any, mask: Any, files: OpenedFiles) -> None:
    """Raise UsageError if a photo and its map differ in size. They: paths, or the tensor and SemanticMap of a Python caller."""
    one = files.photo(photo).size if isinstance(photo, str | Path) else (photo.shape[-2], photo.shape[-1])
    other = files.map(mask).size if isinstance(mask, str | Path) else mask.size
    if one != other:
        turned = turn_fault(photo, one, other) if isinstance(photo, str | Path) else ""
        raise UsageError(
            f"The photo {_name_of(photo)} has {one[1]} x {one[0]} pixels, its map {_name_of(mask)} has {other[1]} x {other[0]}:"
            " they must show the same picture at the same size." + turned
        )


def _name_of(source: Any) -> str:
    """A path as it was written, or what kind of object it is."""
    return str(source) if isinstance(source, str | Path) else f"given as {type(source).__name__}"


def _check_numbering(path: str | Path, files: OpenedFiles, space: LabelSpace, *, trusted: bool) -> None:
    """Refuse a map that does not fit `space`, or one that is legal in it and in another order; note what is doubtful."""
    opened = files.map(path)
    if (space, trusted) in opened.passed:
        return
    file = opened.file
    verdict = None if trusted else judge_file(file, space, registry().working_spaces()[0])
    if verdict is not None and verdict.refused:
        raise UsageError(verdict.about(str(path)))
    doubt = palette_doubt(file, space, opened.labels(space))
    notes = [verdict.about(str(path))] if verdict is not None else []
    for note in [*notes, *([f"{path} {doubt}."] if doubt is not None else [])]:
        files.note(note)
    opened.passed.add((space, trusted))


def _check_class(spec: StyleSpec, space: LabelSpace, output: LabelSpace, files: OpenedFiles) -> None:
    """Refuse a class asked for by name that the map of its photo does not show."""
    values = files.map(str(spec.source.mask)).shown(space)
    try:
        table = space.mapping_to(output).table
    except LabelError as error:
        raise UsageError(f"The map {spec.source.mask}: {error}") from error
    shown = {output.names[table[v]] for v in values if v < len(table) and table[v] >= 0}
    check_classes_shown(spec, shown, output)


def check_classes_shown(spec: StyleSpec, shown: set[str], space: LabelSpace) -> None:
    """Raise UsageError for classes of a style that its source (showing the classes `shown` of `space`) lacks."""
    try:
        wanted = [space.names[space.index(c)] for c in spec.classes or ()]
    except ZooError as error:
        raise UsageError(*error.args) from error
    missing = [name for name in wanted if name not in shown]
    if missing:
        raise UsageError(
            f"The style {spec.source} has no {', '.join(missing)}: its map shows {', '.join(n for n in space.names if n in shown)}."
        )
