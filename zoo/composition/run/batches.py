"""The work itself, batch by batch; sample i draws its map and its style from streams of its own, so neither depends on the batch."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import torch

from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.composition.run import editing, style_change, styling
from zoo.composition.run.inputs import Loader, keep_pixels
from zoo.composition.run.part import Part
from zoo.composition.run.progress import Work
from zoo.files.opened import OpenedFiles
from zoo.interfaces.capabilities import Progress
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, Layout, MaskGenerator
from zoo.labels import LabelSet
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng


def batches(
    models: Models,
    request: Request,
    start: int,
    progress: Progress | None,
    files: OpenedFiles,
    missing: Collection[int] | None = None,
) -> Iterator[Part]:
    """The batches of a checked request from sample `start` (a batch boundary) on. files: those of the request, as they were checked.

    missing: leave out the batches that have none of these samples (None: make all)."""
    loader, total = Loader(models, request, files), request.samples
    work = Work(progress, total)
    for first in range(start, total, request.batch_size):
        done = min(first + request.batch_size, total)
        if missing is not None and not any(sample in missing for sample in range(first, done)):
            continue
        yield _batch(loader, range(first, done), work)
        work.finished(done)


@torch.inference_mode()
def _batch(loader: Loader, samples: Sequence[int], work: Work) -> Part:
    models, request = loader.models, loader.request
    rng = Rng(request.seed, samples)
    if models.direct is not None:
        return _pictures(models, models.direct, request, rng, work)
    given = loader.given([i // request.n for i in samples])
    if given is None:
        maps, records = _generated(models, request, rng.within("map"), work)
    elif request.edits:
        maps, records = editing.edit_maps(loader, given, rng.within("map"))
    else:
        maps, records = given.maps, [{} for _ in samples]
    for record, told in zip(records, given.notes if given is not None else (), strict=False):
        if told:
            record["notes"] = [*record.get("notes", ()), *told]
    maps = _mapped(models, maps, records, [()] * len(samples) if given is None else given.dropped)
    images = style = None
    if models.synthesizer is not None:
        layout = _layout(models.synthesizer, loader, maps, [i // request.n for i in samples])
        for record in records if layout.notes else ():
            record["notes"] = [*record.get("notes", ()), *layout.notes]
        built = styling.build(loader, maps, given, samples)
        style = built and built.style
        options = models.options(request)["synthesizer"]
        options |= work.within(models.synthesizer, samples[0], len(samples))
        images = models.synthesizer.synthesize(layout, style, rng=rng.within("image"), **options).float().cpu()
        if built is not None:
            styling.record_gaps(records, built, request)
            style_change.record_change(records, loader, layout, maps, images, built.base, rng.within("image"))
        if request.keep and given is not None and given.photos is not None:
            images = keep_pixels(images, given.photos, given.maps.to_space(models.space), maps, request.keep)
    for sample, record, present in zip(samples, records, maps.label_sets(), strict=True):
        record.update(index=sample, seed=request.seed, labels=list(present.names))
    return Part(samples[0], maps, images, None if style is None else style.to("cpu"), records)


def _layout(synthesizer: ImageSynthesizer, loader: Loader, maps: SemanticMap, items: Sequence[int]) -> Layout:
    """The layout of a batch. Where all its samples show one given map, that map's alone serves them and the next batch."""
    request, first = loader.request, items[0]
    fixed = (request.masks or request.photos) and not request.edits
    if not fixed or not style_sources(synthesizer.capabilities()) or any(i != first for i in items):
        return synthesizer.layout(maps.to(loader.models.device))
    if loader.layout is None or loader.layout[0] != first:
        loader.layout = first, synthesizer.layout(maps[0].to(loader.models.device))
    return loader.layout[1]


def _pictures(models: Models, generator: ImageGenerator, request: Request, rng: Rng, work: Work) -> Part:
    """Pictures from label sets. Their records hold the sets asked for: without a map nobody sees what came out empty."""
    sets = _label_sets(generator, request, rng.within("map"))
    options = models.options(request)["generator"] | work.within(generator, rng.samples[0], len(sets))
    images = generator.generate(sets, rng=rng.within("image"), **options).float().cpu()
    records = [
        {"index": i, "seed": request.seed, "labels": list(s.names)} for i, s in zip(rng.samples, sets, strict=True)
    ]
    return Part(rng.samples[0], None, images, None, records)


def _generated(models: Models, request: Request, rng: Rng, work: Work) -> tuple[SemanticMap, list[dict[str, Any]]]:
    """Maps from label sets; each record says what was asked for and what came out empty."""
    assert models.generator is not None
    sets = _label_sets(models.generator, request, rng)
    latents = models.generator.sample_latents(sets, rng, prior=request.prior)
    steps = work.within(models.generator, rng.samples[0], len(sets), counted=models.synthesizer is None)
    drawn = models.generator.generate(sets, latents=latents, **models.options(request)["generator"], **steps).to("cpu")
    return drawn, [_asked_and_shown(asked, shown) for asked, shown in zip(sets, drawn.label_sets(), strict=True)]


def _mapped(
    models: Models, maps: SemanticMap, records: list[dict[str, Any]], dropped: Sequence[Sequence[str]]
) -> SemanticMap:
    """Maps in the output space and size; each record gets the classes that were dropped on the way (`dropped`: earlier)."""
    mapping = maps.space.mapping_to(models.space)
    for record, shown, before in zip(records, maps.label_sets(), dropped, strict=True):
        record["dropped"] = [*before, *(n for n in shown.names if n in mapping.dropped)]
    return maps.mapped(mapping).resize(models.resolution)


def _label_sets(model: MaskGenerator | ImageGenerator, request: Request, rng: Rng) -> list[LabelSet]:
    """The set of the request for every sample, else sets drawn as the training data had them."""
    count = len(rng.samples)
    if request.labels is None:
        return model.sample_label_sets(count, rng)
    return [model.label_space.label_set(request.labels)] * count


def _asked_and_shown(asked: LabelSet, shown: LabelSet) -> dict[str, Any]:
    requested = [n for n in asked.names if n != asked.space.background]
    return {"requested": requested, "empty": [n for n in requested if n not in shown.names]}
