"""The style of a batch, from the sources that a request names (later ones win)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from zoo import conditions as cond
from zoo.errors import UsageError
from zoo.interfaces import EncodesStyle, ImageSynthesizer, SamplesStyle
from zoo.maps import SemanticMap
from zoo.requests import Request, Source, StyleSpec, layer_names
from zoo.rng import Rng
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.composition import Composition

NEEDS = {"photo": "photo", "mean": "mean", "prior": "prior", "seed": "prior"}


def check_styles(synthesizer: ImageSynthesizer, request: Request) -> None:
    """Raise UsageError if the synthesizer lacks what a style asks for, or a file is missing."""
    sources = [s.source for s in request.styles] + ([request.style_to] if request.style_to else [])
    for source in sources:
        if not synthesizer.styles:
            raise UsageError(f"{type(synthesizer).__name__} has no style: its picture depends on the map alone. Leave --style out.")
        need = NEEDS.get(source.kind)
        if need and need not in synthesizer.styles:
            raise UsageError(f"{type(synthesizer).__name__} takes no style from {source} (it takes: {', '.join(sorted(synthesizer.styles))}).")
        for path in (source.path, source.mask):
            if isinstance(path, str) and not Path(path).is_file():
                raise UsageError(f"The style {source}: there is no file {path}.")
    for spec in request.styles:
        for name in spec.classes or ():
            synthesizer.label_space.index(name)


def random_style(request: Request) -> bool:
    """True if the style differs from sample to sample."""
    if request.same_style or request.style_to is not None:
        return False
    return any(s.source.kind == "prior" for s in request.styles) or not (request.styles or request.photos)


def build(composition: Composition, request: Request, maps: SemanticMap, given: cond.Given | None, samples: Sequence[int]) -> Style | None:
    """The style of these samples, or None for a synthesizer that has none."""
    synthesizer = composition.synthesizer
    assert synthesizer is not None
    if not synthesizer.styles:
        return None
    # with --same-style every sample draws from the streams of sample 0
    rng = Rng(request.seed, [0] * len(samples) if request.same_style else samples).within("style")
    specs = request.styles
    if not specs or specs[0].classes is not None:
        specs = (StyleSpec(_default_source(synthesizer, given)), *specs)
    style: Style | None = None
    for spec in specs:
        found = _from_source(composition, request, spec.source, maps, given, rng)
        if style is None:
            style = found
        else:
            style = style.take(found, classes=_class_names(synthesizer, spec), layers=layer_names(spec.layers, found.layers))
    assert style is not None
    if request.style_to is not None:
        style = _steps(style, _from_source(composition, request, request.style_to, maps, given, rng), request, samples)
    return style


def _default_source(synthesizer: ImageSynthesizer, given: cond.Given | None) -> Source:
    if given is not None and given.photos is not None and "photo" in synthesizer.styles:
        return Source("given")
    if not synthesizer.styles & {"prior", "mean"}:
        raise UsageError(f"{type(synthesizer).__name__} takes its style from a photo: give --style PHOTO::MASK.png.")
    return Source("prior" if "prior" in synthesizer.styles else "mean")


def _class_names(synthesizer: ImageSynthesizer, spec: StyleSpec) -> tuple[str, ...] | None:
    if spec.classes is None:
        return None
    space = synthesizer.label_space
    return tuple(space.names[space.index(c)] for c in spec.classes)


def _from_source(
    composition: Composition, request: Request, source: Source, maps: SemanticMap, given: cond.Given | None, rng: Rng
) -> Style:
    """The style that one source gives to each map of the batch."""
    synthesizer = composition.synthesizer
    count = len(maps)
    if source.kind == "style":
        return source.style.expand(count)
    if source.kind == "file":
        return Style.load(str(source.path)).expand(count)
    if source.kind in ("given", "photo"):
        assert isinstance(synthesizer, EncodesStyle)
        if source.kind == "given":
            assert given is not None and given.photos is not None
            pair = given
        else:
            pair = cond.photo_with_map(composition, source.path, source.mask, cond.space_of_masks(composition, request))
        assert pair.photos is not None
        # one photo at a time: a style must not depend on the batch it is encoded in
        rows = [synthesizer.encode_style(pair.photos[i : i + 1], pair.maps[i]) for i in range(len(pair.photos))]
        return Style.cat(rows).expand(count)
    assert isinstance(synthesizer, SamplesStyle)
    if source.kind == "seed":
        assert source.seed is not None
        return synthesizer.sample_style(maps, Rng(source.seed, [0] * count).within("style"), prior=request.prior)
    return synthesizer.sample_style(maps, rng, prior="mean" if source.kind == "mean" else request.prior)


def _steps(start: Style, end: Style, request: Request, samples: Sequence[int]) -> Style:
    """Sample k of n lies k / (n - 1) of the way from `start` to `end`."""
    rows = []
    for row, sample in enumerate(samples):
        t = (sample % request.n) / (request.n - 1)
        rows.append(start[row].lerp(end[row], t))
    return Style.cat(rows)


def describe_randomness(composition: Composition, request: Request) -> str | None:
    """A sentence for `-n` above 1 when nothing in the run is random, else None."""
    if request.n == 1 or request.style_to is not None:
        return None
    maps_vary = bool(request.edits) or not (request.masks or request.photos)
    styles_vary = composition.synthesizer is not None and "prior" in composition.synthesizer.styles and random_style(request)
    if maps_vary or styles_vary:
        return None
    return f"Nothing is random here: all {request.n} samples of a map are equal (add --style prior, --style seed:N or an --edit)."


__all__ = ["build", "check_styles", "describe_randomness", "random_style", "torch"]
