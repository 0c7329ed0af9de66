"""The work itself, batch by batch; sample i draws its map and its style from streams of its own, so neither depends on the batch."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch

from zoo.composition.checks.required import could_show, required_classes
from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.composition.run import editing, style_change, styling
from zoo.composition.run.conditions import label_sets
from zoo.composition.run.inputs import Given, Loader, keep_pixels
from zoo.composition.run.part import Part
from zoo.composition.run.progress import Work
from zoo.composition.run.requiring import Drawn, Requirement
from zoo.composition.run.sizing import resample
from zoo.composition.run.workers import in_order
from zoo.files.opened import OpenedFiles
from zoo.interfaces.capabilities import PaintsItself, Progress
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, Layout
from zoo.interfaces.pictures import finished
from zoo.labels import LabelSet
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng


def batches(
    models: Models,
    request: Request,
    samples: range,
    progress: Progress | None,
    files: OpenedFiles,
    missing: Collection[int] | None = None,
    workers: int = 1,
) -> Generator[Part, None, None]:
    """The batches of these samples of a checked request, in order. files: those of the request, as they were checked.

    samples: from a batch boundary to one, or to the end. missing: leave out the batches that have none of these samples (None: make all).
    workers: batches made at once (`zoo.composition.run.workers`), which changes no byte."""
    pieces = [range(i, min(i + request.batch_size, samples.stop)) for i in samples[:: request.batch_size]]
    wanted = [p for p in pieces if missing is None or any(sample in missing for sample in p)]
    count = max(1, min(workers, len(wanted)))
    work = Work(progress, samples.stop, steps=count == 1)
    makers = [partial(_batch, Loader(models, request, files), work=work) for _ in range(count)]
    with closing(in_order(makers, wanted)) as parts:
        for piece, part in zip(wanted, parts, strict=True):
            yield part
            work.finished(piece.stop)


@torch.inference_mode()
def _batch(loader: Loader, samples: Sequence[int], *, work: Work) -> Part:
    models, request = loader.models, loader.request
    rng = Rng(request.seed, samples)
    if models.direct is not None:
        return _pictures(models, models.direct, request, rng, work)
    given = loader.given([i // request.n for i in samples])
    maps, records = _maps(loader, given, rng.within("map"), work)
    for record, told in zip(records, given.notes if given is not None else (), strict=False):
        if told:
            record["notes"] = [*record.get("notes", ()), *told]
    images = style = None
    if models.synthesizer is not None:
        layout = _layout(models.synthesizer, loader, maps, [i // request.n for i in samples])
        for record in records if layout.notes else ():
            record["notes"] = [*record.get("notes", ()), *layout.notes]
        built = styling.build(loader, maps, given, samples)
        style = built and built.style
        options = models.options(request)["synthesizer"]
        options |= work.within(models.synthesizer, samples[0], len(samples))
        drawn = models.synthesizer.synthesize(layout, style, rng=rng.within("image"), **options)
        images = finished(drawn, models.synthesizer, models.named["synthesizer"].resolved.name)
        if built is not None:
            styling.record_gaps(records, built, request)
            for record in records if loader.faceless_styles else ():
                record["notes"] = [*record.get("notes", ()), *loader.faceless_styles.values()]
            style_change.record_change(records, loader, layout, maps, images, built.base, rng.within("image"))
        if request.keep and given is not None and given.photos is not None:
            images = keep_pixels(images, given.photos, _in_output(models, given.maps), maps, request.keep)
    elif models.paints(request):
        images = _own_pictures(models, request, rng)
    pasted = None
    if request.paste and images is not None:
        pasted = loader.pasted([i // request.n for i in samples], images)
    size = models.size(request)
    maps, images = maps.resize(size), None if images is None else resample(images, size)
    for sample, record, present in zip(samples, records, maps.label_sets(), strict=True):
        record.update(index=sample, seed=request.seed, labels=list(present.names))
    return Part(samples[0], maps, images, None if style is None else style.to("cpu"), records, pasted)


def _layout(synthesizer: ImageSynthesizer, loader: Loader, maps: SemanticMap, items: Sequence[int]) -> Layout:
    """The layout of a batch. Where all its samples show one given map, that map's alone serves them and the next batch."""
    request, first = loader.request, items[0]
    fixed = (request.masks or request.photos) and not request.edits
    if not fixed or not style_sources(synthesizer.capabilities()) or any(i != first for i in items):
        return synthesizer.layout(maps.to(loader.models.device))
    if loader.layout is None or loader.layout[0] != first:
        loader.layout = first, synthesizer.layout(maps[0].to(loader.models.device))
    return loader.layout[1]


