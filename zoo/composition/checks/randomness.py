"""Is anything random in a run, and what would be."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.composition.checks.styles import FIXED
from zoo.composition.request.requests import Request, Source, StyleSpec
from zoo.errors import UsageError
from zoo.interfaces.models import ImageSynthesizer


def with_default(synthesizer: ImageSynthesizer, request: Request, specs: Sequence[StyleSpec]) -> Sequence[StyleSpec]:
    """These sources, after the default one where the first is for single classes only (or there is none)."""
    if specs and specs[0].classes is None:
        return specs
    return (StyleSpec(_default_source(synthesizer, request)), *specs)


def _default_source(synthesizer: ImageSynthesizer, request: Request) -> Source:
    if request.photos and "photo" in synthesizer.styles:
        return Source("given")
    if not synthesizer.styles & {"prior", "mean"}:
        raise UsageError(f"{type(synthesizer).__name__} takes its style from a photo: give --style PHOTO::MASK.png.")
    return Source("prior" if "prior" in synthesizer.styles else "mean")


def is_random(request: Request, synthesizer: ImageSynthesizer | None, edits: Sequence[str]) -> bool:
    """True if the samples of one map differ. edits: the kinds of edit that draw."""
    maps_vary = any(e.kind in edits for e in request.edits) or not (request.masks or request.photos)
    if maps_vary or synthesizer is None or "prior" not in synthesizer.styles:
        return maps_vary
    if request.same_style or request.style_to is not None:
        return False
    kinds = {s.source.kind for s in with_default(synthesizer, request, request.styles)}
    # which classes a fixed source lacks is known only when it is read
    return "prior" in kinds or (synthesizer.partial_styles and not kinds.isdisjoint(FIXED))
