"""The style of a batch, from the sources that a request names (later ones win)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zoo.composition.checks.randomness import with_default
from zoo.composition.checks.styles import check_style_shown, load_style, style_classes
from zoo.composition.request.requests import Request, StyleSource, StyleSpec, layer_names
from zoo.composition.run.inputs import Given, Loader
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.interfaces.models import ImageSynthesizer
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng
from zoo.style import Style


@dataclass(eq=False)
class _Batch:
    """What the sources of style look at: the samples, their maps in the output space, and what they start from."""

    loader: Loader
    synthesizer: ImageSynthesizer
    samples: Sequence[int]
    maps: SemanticMap
    given: Given | None
    styles: dict[tuple[StyleSource, Rng], Style] = field(default_factory=dict)

    @property
    def request(self) -> Request:
        return self.loader.request

    def source(self, source: StyleSource, rng: Rng) -> Style:
        """`_from_source`, once for each source and stream."""
        key = source, rng
        if key not in self.styles:
            self.styles[key] = _from_source(self, source, rng)
        return self.styles[key]


@dataclass(eq=False)
class Built:
    """The style of a batch. base: the one without the sources for single classes, None where there are no such sources.

    drawn: for each sample the classes that its map shows and its source lacked, taken from the prior; absent: those that a model
    without prior fills in itself; kept: the classes that --style-to lacks and that stay as they are.
    """

    style: Style
    base: Style | None
    drawn: list[tuple[str, ...]]
    absent: list[tuple[str, ...]]
    kept: list[tuple[str, ...]]


def build(loader: Loader, maps: SemanticMap, given: Given | None, samples: Sequence[int]) -> Built | None:
    """The style of these samples (maps: theirs, in the output space), or None for a synthesizer that has none."""
    request, synthesizer = loader.request, loader.models.synthesizer
    assert synthesizer is not None
    if not style_sources(synthesizer.capabilities()):
        return None
    batch = _Batch(loader, synthesizer, samples, maps, given)
    general = [s for s in request.styles if s.classes is None]
    made = _combine(batch, request.styles)
    return made if len(general) == len(request.styles) else replace(made, base=_combine(batch, general).style)


def _combine(batch: _Batch, specs: Sequence[StyleSpec]) -> Built:
    """The style that these sources make, one after the other."""
    request, synthesizer = batch.request, batch.synthesizer
    # one style for all samples draws from the streams of sample 0
    one = request.same_style or request.style_to is not None
    rng = Rng(request.seed, [0] * len(batch.samples) if one else batch.samples).within("style")
    specs = with_default(synthesizer, request, specs)
    style: Style | None = None
    drawn: list[set[str]] = [set() for _ in batch.samples]
    for spec in specs:
        source_style, classes = batch.source(spec.source, rng), style_classes(synthesizer, spec)
        check_style_shown(spec, source_style, classes, synthesizer.label_space)
        if style is None:
            style = source_style
        else:
            style = style.take(source_style, classes=classes, layers=layer_names(spec.layers, source_style.layers))
        if spec.layers is None:  # what this source brings is no longer the prior's
            drawn = [names - set(source_style.classes if classes is None else classes) for names in drawn]
        # now, so that a later source can change one layer of a class that this one lacks
        style, lacking = _complete(batch, style, rng)
        drawn = [a | set(b) for a, b in zip(drawn, lacking, strict=True)]
    assert style is not None
    absent = _lacking(style, batch.maps)
    kept: list[tuple[str, ...]] = [() for _ in batch.samples]
    if request.style_to is not None:
        # streams of its own, or `prior` to `prior` would go nowhere
        end = batch.source(request.style_to, rng.within("to"))
        kept = _lacking(end, batch.maps)
        style = _steps(style, end, request, batch.samples)
    return Built(style, None, [tuple(n for n in style.classes if n in names) for names in drawn], absent, kept)


def record_gaps(records: Sequence[dict[str, Any]], built: Built, request: Request) -> None:
    """Say in the records which classes' styles were not where the request looks for them."""
    for record, drawn, absent, kept in zip(records, built.drawn, built.absent, built.kept, strict=True):
        if drawn:
            record["style_from_prior"] = list(drawn)
        told = []
        if absent:
            told.append(f"The style has no {', '.join(absent)}, and this model has no prior: it fills in its own.")
        if kept:
            told.append(f"The style {request.style_to} has no {', '.join(kept)}: there the style stays as it is.")
        if told:
            record["notes"] = [*record.get("notes", ()), *told]


def _lacking(style: Style, maps: SemanticMap) -> list[tuple[str, ...]]:
    """For each map the classes that it shows and its row of the style lacks."""
    if style.present is None:
        return [() for _ in range(len(maps))]
    rows = zip(maps.label_sets(), style.present.tolist(), strict=True)
    return [tuple(n for n, p in zip(style.classes, row, strict=True) if n in shown and not p) for shown, row in rows]


def _complete(batch: _Batch, style: Style, rng: Rng) -> tuple[Style, list[tuple[str, ...]]]:
    """The style with the classes that it lacks and a map shows from the prior, with the numbers that `prior` would give them;
    and which these are, by sample. Without a prior it stays as it is."""
    lacking, synthesizer = _lacking(style, batch.maps), batch.synthesizer
    if not any(lacking) or "style:prior" not in synthesizer.capabilities():
        return style, [() for _ in lacking]
    assert isinstance(synthesizer, SamplesStyle)
    return style.fill(synthesizer.sample_style(batch.maps, rng, prior=batch.request.prior)), lacking


def _from_source(batch: _Batch, source: StyleSource, rng: Rng) -> Style:
    """The style that one source gives to each map of the batch."""
    synthesizer, count = batch.synthesizer, len(batch.samples)
    if source.kind == "given" and not batch.request.same_style:
        return _encode_given(batch)
    if source.kind in ("style", "file", "given", "photo"):
        styles = batch.loader.styles.get(source) or _fixed(batch, source)
        batch.loader.styles[source] = styles
        if len(styles) == 1 or batch.request.same_style:
            return styles[0].expand(count)
        return styles[list(batch.samples)]
    assert isinstance(synthesizer, SamplesStyle)
    if source.kind == "seed":
        assert source.seed is not None
        return synthesizer.sample_style(
            batch.maps, Rng(source.seed, [0] * count).within("style"), prior=batch.request.prior
        )
    return synthesizer.sample_style(batch.maps, rng, prior="mean" if source.kind == "mean" else batch.request.prior)


def _fixed(batch: _Batch, source: StyleSource) -> Style:
    """A source that is the same for all samples, read or encoded once per run."""
    if source.kind in ("style", "file"):
        return load_style(source, batch.loader.files)
    loader, synthesizer = batch.loader, batch.synthesizer
    assert isinstance(synthesizer, EncodesStyle)
    if source.kind == "given":  # --same-style: the first photo's
        photo, mask = batch.request.photos[0], batch.request.masks[0] if batch.request.masks else None
    else:
        photo, mask = source.path, source.mask
    given = loader.pair(photo, mask, loader.models.space)
    assert given.photos is not None
    return synthesizer.encode_style(given.photos, given.maps)


def _encode_given(batch: _Batch) -> Style:
    """The look of the photo that each sample starts from; each photo alone, for a style must not depend on its batch."""
    given, synthesizer = batch.given, batch.synthesizer
    assert given is not None and given.photos is not None and isinstance(synthesizer, EncodesStyle)
    items = [s // batch.request.n for s in batch.samples]
    maps = given.maps.mapped(batch.loader.models.join(given.maps.space, batch.loader.models.space))
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
