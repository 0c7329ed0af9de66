"""The maps of a batch: given ones, edited ones, or ones drawn from label sets, and drawn again where they lack what they should show."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zoo.composition.checks.required import could_show, empty_classes, required_classes
from zoo.composition.models import Models
from zoo.composition.run import editing
from zoo.composition.run.inputs import Given, Loader
from zoo.composition.run.progress import Work
from zoo.composition.run.requiring import Drawn, Records, Requirement
from zoo.labels import LabelSet
from zoo.maps import SemanticMap
from zoo.rng import Rng

Open = tuple[SemanticMap, Records, list[int]]
"""Maps, their records, and the rows that another draw would change."""


def maps_of(loader: Loader, given: Given | None, rng: Rng, work: Work) -> Drawn:
    """The maps of a batch in the output space at the models' resolution, with a record each."""
    models, request = loader.models, loader.request
    if given is not None and not request.edits:
        records: Records = [{} for _ in given.dropped]
        return _mapped(models, given.maps, records, given.dropped), records
    if given is None:
        maps, records, open_ = _generated(loader, rng, work)
    else:
        maps, records, open_ = _edited(loader, given, rng)
    if not request.require:
        return maps, records
    names = required_classes(request, models.space)

    def lacking(maps: SemanticMap, _: Records) -> list[list[str]]:
        return [[n for n in names if n not in shown.names] for shown in maps.resize(models.size(request)).label_sets()]

    def draw(rows: Sequence[int], streams: Rng) -> Drawn:
        if given is None:
            return _generated(loader, streams, work, again=True)[:2]
        return _edited(loader, given.take(rows), streams)[:2]

    def promising(rows: Sequence[int], streams: Rng) -> list[int]:
        if given is not None:
            return [row for row in rows if row in open_]
        sets = loader.wanted.sets(streams)
        return [row for row, labels in zip(rows, sets, strict=True) if could_show(models, labels, names)]

    met = Requirement("try", request.tries, lacking, draw, promising).meet(maps, records, rng)
    for record, tries, missing in zip(met.records, met.tries, met.missing, strict=True):
        record.update(tries=tries, missing=missing)
    return met.maps, met.records


def _without_empty(
    loader: Loader,
    first: Open,
    draw: Callable[[Sequence[int], Rng], Drawn],
    rng: Rng,
) -> Open:
    """The first draw of a batch, what came out empty drawn anew if the request says so. draw: rows of it, of the same label sets or edits."""
    models, request = loader.models, loader.request
    maps, records, open_ = first
    if not request.reject_empty:
        return first
    assert models.mapping is not None
    target = dict(models.mapping.pairs)

    def lacking(maps: SemanticMap, records: Records) -> list[list[str]]:
        shown = maps.resize(models.size(request)).label_sets()
        return [empty_classes(record, target, labels.names) for record, labels in zip(records, shown, strict=True)]

    def promising(rows: Sequence[int], _: Rng) -> list[int]:
        return [row for row in rows if row in open_]

    met = Requirement("empty", request.reject_empty + 1, lacking, draw, promising).meet(maps, records, rng)
    for row, record in enumerate(met.records):
        again = met.tries[row] - 1 if row in open_ else 0
        record.update(empty=met.missing[row], redrawn=again, exhausted=bool(met.missing[row]))
    return met.maps, met.records, open_


def _edited(loader: Loader, given: Given, rng: Rng) -> Open:
    """Edited maps in the output space, their records, and the rows that another draw would change."""

    def draw(rows: Sequence[int], streams: Rng) -> Drawn:
        return _edited_once(loader, given.take(rows), streams)[:2]

    return _without_empty(loader, _edited_once(loader, given, rng), draw, rng)


def _edited_once(loader: Loader, given: Given, rng: Rng) -> Open:
    models = loader.models
    edited = editing.edit_maps(loader, given, rng)
    maps = _mapped(models, edited.maps, edited.records, given.dropped)
    if edited.still:
        # not by way of the generator's size: they stay byte by byte
        labels = maps.labels.clone()
        labels[edited.still] = in_output(models, given.maps).labels[edited.still]
        maps = SemanticMap(labels, maps.space)
    return maps, edited.records, edited.open


def _generated(loader: Loader, rng: Rng, work: Work, *, again: bool = False) -> Open:
    """Maps from label sets, in the output space, and the rows that another draw would change: all. Each record says what was asked for
    and what came out empty.

    again: for samples whose first draw has been counted as progress.
    """
    sets = loader.wanted.sets(rng)

    def draw(rows: Sequence[int], streams: Rng) -> Drawn:
        return _of_sets(loader, [sets[row] for row in rows], streams, work, again=True)

    maps, records = _of_sets(loader, sets, rng, work, again=again)
    return _without_empty(loader, (maps, records, list(range(len(sets)))), draw, rng)


def _of_sets(loader: Loader, sets: Sequence[LabelSet], rng: Rng, work: Work, *, again: bool) -> Drawn:
    """One map of each label set, in the output space."""
    models, request = loader.models, loader.request
    assert models.generator is not None
    latents = models.generator.sample_latents(sets, rng, prior=request.prior)
    steps = work.within(models.generator, rng.samples[0], len(sets), counted=models.synthesizer is None and not again)
    drawn = models.generator.generate(sets, latents=latents, **models.options(request)["generator"], **steps).to("cpu")
    records = [_asked_and_shown(asked, shown) for asked, shown in zip(sets, drawn.label_sets(), strict=True)]
    return _mapped(models, drawn, records, [()] * len(sets)), records


def in_output(models: Models, maps: SemanticMap) -> SemanticMap:
    """Maps in the label space of the output."""
    return maps.mapped(models.join(maps.space, models.space))


def _mapped(models: Models, maps: SemanticMap, records: Records, dropped: Sequence[Sequence[str]]) -> SemanticMap:
    """Maps in the output space and size; each record gets the classes that were dropped on the way (`dropped`: earlier)."""
    mapping = models.join(maps.space, models.space)
    for record, shown, before in zip(records, maps.label_sets(), dropped, strict=True):
        record["dropped"] = [*before, *(n for n in shown.names if n in mapping.dropped)]
    return maps.mapped(mapping).enlarge(models.resolution)


def _asked_and_shown(asked: LabelSet, shown: LabelSet) -> dict[str, Any]:
    requested = [n for n in asked.names if n != asked.space.background]
    return {"requested": requested, "empty": [n for n in requested if n not in shown.names]}
