"""Is anything random in a run, and what would be."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.composition.checks.styles import FIXED
from zoo.composition.request.requests import Request, StyleSource, StyleSpec
from zoo.errors import UsageError
from zoo.interfaces.models import ImageSynthesizer
from zoo.registry.capabilities import style_sources


def with_default(synthesizer: ImageSynthesizer, request: Request, specs: Sequence[StyleSpec]) -> Sequence[StyleSpec]:
    """These sources, after the default one where the first is for single classes only (or there is none)."""
    if specs and specs[0].classes is None:
        return specs
    return (StyleSpec(_default_source(synthesizer, request)), *specs)


def _default_source(synthesizer: ImageSynthesizer, request: Request) -> StyleSource:
    places = style_sources(synthesizer.capabilities())
    if request.photos and "photo" in places:
        return StyleSource("given")
    if not places & {"prior", "mean"}:
        raise UsageError(
            f'{type(synthesizer).__name__} takes its style from a photo: give <<style="PHOTO::MASK.png">>.'
        )
    return StyleSource("prior" if "prior" in places else "mean")


def is_random(request: Request, synthesizer: ImageSynthesizer | None, edits: Sequence[str]) -> bool:
    """True if the samples of one map differ. edits: the kinds of edit that draw."""
    fixed = request.masks or request.photos or request.graphs
    maps_vary = any(e.kind in edits for e in request.edits) or not fixed
    can = frozenset[str]() if synthesizer is None else synthesizer.capabilities()
    if synthesizer is not None and synthesizer.draws_noise:
        return True
    if maps_vary or synthesizer is None or "style:prior" not in can:
        return maps_vary
    if request.same_style or request.style_to is not None:
        return False
    kinds = {s.source.kind for s in with_default(synthesizer, request, request.styles)}
    # which classes a fixed source lacks is known only when it is read
    return "prior" in kinds or ("style:partial" in can and not kinds.isdisjoint(FIXED))
