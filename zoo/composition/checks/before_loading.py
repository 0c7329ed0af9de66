"""What can be said against a request before a model is loaded: names, kinds, files, the output folder. No torch in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zoo.composition.checks.faces import check_frame
from zoo.composition.checks.pictures import check_pictures
from zoo.composition.request.options import split_options
from zoo.composition.request.requests import Request, StyleSource
from zoo.composition.roles import check_kind, check_role, kinds_at, serving, stands_alone
from zoo.errors import LabelError, UsageError, ZooError, did_you_mean, shown
from zoo.files.configfile import config_values
from zoo.files.opened import OpenedFiles
from zoo.hub import Resolved, resolve
from zoo.labels import LabelSpace, parse_space
from zoo.registry import Architecture, import_string, registry
from zoo.registry.capabilities import edits, may


def existing_file(path: Path | str, what: str = "file") -> Path:
    """The path of a file that a user named. Raises UsageError with near misses if there is none, or a folder."""
    path = Path(path)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a name that the system refuses
        raise UsageError(
            f"There is no {what} {shown(str(path), 200)}: {getattr(error, 'strerror', None) or error}."
        ) from error
    if is_folder:
        raise UsageError(f"{path} is a folder: a {what} is needed here.")
    if not is_file:
        parent = path.parent
        near = (
            did_you_mean(path.name, [p.name for p in parent.iterdir()][:10_000])
            if parent.is_dir()
            else f" (nor a folder {parent})"
        )
        raise UsageError(f"There is no {what} {path}{near}")
    return path


def check_direct(request: Request, source: str) -> None:
    """Raise UsageError for what an image generator alone cannot do: it has no maps, no styles and one source of latents."""
    maps = {"maps": request.masks, "photos": request.photos, "edits": request.edits, "keep": request.keep}
    maps |= {"require": request.require, "reject_empty": request.reject_empty, "graphs": request.graphs}
    styles = {"style": request.styles, "style_to": request.style_to, "same_style": request.same_style}
    given = [n for n, v in {**maps, **styles, "prior": request.prior}.items() if v]
    if given:
        raise UsageError(_no_maps(source, given))


def no_graphs(source: str) -> str:
    """The sentence for scene graphs where label sets are taken."""
    return f"{source} takes label sets, not scene graphs: give <<labels>>, or a generator that takes graphs (sg2im; see 'can' in: zoo list --architectures --json)."


def check_draws_maps(reference: str, given: Sequence[str]) -> None:
    """Refuse these arguments (of maps) for an image generator, before they are read. Raises UsageError."""
    arch = registry().architectures.get(reference) or _peek(resolve(reference).folder)[0]
    if arch is not None and stands_alone(arch.kind):
        raise UsageError(_no_maps(reference, given))


def _no_maps(source: str, given: Sequence[str]) -> str:
    return (
        f"{source} makes pictures straight from label sets, with no map to start from or to edit, no style and no choice of prior:"
        f" leave {', '.join(f'<<{name}>>' for name in given)} out, or use a mask generator and a synthesizer (zoo compose mask-vae+scgan)."
    )


def check_classes(request: Request, generator: LabelSpace | None, output: LabelSpace) -> None:
    """Raise LabelError for a class that the space it is used in does not have, or whose pixels would have no place."""
    if generator is not None:
        asked = (*(c for names in request.sets for c in names), *(c for c, _ in request.balance))
        for name in (*asked, *(c for e in request.edits for c in e.classes)):
            generator.index(name)
        if not (request.masks or request.photos):
            _check_dropped(request, generator, output)
    for name in (*request.keep, *request.require, *(c for s in request.styles for c in s.classes or ())):
        output.index(name)


def _check_dropped(request: Request, generator: LabelSpace, output: LabelSpace) -> None:
    """Refuse label sets with classes that have no counterpart where there is no background to put there instead."""
    mapping = generator.mapping_to(output)
    if output.background is not None or not mapping.dropped:
        return
    asked = {generator.names[generator.index(n)] for names in request.sets for n in names} or set(generator.names)
    lost = [n for n in mapping.dropped if n in asked or n == generator.background]
    if lost:
        raise LabelError(
            f"{generator.name!r} has {', '.join(lost)}, which {output.name!r} lacks, and it has no background to put there:"
            " leave these classes out (<<labels>>), or choose another model."
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


def sources(request: Request) -> Iterator[StyleSource]:
    """All sources of style that a request names."""
    yield from (s.source for s in request.styles)
    if request.style_to is not None:
        yield request.style_to


# --- models by their config alone ---------------------------------------------------------------------------------


def quick_check(models: tuple[str | None, str | None], request: Request, files: OpenedFiles) -> list[Resolved]:
    """Resolve generator and synthesizer, and refuse what their configs and the files of the request rule out.

    Damaged or incomplete folders pass here and fail with the full report when they are loaded.
    Raises UsageError, LabelError, DataError, WeightsError.
    """
    known = registry().architectures
    for place, name in enumerate(models):
        if name in known:  # whether or not it has a published model
            check_role(models, place, serving(known[name], kinds_at(place)).kind, name)
    resolved = [resolve(m) if m is not None else None for m in models]
    spaces: list[LabelSpace | None] = [None, None]
    options: dict[str, type | None] = {}
    for i, model in enumerate(resolved):
        if model is None:
            continue
        arch, spaces[i] = _peek(model.folder)
        if arch is not None:
            arch = serving(arch, kinds_at(i))
            options[arch.name] = import_string(arch.options, arch.name) if arch.options else None
            check_role(models, i, arch.kind, model.source)
            if stands_alone(arch.kind):
                check_direct(request, model.source)
            if i == 0 and request.edits and not edits(may(arch.can)):
                raise UsageError(f"{model.source} ({arch.name}) cannot edit maps (see 'can' in: zoo list --json).")
            if i == 0 and request.graphs is not None and "graphs" not in may(arch.can):
                raise UsageError(no_graphs(f"{model.source} ({arch.name})"))
    if len(options) == len([r for r in resolved if r is not None]):
        split_options(request.options, options)
    check_files(request)
    generator, synthesizer = spaces
    output = synthesizer or (generator if models[1] is None else None)
    if output is not None:
        if generator is not None:
            generator.mapping_to(output)
        check_names(request, generator, output)
        check_frame(request, output)
        check_pictures(request, output, files)
    return [r for r in resolved if r is not None]


def check_reference(reference: str, *kinds: str) -> Resolved:
    """Resolve a model and refuse one whose config names none of these kinds. Raises UsageError, WeightsError."""
    model = resolve(reference)
    arch, _ = _peek(model.folder)
    if arch is not None:
        check_kind(kinds, serving(arch, kinds).kind, model.source)
    return model


def check_names(request: Request, generator: LabelSpace | None, output: LabelSpace) -> None:
    """`check_classes` of a command line, where a name that does not exist is wrong usage. Raises UsageError."""
    try:
        check_classes(request, generator, output)
    except LabelError as error:
        raise UsageError(*error.args) from error


def _peek(folder: Path) -> tuple[Architecture | None, LabelSpace | None]:
    """Architecture and label space of a model folder, as far as its config can be read."""
    try:
        values = config_values(folder)
        arch = registry().architecture(values["architecture"])
        space = values["label_space"]
        return arch, registry().label_space(space) if isinstance(space, str) else parse_space(space, str(folder))
    except (KeyError, TypeError, ZooError):
        return None, None
