"""The work itself, batch by batch; sample i draws its map and its style from streams of its own, so neither depends on the batch."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from contextlib import closing
from functools import partial
from typing import Any

import torch

from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.composition.run import style_change, styling
from zoo.composition.run.inputs import Loader, keep_pixels
from zoo.composition.run.making import in_output, maps_of
from zoo.composition.run.part import Part
from zoo.composition.run.progress import Work
from zoo.composition.run.sizing import resample
from zoo.composition.run.workers import in_order
from zoo.files.opened import OpenedFiles
from zoo.interfaces.capabilities import PaintsItself, Progress
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, Layout
from zoo.interfaces.pictures import finished
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
        return _pictures(loader, models.direct, rng, work)
    given = loader.given([i // request.n for i in samples])
    maps, records = maps_of(loader, given, rng.within("map"), work)
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
            images = keep_pixels(images, given.photos, in_output(models, given.maps), maps, request.keep)
    elif models.paints(request):
        images = _own_pictures(loader, rng)
    pasted = None
    if request.paste and images is not None:
        pasted = loader.pasted([i // request.n for i in samples], images)
    size = models.size(request)
    maps, images = maps.resize(size), None if images is None else resample(images, size)
    target = {} if models.mapping is None else dict(models.mapping.pairs)
    for sample, record, present in zip(samples, records, maps.label_sets(), strict=True):
        record.update(index=sample, seed=request.seed, labels=list(present.names))
        if request.balance:
            loader.wanted.note(record, target, present.names)
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


def _own_pictures(loader: Loader, rng: Rng) -> torch.Tensor:
    """The generator's pictures of the maps that it drew: of the same label sets and latents, from the same streams."""
    models, request = loader.models, loader.request
    generator, drawn = models.generator, rng.within("map")
    assert generator is not None and isinstance(generator, PaintsItself)
    sets = loader.wanted.sets(drawn)
    latents = generator.sample_latents(sets, drawn, prior=request.prior)
    options = models.options(request)["generator"]
    images = generator.generate_pictures(sets, latents=latents, rng=rng.within("image"), **options)
    return finished(images, generator, models.named["generator"].resolved.name)


def _pictures(loader: Loader, generator: ImageGenerator, rng: Rng, work: Work) -> Part:
    """Pictures from label sets. Their records hold the sets asked for: without a map nobody sees what came out empty."""
    models, request = loader.models, loader.request
    sets = loader.wanted.sets(rng.within("map"))
    options = models.options(request)["generator"] | work.within(generator, rng.samples[0], len(sets))
    drawn = generator.generate(sets, rng=rng.within("image"), **options)
    images = resample(finished(drawn, generator, models.named["generator"].resolved.name), models.size(request))
    records: list[dict[str, Any]] = [
        {"index": i, "seed": request.seed, "labels": list(s.names)} for i, s in zip(rng.samples, sets, strict=True)
    ]
    for record in records:
        loader.wanted.note(record, {}, None)
    return Part(rng.samples[0], None, images, None, records)
