"""Everything that can be said against a request once its models are loaded, before anything is drawn or written."""

from __future__ import annotations

from zoo.composition.checks import before_loading, edits, randomness, required, styles, wanted
from zoo.composition.checks import given as given_files
from zoo.composition.checks.faces import check_frame
from zoo.composition.checks.pictures import check_pictures
from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.composition.request.scenegraphs import graphs_in
from zoo.errors import LabelError, UsageError
from zoo.files.opened import OpenedFiles
from zoo.graphs import known_predicates
from zoo.interfaces.capabilities import TakesGraphs
from zoo.interfaces.models import MaskGenerator
from zoo.labels import LabelSpace


def check(models: Models, request: Request, files: OpenedFiles) -> None:
    """Raise UsageError, LabelError or DataError for what these models cannot do, before anything is drawn or written.

    files: those of the run; what `before_loading.quick_check` has looked at is not looked at again.
    """
    given = bool(request.masks or request.photos)
    pictures = models.paints(request)
    if request.image_format != "png" and not pictures:
        raise UsageError(f"{models.name} makes maps alone, and maps are always PNGs: leave <<image_format>> out.")
    if models.direct is not None:
        before_loading.check_direct(request, models.name)
        before_loading.check_classes(request, models.space, models.space)
        models.options(request)
        _check_drawn(models, request, files)
        return
    if models.generator is None and not given:
        raise UsageError(f'{models.name} makes images from maps: give <<maps="MAP.png">> (or <<photos="PHOTO">>).')
    before_loading.check_classes(
        request, models.generator.label_space if models.generator is not None else None, models.space
    )
    if request.graphs is not None:
        _check_graphs(models, request)
    before_loading.check_files(request)
    check_frame(request, models.space)
    if request.paste and not models.paints(request):
        raise UsageError(f"{models.name} makes maps alone, and there is no picture to paste: leave <<paste>> out.")
    check_pictures(request, models.space, files)
    if models.synthesizer is not None:
        styles.check_styles(models.synthesizer, request, files)
    elif request.styles or request.style_to or request.same_style or request.keep:
        raise UsageError(
            f"{models.name} makes maps only: leave <<style>>, <<style_to>>, <<same_style>> and <<keep>> out."
        )
    models.options(request)
    work_space = models.work_space(request)
    if request.edits:
        edits.check_edits(models.generator, request.edits)
    shown = given_files.shown_classes(models, request, files)
    if request.edits:
        edits.check_parts_shown(request.edits, work_space, shown)
    _check_drawn(models, request, files)
    if request.require:
        required.check_required(models, request)
    if request.reject_empty:
        required.check_rejecting(models, request)
    styles.check_styled(request, models.space, _to_be_shown(models, request, work_space, shown))


def _check_drawn(models: Models, request: Request, files: OpenedFiles) -> None:
    """Raise UsageError for shares that cannot be had, and for sets of other data of which the generator draws nothing; note what of
    them it does not draw."""
    if request.labels_like is not None:
        generator = models.generator or models.direct
        if generator is None:
            raise UsageError(
                "<<labels_like>> says label sets, and no generator draws maps from any here: leave it out."
            )
        if told := wanted.check_alike(generator, request):
            files.note(told)
    if request.balance:
        wanted.check_balance(models, request)


def _check_graphs(models: Models, request: Request) -> None:
    """Raise UsageError for a generator that takes no scene graphs, and for objects and predicates that it does not know."""
    generator = models.generator
    if not isinstance(generator, TakesGraphs):
        raise UsageError(before_loading.no_graphs(models.name))
    assert isinstance(generator, MaskGenerator)
    try:
        known_predicates(graphs_in(generator.label_space, request.graphs or ()), generator.predicates, models.name)
    except LabelError as error:
        raise UsageError(*error.args) from error


def _to_be_shown(models: Models, request: Request, work_space: LabelSpace, shown: set[str] | None) -> set[str] | None:
    """Classes of the output space that some map of the run may show; None where only the run itself will tell."""
    if request.sets and models.generator is not None:
        work_space = models.generator.label_space
        shown = {
            *(c for names in request.sets for c in names),
            *(c for c, share in request.balance if share > 0),
            *([work_space.background] if work_space.background else []),
        }
    if shown is None:
        return None
    added = (c for e in request.edits if e.kind in ("add", "interpolate") for c in e.classes)
    mapping = models.join(work_space, models.space)
    values = (mapping.table[work_space.index(name)] for name in {*shown, *added})
    return {models.space.names[v] for v in values if v >= 0}


def describe_randomness(models: Models, request: Request) -> str | None:
    """A sentence (marked as an error's) for `n` above 1 when nothing in the run is random, else None."""
    own = models.synthesizer is None and models.paints(request)  # the noise of its own pictures
    if (
        request.n == 1
        or own
        or request.style_to is not None
        or randomness.is_random(request, models.synthesizer, edits.RANDOM)
    ):
        return None
    return f"Nothing is random here: all {request.n} samples of a map are equal{_ways_out(models, request)}."


def _ways_out(models: Models, request: Request) -> str:
    """What would make samples differ, as far as these models have it."""
    can = frozenset[str]().union(*(m.capabilities() for m in (models.generator, models.synthesizer) if m is not None))
    drawn = [kind for kind in edits.RANDOM if f"edit:{kind}" in can]
    ways = ["leave <<same_style>> out"] if request.same_style else []
    if not ways and "style:prior" in can:
        ways = ['<<style="prior">>']
    if drawn:
        ways.append(f'<<edits="{drawn[-1]}:C">>')
    return f" (try {' or '.join(ways)})" if ways else ""
