"""Is there a style like that? What a synthesizer's styles can give and take, held against what a request asks for."""

from __future__ import annotations

import torch

from zoo.composition.checks import pictures
from zoo.composition.checks.before_loading import sources
from zoo.composition.request.requests import Request, StyleSource, StyleSpec, layer_names
from zoo.errors import UsageError
from zoo.files.opened import OpenedFiles
from zoo.interfaces.capabilities import SamplesStyle
from zoo.interfaces.models import ImageSynthesizer
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng
from zoo.style import Style

FIXED = ("photo", "given", "file", "style")
"""Sources that may lack classes which a map shows."""
NEEDS = {"photo": "photo", "mean": "mean", "prior": "prior", "seed": "prior"}


def check_styles(synthesizer: ImageSynthesizer, request: Request, files: OpenedFiles) -> None:
    """Raise UsageError if the synthesizer lacks what a style asks for, or a Style has rows for another number of samples."""
    name = type(synthesizer).__name__
    places = style_sources(synthesizer.capabilities())
    if not places and (request.styles or request.style_to or request.same_style):
        raise UsageError(
            f"{name} has no style: its picture depends on the map alone. Leave <<style>>, <<style_to>> and <<same_style>> out."
        )
    for source in sources(request):
        need = NEEDS.get(source.kind)
        if need and need not in places:
            raise UsageError(f"{name} takes no style from {source} (it takes: {', '.join(sorted(places))}).")
    form = style_form(synthesizer)
    for spec in request.styles:
        _check_axes(synthesizer, spec, form)
    for source in sources(request):
        if source.kind in ("style", "file"):
            loaded = load_style(source, files)
            if len(loaded) not in (1, request.samples):
                raise UsageError(
                    f"The style {source} holds {len(loaded)} samples, the run makes {request.samples}:"
                    f" give a style of one sample or of {request.samples}."
                )
            _check_form(source, loaded, form)
    for spec in request.styles:
        if spec.source.kind in ("style", "file"):
            check_style_shown(
                spec, load_style(spec.source, files), style_classes(synthesizer, spec), synthesizer.label_space
            )


def style_form(synthesizer: ImageSynthesizer) -> Style | None:
    """A style of this synthesizer, for its axes and names; None where it takes photos' styles only."""
    places = style_sources(synthesizer.capabilities())
    if not places & {"prior", "mean"}:
        return None
    assert isinstance(synthesizer, SamplesStyle)
    plain = SemanticMap(torch.zeros(1, *synthesizer.resolution, dtype=torch.long), synthesizer.label_space)
    return synthesizer.sample_style(plain, Rng(0), prior=None if "prior" in places else "mean")


def _check_axes(synthesizer: ImageSynthesizer, spec: StyleSpec, form: Style | None) -> None:
    """Raise UsageError for classes or layers where the styles have none, or not these."""
    if form is None or spec.classes is None:
        return
    name = type(synthesizer).__name__
    axes = {axis for axes in form.axes.values() for axis in axes}
    if "class" not in axes:
        layers = " and no layers" if spec.layers and not form.layers else ""
        raise UsageError(
            f"{name} has one style for the whole picture, with no class axis{layers}: leave {str(spec).split('=')[0]}= out"
            f' (<<style="{spec.source}">>).'
        )
    if spec.layers and not form.layers:
        raise UsageError(f"{name} has a style per class, but no layers: leave @{','.join(spec.layers)} out.")
    layer_names(spec.layers, form.layers)
    missing = [c for c in style_classes(synthesizer, spec) or () if c not in form.classes]
    if missing:
        raise UsageError(f"{name} has no style for {', '.join(missing)} (it has: {', '.join(form.classes)}).")


def _check_form(source: StyleSource, loaded: Style, form: Style | None) -> None:
    """Raise UsageError for a style of another model."""
    if form is None:
        return

    def sizes(style: Style) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
        return {n: (tuple(style.axes[n]), tuple(t.shape[1:])) for n, t in style.tensors.items()}

    if sizes(loaded) == sizes(form) and (loaded.classes, loaded.layers) == (form.classes, form.layers):
        return
    raise UsageError(
        f"The style {source} was made by another model: it holds {_describe(loaded)}; this synthesizer's styles hold {_describe(form)}."
    )


def _describe(style: Style) -> str:
    tensors = ", ".join(
        f"{n} [{', '.join(f'{a} {size}' for a, size in zip(style.axes[n][1:], t.shape[1:], strict=True))}]"
        for n, t in sorted(style.tensors.items())
    )
    names = [
        f"{what} {', '.join(n[:4])}{', …' if len(n) > 4 else ''}"
        for what, n in (("classes", style.classes), ("layers", style.layers))
        if n
    ]
    return " of ".join([tensors, " and ".join(names)]) if names else tensors


def check_styled(request: Request, space: LabelSpace, shown: set[str] | None) -> None:
    """Raise UsageError for a style of classes that no map will show. shown: classes of `space`; None where it is not known yet."""
    if shown is None:
        return
    for spec in request.styles:
        names = [space.names[space.index(c)] for c in spec.classes or ()]
        if names and not shown & set(names):
            raise UsageError(
                f'Nothing to style: no map shows {" or ".join(names)} (<<style="{spec}">>); shown: {", ".join(n for n in space.names if n in shown)}.'
            )


def check_style_shown(spec: StyleSpec, loaded: Style, classes: tuple[str, ...] | None, space: LabelSpace) -> None:
    """Refuse a class that is asked for by name and that the source shows nowhere."""
    if classes is None or loaded.present is None or spec.source.kind not in FIXED:
        return
    shown = {name for name, any_row in zip(loaded.classes, loaded.present.any(0).tolist(), strict=True) if any_row}
    if set(classes) <= set(loaded.classes):
        pictures.check_classes_shown(spec, shown, space)


def style_classes(synthesizer: ImageSynthesizer, spec: StyleSpec) -> tuple[str, ...] | None:
    """The classes that a style is given to, as its synthesizer's label space calls them; None: all of them."""
    if spec.classes is None:
        return None
    space = synthesizer.label_space
    return tuple(space.names[space.index(c)] for c in spec.classes)


def load_style(source: StyleSource, files: OpenedFiles) -> Style:
    """The Style of a file or of the Python caller."""
    return source.style if source.kind == "style" else files.parsed(str(source.path), Style.from_bytes)