def _own_pictures(models: Models, request: Request, rng: Rng) -> torch.Tensor:
    """The generator's pictures of the maps that it drew: of the same label sets and latents, from the same streams."""
    generator, drawn = models.generator, rng.within("map")
    assert generator is not None and isinstance(generator, PaintsItself)
    sets = label_sets(generator, request, drawn)
    latents = generator.sample_latents(sets, drawn, prior=request.prior)
    options = models.options(request)["generator"]
    images = generator.generate_pictures(sets, latents=latents, rng=rng.within("image"), **options)
    return finished(images, generator, models.named["generator"].resolved.name)


def _pictures(models: Models, generator: ImageGenerator, request: Request, rng: Rng, work: Work) -> Part:
    """Pictures from label sets. Their records hold the sets asked for: without a map nobody sees what came out empty."""
    sets = label_sets(generator, request, rng.within("map"))
    options = models.options(request)["generator"] | work.within(generator, rng.samples[0], len(sets))
    drawn = generator.generate(sets, rng=rng.within("image"), **options)
    images = resample(finished(drawn, generator, models.named["generator"].resolved.name), models.size(request))
    records = [
        {"index": i, "seed": request.seed, "labels": list(s.names)} for i, s in zip(rng.samples, sets, strict=True)
    ]
    return Part(rng.samples[0], None, images, None, records)


def _maps(loader: Loader, given: Given | None, rng: Rng, work: Work) -> Drawn:
    """The maps of a batch in the output space at the models' resolution, with a record each."""
    models, request = loader.models, loader.request
    if given is not None and not request.edits:
        records: list[dict[str, Any]] = [{} for _ in given.dropped]
        return _mapped(models, given.maps, records, given.dropped), records
    open_ = list(range(len(rng.samples)))
    if given is None:
        maps, records = _generated(models, request, rng, work)
    else:
        maps, records, open_ = _edited(loader, given, rng)
    if not request.require:
        return maps, records
    names = required_classes(request, models.space)

    def draw(rows: Sequence[int], streams: Rng) -> Drawn:
        if given is None:
            return _generated(models, request, streams, work, again=True)
        return _edited(loader, given.take(rows), streams)[:2]

    def promising(rows: Sequence[int], streams: Rng) -> list[int]:
        if given is not None:
            return [row for row in rows if row in open_]
        assert models.generator is not None
        sets = label_sets(models.generator, request, streams)
        return [row for row, labels in zip(rows, sets, strict=True) if could_show(models, labels, names)]

    return Requirement(names, models.size(request), request.tries, draw, promising).meet(maps, records, rng)


def _edited(loader: Loader, given: Given, rng: Rng) -> tuple[SemanticMap, list[dict[str, Any]], list[int]]:
    """Edited maps in the output space, their records, and the rows that another draw would change."""
    models = loader.models
    edited = editing.edit_maps(loader, given, rng)
    maps = _mapped(models, edited.maps, edited.records, given.dropped)
    if edited.still:
        # not by way of the generator's size: they stay byte by byte
        labels = maps.labels.clone()
        labels[edited.still] = _in_output(models, given.maps).labels[edited.still]
        maps = SemanticMap(labels, maps.space)
    return maps, edited.records, edited.open


def _generated(models: Models, request: Request, rng: Rng, work: Work, *, again: bool = False) -> Drawn:
    """Maps from label sets, in the output space; each record says what was asked for and what came out empty.

    again: for samples whose first draw has been counted as progress.
    """
    assert models.generator is not None
    sets = label_sets(models.generator, request, rng)
    latents = models.generator.sample_latents(sets, rng, prior=request.prior)
    steps = work.within(models.generator, rng.samples[0], len(sets), counted=models.synthesizer is None and not again)
    drawn = models.generator.generate(sets, latents=latents, **models.options(request)["generator"], **steps).to("cpu")
    records = [_asked_and_shown(asked, shown) for asked, shown in zip(sets, drawn.label_sets(), strict=True)]
    return _mapped(models, drawn, records, [()] * len(sets)), records


def _in_output(models: Models, maps: SemanticMap) -> SemanticMap:
    return maps.mapped(models.join(maps.space, models.space))


def _mapped(
    models: Models, maps: SemanticMap, records: list[dict[str, Any]], dropped: Sequence[Sequence[str]]
) -> SemanticMap:
    """Maps in the output space and size; each record gets the classes that were dropped on the way (`dropped`: earlier)."""
    mapping = models.join(maps.space, models.space)
    for record, shown, before in zip(records, maps.label_sets(), dropped, strict=True):
        record["dropped"] = [*before, *(n for n in shown.names if n in mapping.dropped)]
    return maps.mapped(mapping).resize(models.resolution)


def _asked_and_shown(asked: LabelSet, shown: LabelSet) -> dict[str, Any]:
    requested = [n for n in asked.names if n != asked.space.background]
    return {"requested": requested, "empty": [n for n in requested if n not in shown.names]}
