"""What can be said against a request before a model is loaded: names, kinds, files, the output folder. No torch in here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.composition.requests import Request, Source
from zoo.errors import LabelError, UsageError, ZooError, did_you_mean
from zoo.hub import Resolved, resolve
from zoo.labels import LabelSpace, parse_space
from zoo.registry import Architecture, registry

ROLES = ("mask-generator", "image-synthesizer")


def existing_file(path: Path | str, what: str = "file") -> Path:
    """The path of a file that a user named. Raises UsageError with near misses if there is none, or a folder."""
    path = Path(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder: a {what} is needed here.")
    if not path.is_file():
        parent = path.parent
        near = (
            did_you_mean(path.name, [p.name for p in parent.iterdir()][:10_000])
            if parent.is_dir()
            else f" (nor a folder {parent})"
        )
        raise UsageError(f"There is no {what} {path}{near}")
    return path


def check_kind(found: str, wanted: str, source: str) -> None:
    """Raise UsageError for a model of the wrong kind."""
    if found != wanted:
        swapped = " (the generator comes first: GENERATOR+SYNTHESIZER)" if {found, wanted} <= set(ROLES) else ""
        a, b = (f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}" for kind in (found, wanted))
        raise UsageError(f"{source} is {a}, and {b} is needed here{swapped}; see: zoo list --kind {wanted}")


def check_classes(request: Request, generator: LabelSpace | None, output: LabelSpace) -> None:
    """Raise LabelError for a class that the space it is used in does not have, or whose pixels would have no place."""
    if generator is not None:
        for name in (*(request.labels or ()), *(c for e in request.edits for c in e.classes)):
            generator.index(name)
        if not (request.masks or request.photos):
            _check_dropped(request, generator, output)
    for name in (*request.keep, *(c for s in request.styles for c in s.classes or ())):
        output.index(name)


def _check_dropped(request: Request, generator: LabelSpace, output: LabelSpace) -> None:
    """Refuse label sets with classes that have no counterpart where there is no background to put there instead."""
    mapping = generator.mapping_to(output)
    if output.background is not None or not mapping.dropped:
        return
    asked = (
        {generator.names[generator.index(n)] for n in request.labels}
        if request.labels is not None
        else set(generator.names)
    )
    lost = [n for n in mapping.dropped if n in asked or n == generator.background]
    if lost:
        raise LabelError(
            f"{generator.name!r} has {', '.join(lost)}, which {output.name!r} lacks, and it has no background to put there:"
            " leave these classes out (--labels), or choose another model."
        )


def check_files(request: Request) -> None:
    """Raise UsageError for a path that names no file."""
    for mask in request.masks:
        _check_path(mask, "label map")
    for photo in request.photos:
        _check_path(photo, "photo")
    _check_path(request.instances, "instance map")
    for edit in request.edits:
        _check_path(edit.other, "label map")
    for source in sources(request):
        _check_path(source.path, "style file" if source.kind == "file" else "photo")
        _check_path(source.mask, "label map")


def _check_path(value: Any, what: str) -> None:
    if isinstance(value, str | Path):
        existing_file(value, what)


def sources(request: Request) -> Iterator[Source]:
    """All sources of style that a request names."""
    yield from (s.source for s in request.styles)
    if request.style_to is not None:
        yield request.style_to


# --- models by their config alone ---------------------------------------------------------------------------------


def quick_check(models: tuple[str | None, str | None], request: Request) -> list[Resolved]:
    """Resolve generator and synthesizer, and refuse what their configs alone rule out.

    Damaged or incomplete folders pass here and fail with the full report when they are loaded.
    Raises UsageError, LabelError, WeightsError.
    """
    resolved = [resolve(m) if m is not None else None for m in models]
    spaces: list[LabelSpace | None] = [None, None]
    for i, found in enumerate(resolved):
        if found is None:
            continue
        arch, spaces[i] = _peek(found.folder)
        if arch is not None:
            check_kind(arch.kind, ROLES[i], found.source)
            if i == 0 and request.edits and "edit" not in arch.can:
                raise UsageError(f"{found.source} ({arch.name}) cannot edit maps (see 'can' in: zoo list --json).")
    check_files(request)
    generator, synthesizer = spaces
    output = synthesizer or (generator if models[1] is None else None)
    if output is not None:
        if generator is not None:
            generator.mapping_to(output)
        check_names(request, generator, output)
    return [r for r in resolved if r is not None]


def check_reference(reference: str, kind: str) -> Resolved:
    """Resolve a model and refuse one whose config names another kind. Raises UsageError, WeightsError."""
    found = resolve(reference)
    arch, _ = _peek(found.folder)
    if arch is not None:
        check_kind(arch.kind, kind, found.source)
    return found


def check_names(request: Request, generator: LabelSpace | None, output: LabelSpace) -> None:
    """`check_classes` of a command line, where a name that does not exist is wrong usage. Raises UsageError."""
    try:
        check_classes(request, generator, output)
    except LabelError as error:
        raise UsageError(str(error)) from error


def _peek(folder: Path) -> tuple[Architecture | None, LabelSpace | None]:
    """Architecture and label space of a model folder, as far as its config can be read."""
    try:
        values = json.loads((folder / "config.json").read_text("utf-8"))
        arch = registry().architecture(values["architecture"])
        space = values["label_space"]
        return arch, registry().label_space(space) if isinstance(space, str) else parse_space(space, str(folder))
    except (OSError, ValueError, KeyError, TypeError, ZooError):
        return None, None
