"""The style of a batch, from the sources that a request names (later ones win)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from zoo.composition.conditions import Given, Loader
from zoo.composition.precheck import sources
from zoo.composition.requests import Request, Source, StyleSpec, layer_names
from zoo.errors import UsageError
from zoo.interfaces import EncodesStyle, ImageSynthesizer, SamplesStyle
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo.style import Style

FIXED = ("photo", "given", "file", "style")
"""Sources that may lack classes which a map shows."""
NEEDS = {"photo": "photo", "mean": "mean", "prior": "prior", "seed": "prior"}


def check_styles(synthesizer: ImageSynthesizer, request: Request, total: int) -> None:
    """Raise UsageError if the synthesizer lacks what a style asks for, or a Style has rows for another number of samples."""
    name = type(synthesizer).__name__
    if not synthesizer.styles and (request.styles or request.style_to or request.same_style):
        raise UsageError(
            f"{name} has no style: its picture depends on the map alone. Leave --style, --style-to and --same-style out."
        )
    for source in sources(request):
        need = NEEDS.get(source.kind)
        if need and need not in synthesizer.styles:
            raise UsageError(
                f"{name} takes no style from {source} (it takes: {', '.join(sorted(synthesizer.styles))})."
            )
        if source.kind in ("style", "file"):
            rows = len(load_style(source))
            if rows not in (1, total):
                raise UsageError(
                    f"The style {source} holds {rows} samples, the run makes {total}: give a style of one sample or of {total}."
                )


def random_style(request: Request) -> bool:
    """True if the style differs from sample to sample."""
    if request.same_style or request.style_to is not None:
        return False
    return any(s.source.kind == "prior" for s in request.styles) or not (request.styles or request.photos)


@dataclass(eq=False)
class _Batch:
    """What the sources of style look at: the samples, their maps in the output space, and what they start from."""

    loader: Loader
    synthesizer: ImageSynthesizer
    samples: Sequence[int]
    maps: SemanticMap
    given: Given | None

    @property
    def request(self) -> Request:
        return self.loader.request


def build(loader: Loader, maps: SemanticMap, given: Given | None, samples: Sequence[int]) -> Style | None:
    """The style of these samples (maps: theirs, in the output space), or None for a synthesizer that has none."""
    request, synthesizer = loader.request, loader.composition.synthesizer
    assert synthesizer is not None
    if not synthesizer.styles:
        return None
    batch = _Batch(loader, synthesizer, samples, maps, given)
    # one style for all samples draws from the streams of sample 0
    one = request.same_style or request.style_to is not None
    rng = Rng(request.seed, [0] * len(samples) if one else samples).within("style")
    specs = request.styles
    if not specs or specs[0].classes is not None:
        specs = (StyleSpec(_default_source(synthesizer, request)), *specs)
    style: Style | None = None
    for spec in specs:
        found, classes = _from_source(batch, spec.source, rng), _class_names(synthesizer, spec)
        _check_shown(spec, found, classes)
        if style is None:
            style = found
        else:
            style = style.take(found, classes=classes, layers=layer_names(spec.layers, found.layers))
        # now, so that a later source can change one layer of a class that this one lacks
        style = _complete(batch, style, rng)
    assert style is not None
    if request.style_to is not None:
        # streams of its own, or `prior` to `prior` would go nowhere
        style = _steps(style, _from_source(batch, request.style_to, rng.within("to")), request, samples)
    return style


def _default_source(synthesizer: ImageSynthesizer, request: Request) -> Source:
    if request.photos and "photo" in synthesizer.styles:
        return Source("given")
    if not synthesizer.styles & {"prior", "mean"}:
        raise UsageError(f"{type(synthesizer).__name__} takes its style from a photo: give --style PHOTO::MASK.png.")
    return Source("prior" if "prior" in synthesizer.styles else "mean")


def _class_names(synthesizer: ImageSynthesizer, spec: StyleSpec) -> tuple[str, ...] | None:
    if spec.classes is None:
        return None
    space = synthesizer.label_space
    return tuple(space.names[space.index(c)] for c in spec.classes)


def _check_shown(spec: StyleSpec, found: Style, classes: tuple[str, ...] | None) -> None:
    """Refuse a class that is asked for by name and that the source shows nowhere."""
    if classes is None or found.present is None or spec.source.kind not in FIXED:
        return
    shown = {name for name, any_row in zip(found.classes, found.present.any(0).tolist(), strict=True) if any_row}
    missing = [name for name in classes if name not in shown and name in found.classes]
    if missing:
        raise UsageError(
            f"The style {spec.source} has no {', '.join(missing)}: its map shows {', '.join(n for n in found.classes if n in shown)}."
        )


def _complete(batch: _Batch, style: Style, rng: Rng) -> Style:
    """The style with the classes that it lacks and a map shows from the prior, with the numbers that `prior` would give them."""
    if style.present is None or not isinstance(batch.synthesizer, SamplesStyle):
        return style
    rows = [[name in shown for name in style.classes] for shown in batch.maps.label_sets()]
    lacking = torch.tensor(rows, device=style.present.device) & ~style.present
    if not bool(lacking.any()):
        return style
    return style.fill(batch.synthesizer.sample_style(batch.maps, rng, prior=batch.request.prior))


def load_style(source: Source) -> Style:
    """The Style of a file or of the Python caller."""
    return source.style if source.kind == "style" else Style.load(str(source.path))


def _from_source(batch: _Batch, source: Source, rng: Rng) -> Style:
    """The style that one source gives to each map of the batch."""
    synthesizer, count = batch.synthesizer, len(batch.samples)
    if source.kind == "given" and not batch.request.same_style:
        return _encode_given(batch)
    if source.kind in ("style", "file", "given", "photo"):
        found = batch.loader.styles.get(source) or _fixed(batch, source)
        batch.loader.styles[source] = found
        if len(found) == 1 or batch.request.same_style:
            return found[0].expand(count)
        return found[list(batch.samples)]
    assert isinstance(synthesizer, SamplesStyle)
    if source.kind == "seed":
        assert source.seed is not None
        return synthesizer.sample_style(
            batch.maps, Rng(source.seed, [0] * count).within("style"), prior=batch.request.prior
        )
    return synthesizer.sample_style(batch.maps, rng, prior="mean" if source.kind == "mean" else batch.request.prior)


def _fixed(batch: _Batch, source: Source) -> Style:
    """A source that is the same for all samples, read or encoded once per run."""
    if source.kind in ("style", "file"):
        return load_style(source)
    loader, synthesizer = batch.loader, batch.synthesizer
    assert isinstance(synthesizer, EncodesStyle)
    if source.kind == "given":  # --same-style: the first photo's
        photo, mask = batch.request.photos[0], batch.request.masks[0] if batch.request.masks else None
    else:
        photo, mask = source.path, source.mask
    found = loader.pair(photo, mask, loader.composition.space)
    assert found.photos is not None
    return synthesizer.encode_style(found.photos, found.maps)


def _encode_given(batch: _Batch) -> Style:
    """The look of the photo that each sample starts from; each photo alone, for a style must not depend on its batch."""
    given, synthesizer = batch.given, batch.synthesizer
    assert given is not None and given.photos is not None and isinstance(synthesizer, EncodesStyle)
    items = [s // batch.request.n for s in batch.samples]
    maps = given.maps.to_space(synthesizer.label_space)
    encoded = {
        i: synthesizer.encode_style(given.photos[row : row + 1], maps[row])
        for row, i in reversed(list(enumerate(items)))
    }
    return Style.cat([encoded[i] for i in items])


def _steps(start: Style, end: Style, request: Request, samples: Sequence[int]) -> Style:
    """Sample k of n lies k / (n - 1) of the way from `start` to `end`; a class that `end` lacks stays as it is."""
    end = end.fill(start)
    rows = [start[row].lerp(end[row], (sample % request.n) / (request.n - 1)) for row, sample in enumerate(samples)]
    return Style.cat(rows)


def is_random(request: Request, synthesizer: ImageSynthesizer | None, edits: Sequence[str]) -> bool:
    """True if the samples of one map differ. edits: the kinds of edit that draw."""
    maps_vary = any(e.kind in edits for e in request.edits) or not (request.masks or request.photos)
    if maps_vary or synthesizer is None or "prior" not in synthesizer.styles:
        return maps_vary
    # which classes such a source lacks is known only when it is read
    gaps = synthesizer.partial_styles and not request.same_style and request.style_to is None
    given = bool(request.photos) and not (request.styles and request.styles[0].classes is None)
    return random_style(request) or (gaps and (given or any(s.source.kind in FIXED for s in request.styles)))
