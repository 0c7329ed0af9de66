"""Any mask generator chained into any image synthesizer, joined by label names (DESIGN sections 4 and 5).

A composition may lack its generator (`zoo synth`) or its synthesizer (`zoo generate`), and an image generator stands alone:
pictures from label sets, no maps. It works batch by batch; sample i draws its map and its style from streams of its own, so
neither depends on the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from zoo.api import load, pick_device
from zoo.composition.checks import before_loading, styles
from zoo.composition.checks.pictures import check_pictures
from zoo.composition.request.arguments import make_request
from zoo.composition.request.options import split_options
from zoo.composition.request.requests import DEFAULT_BATCH, EditSpec, Request, Source, split_composition
from zoo.composition.run import editing, style_change, styling
from zoo.composition.run.inputs import Loader, default_parser, keep_pixels
from zoo.composition.run.progress import Work
from zoo.edits import Edit
from zoo.errors import UsageError
from zoo.hub import Resolved, resolve
from zoo.inference.optimize import optimize
from zoo.interfaces.capabilities import Progress
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, Layout, MaskGenerator, MaskParser, Model
from zoo.labels import LabelSet, LabelSpace
from zoo.labels import Mapping as LabelMapping
from zoo.maps import SemanticMap
from zoo.rng import Rng
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.composition.folder.results import Result

NOWHERE = Path("/nonexistent")  # the folder of a model that was given as an object


@dataclass(eq=False)
class Part:
    """One finished batch: samples `start`, `start + 1`, …; maps in the output space; each of the three where there are any."""

    start: int
    maps: SemanticMap | None
    images: Tensor | None
    styles: Style | None
    records: list[dict[str, Any]]


@dataclass
class Named:
    """A model and where it came from."""

    model: Model
    resolved: Resolved


class Composition:
    """Made by `compose`. Call it for a Result, or `stream` it batch by batch."""

    def __init__(
        self,
        generator: Named | None,
        synthesizer: Named | None,
        *,
        parser: str | Model | None = None,
        device: str = "cpu",
    ) -> None:
        """Raises UsageError without any model, LabelError if the two have no class in common."""
        self.named = {role: named for role, named in (("generator", generator), ("synthesizer", synthesizer)) if named}
        self.device = device
        self._parser = parser
        first = generator and generator.model
        self.direct = first if isinstance(first, ImageGenerator) else None
        self.generator = cast("MaskGenerator | None", None if self.direct is not None else first)
        self.synthesizer = cast("ImageSynthesizer | None", synthesizer and synthesizer.model)
        if first is None and self.synthesizer is None:
            raise UsageError("A composition needs a generator or a synthesizer.")
        # the join by names happens here, before anything is drawn
        self.mapping = self.generator.label_space.mapping_to(self.space) if self.generator is not None else None

    @property
    def name(self) -> str:
        """`generator+synthesizer`, by model id."""
        return "+".join(n.resolved.name for n in (self.named.get("generator"), self.named.get("synthesizer")) if n)

    @property
    def space(self) -> LabelSpace:
        """The label space of the maps that come out: the synthesizer's, else the generator's."""
        return self._last.label_space

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) of maps and images that come out."""
        return self._last.resolution

    @property
    def _last(self) -> Model:
        return next(m for m in (self.synthesizer, self.generator, self.direct) if m is not None)

    @cached_property
    def parser(self) -> MaskParser:
        """The parser of photos: the one asked for, else the published one for this label space. Raises UsageError."""
        check = partial(before_loading.check_kind, "mask-parser")
        named = _load(self._parser or default_parser(self.space), self.device, check)
        self.named["parser"] = named
        return cast(MaskParser, named.model)

    # --- calls ------------------------------------------------------------------------------------------------

    def __call__(
        self,
        *,
        labels: Sequence[str] | str | None = None,
        maps: SemanticMap | Sequence[Any] | str | Path | None = None,
        photos: Tensor | Sequence[Any] | str | Path | None = None,
        n: int = 1,
        seed: int | None = None,
        edits: Sequence[Edit | EditSpec | str] | Edit | str = (),
        style: Style | Source | str | Sequence[str] | None = None,
        batch_size: int = DEFAULT_BATCH,
        progress: Progress | None = None,
        **options: Any,
    ) -> Result:
        """Everything at once, as a Result. `n` counts per label set, map or photo; without any, n label sets are drawn.

        maps: SemanticMaps, or PNG paths (in `mask_space`, default the output space). photos: paths, or float tensors in
        [0, 1]. style: as on the command line, or a Style. options: keep_rest, same_style, prior, style_to, keep,
        mask_space, instances, options (sampling options of the models, by name). progress(done, total) is called after each
        batch, and after each step of a model that works in steps (total: samples, or samples times steps); raise `zoo.Cancelled`
        in it to stop.
        Random: all that is drawn, by `seed` (None: a fresh one, reported). Raises UsageError, LabelError, DataError.
        """
        from zoo.composition.folder.results import Result

        request = make_request(
            self, labels=labels, maps=maps, photos=photos, n=n, seed=seed, edits=edits, style=style, batch_size=batch_size, **options
        )  # fmt: skip
        return Result.collect(self, request, list(self.run(request, progress=progress)))

    def stream(self, *, progress: Progress | None = None, **arguments: Any) -> Iterator[Part]:
        """The same batch by batch, in bounded memory. Takes what a call takes; wrong arguments raise at once."""
        return self.run(make_request(self, **arguments), progress=progress)

    # --- the run --------------------------------------------------------------------------------------------------

    def count(self, request: Request) -> int:
        """How many samples a request makes."""
        return request.n * max(1, len(request.masks) or len(request.photos))

    def mappings(self, request: Request) -> list[LabelMapping]:
        """The changes of label space on the way from what is given to what comes out, without those that change nothing."""
        loader = Loader(self, request)
        found = [loader.space.mapping_to(loader.work_space)] if request.masks else []
        found += [self.parser.label_space.mapping_to(loader.work_space)] if request.photos and not request.masks else []
        if self.mapping is not None and (request.edits or not (request.masks or request.photos)):
            found.append(self.mapping)
        return [m for m in found if not m.identity]

    def check(self, request: Request) -> None:
        """Raise UsageError, LabelError or DataError for what these models cannot do, before anything is drawn or written."""
        given = bool(request.masks or request.photos)
        if self.direct is not None:
            before_loading.check_direct(request, self.name)
            before_loading.check_classes(request, self.space, self.space)
            self.options(request)
            return
        if self.generator is None and not given:
            raise UsageError(f"{self.name} makes images from maps: give --mask MAP.png (or --photo PHOTO).")
        before_loading.check_classes(
            request, self.generator.label_space if self.generator is not None else None, self.space
        )
        before_loading.check_files(request)
        check_pictures(request, self.space)
        if self.synthesizer is not None:
            styles.check_styles(self.synthesizer, request, self.count(request))
        elif request.styles or request.style_to or request.same_style or request.keep:
            raise UsageError(f"{self.name} makes maps only: leave --style, --style-to, --same-style and --keep out.")
        self.options(request)
        loader = Loader(self, request)
        if request.edits:
            editing.check_edits(self.generator, request.edits)
        shown = loader.verify()
        if request.edits:
            editing.check_shown(request.edits, loader.work_space, shown)
        styles.check_styled(request, self.space, self._to_be_shown(request, loader.work_space, shown))

    def _to_be_shown(self, request: Request, work_space: LabelSpace, shown: set[str] | None) -> set[str] | None:
        """Classes of the output space that some map of the run may show; None where only the run itself will tell."""
        if request.labels is not None and self.generator is not None:
            work_space = self.generator.label_space
            shown = {*request.labels, *([work_space.background] if work_space.background else [])}
        if shown is None:
            return None
        added = (c for e in request.edits if e.kind in ("add", "interpolate") for c in e.classes)
        mapping = work_space.mapping_to(self.space)
        values = (mapping.table[work_space.index(name)] for name in {*shown, *added})
        return {self.space.names[v] for v in values if v >= 0}

    def options(self, request: Request) -> dict[str, dict[str, Any]]:
        """By role, what a model's calls take beside their arguments: `options=` for those that have sampling options.

        Raises UsageError for an option that no model has.
        """
        models = {"generator": self.generator or self.direct, "synthesizer": self.synthesizer}
        built = split_options(request.options, {r: m.OPTIONS for r, m in models.items() if m is not None})
        return {role: {"options": built[role]} if role in built else {} for role in models}

    def describe_randomness(self, request: Request) -> str | None:
        """A sentence for `-n` above 1 when nothing in the run is random, else None."""
        if (
            request.n == 1
            or request.style_to is not None
            or styling.is_random(request, self.synthesizer, editing.RANDOM)
        ):
            return None
        return f"Nothing is random here: all {request.n} samples of a map are equal{self._ways_out(request)}."

    def _ways_out(self, request: Request) -> str:
        """What would make samples differ, as far as these models have it."""
        drawn = [kind for kind in editing.RANDOM if kind in getattr(self.generator, "edits", ())]
        ways = ["leave --same-style out"] if request.same_style else []
        if not ways and self.synthesizer is not None and "prior" in self.synthesizer.styles:
            ways = ["--style prior"]
        if drawn:
            ways.append(f"--edit {drawn[-1]}:C")
        return f" (try {' or '.join(ways)})" if ways else ""

    def run(self, request: Request, *, start: int = 0, progress: Progress | None = None) -> Iterator[Part]:
        """The batches from sample `start` (a batch boundary) on. The request is checked at once."""
        self.check(request)
        return self._batches(request, start, progress)

    def _batches(self, request: Request, start: int, progress: Progress | None) -> Iterator[Part]:
        loader, total = Loader(self, request), self.count(request)
        work = Work(progress, total)
        for first in range(start, total, request.batch_size):
            done = min(first + request.batch_size, total)
            yield self._batch(loader, range(first, done), work)
            work.finished(done)

    @torch.inference_mode()
    def _batch(self, loader: Loader, samples: Sequence[int], work: Work) -> Part:
        request = loader.request
        rng = Rng(request.seed, samples)
        if self.direct is not None:
            return self._pictures(self.direct, request, rng, work)
        given = loader.given([i // request.n for i in samples])
        if given is None:
            maps, records = self._generated(request, rng.within("map"), work)
        elif request.edits:
            maps, records = editing.edit_maps(loader, given, rng.within("map"))
        else:
            maps, records = given.maps, [{} for _ in samples]
        for record, told in zip(records, given.notes if given is not None else (), strict=False):
            if told:
                record["notes"] = [*record.get("notes", ()), *told]
        maps = self._mapped(maps, records, [()] * len(samples) if given is None else given.dropped)
        images = style = None
        if self.synthesizer is not None:
            layout = self._layout(self.synthesizer, loader, maps, [i // request.n for i in samples])
            for record in records if layout.notes else ():
                record["notes"] = [*record.get("notes", ()), *layout.notes]
            built = styling.build(loader, maps, given, samples)
            style = built and built.style
            options = self.options(request)["synthesizer"]
            options |= work.within(self.synthesizer, samples[0], len(samples))
            images = self.synthesizer.synthesize(layout, style, rng=rng.within("image"), **options).float().cpu()
            if built is not None:
                styling.account(records, built, request)
                style_change.account(records, loader, layout, maps, images, built.base, rng.within("image"))
            if request.keep and given is not None and given.photos is not None:
                images = keep_pixels(images, given.photos, given.maps.to_space(self.space), maps, request.keep)
        for sample, record, present in zip(samples, records, maps.label_sets(), strict=True):
            record.update(index=sample, seed=request.seed, labels=list(present.names))
        return Part(samples[0], maps, images, None if style is None else style.to("cpu"), records)

    def _layout(self, synthesizer: ImageSynthesizer, loader: Loader, maps: SemanticMap, items: Sequence[int]) -> Layout:
        """The layout of a batch. Where all its samples show one given map, that map's alone serves them and the next batch."""
        request, first = loader.request, items[0]
        fixed = (request.masks or request.photos) and not request.edits
        if not fixed or not synthesizer.styles or any(i != first for i in items):
            return synthesizer.layout(maps.to(self.device))
        if loader.layout is None or loader.layout[0] != first:
            loader.layout = first, synthesizer.layout(maps[0].to(self.device))
        return loader.layout[1]

    def _pictures(self, generator: ImageGenerator, request: Request, rng: Rng, work: Work) -> Part:
        """Pictures from label sets. Their records hold the sets asked for: without a map nobody sees what came out empty."""
        sets = _label_sets(generator, request, rng.within("map"))
        options = self.options(request)["generator"] | work.within(generator, rng.samples[0], len(sets))
        images = generator.generate(sets, rng=rng.within("image"), **options).float().cpu()
        records = [
            {"index": i, "seed": request.seed, "labels": list(s.names)} for i, s in zip(rng.samples, sets, strict=True)
        ]
        return Part(rng.samples[0], None, images, None, records)

    def _generated(self, request: Request, rng: Rng, work: Work) -> tuple[SemanticMap, list[dict[str, Any]]]:
        """Maps from label sets; each record says what was asked for and what came out empty."""
        assert self.generator is not None
        sets = _label_sets(self.generator, request, rng)
        latents = self.generator.sample_latents(sets, rng, prior=request.prior)
        steps = work.within(self.generator, rng.samples[0], len(sets), counted=self.synthesizer is None)
        drawn = self.generator.generate(sets, latents=latents, **self.options(request)["generator"], **steps).to("cpu")
        return drawn, [_account(asked, shown) for asked, shown in zip(sets, drawn.label_sets(), strict=True)]

    def _mapped(
        self, maps: SemanticMap, records: list[dict[str, Any]], dropped: Sequence[Sequence[str]]
    ) -> SemanticMap:
        """Maps in the output space and size; each record gets the classes that were dropped on the way (`dropped`: earlier)."""
        mapping = maps.space.mapping_to(self.space)
        for record, shown, before in zip(records, maps.label_sets(), dropped, strict=True):
            record["dropped"] = [*before, *(n for n in shown.names if n in mapping.dropped)]
        return maps.mapped(mapping).resize(self.resolution)


def _label_sets(model: MaskGenerator | ImageGenerator, request: Request, rng: Rng) -> list[LabelSet]:
    """The set of the request for every sample, else sets drawn as the training data had them."""
    count = len(rng.samples)
    if request.labels is None:
        return model.sample_label_sets(count, rng)
    return [model.label_space.label_set(request.labels)] * count


def _account(asked: LabelSet, shown: LabelSet) -> dict[str, Any]:
    requested = [n for n in asked.names if n != asked.space.background]
    return {"requested": requested, "empty": [n for n in requested if n not in shown.names]}


def _load(reference: str | Model, device: str, check: Callable[[str, str], None]) -> Named:
    """A model by reference, in its inference form. check(kind, reference) refuses the wrong kind."""
    from zoo.registry import registry
    from zoo.store.models import read_config

    if isinstance(reference, Model):
        classes = {
            "mask-generator": MaskGenerator,
            "image-synthesizer": ImageSynthesizer,
            "mask-parser": MaskParser,
            "image-generator": ImageGenerator,
        }
        name = type(reference).__name__
        check(next((k for k, c in classes.items() if isinstance(reference, c)), "model"), name)
        return Named(optimize(reference.to(device)), Resolved(name.lower(), NOWHERE, name))
    if reference in registry().architectures:  # whether or not it has a published model
        check(registry().architectures[reference].kind, reference)
    resolved = resolve(reference)
    check(registry().architecture(read_config(resolved.folder)["architecture"]).kind, resolved.source)
    return Named(optimize(load(resolved.folder, device=device)), resolved)


def compose(
    models: str | tuple[str | Model | None, str | Model | None], *, device: str = "auto", parser: str | Model | None = None
) -> Composition:  # fmt: skip
    """A composition from `"GEN+SYN"` or from a pair of references or loaded models (None: that half is left out).

    Models are joined by label names; an image generator stands alone: `(generator, None)`. parser: the parser of photos
    (default: the published one for the label space).
    Raises LabelError if the models have no class in common, UsageError for unknown names or a model of the wrong kind.
    """
    pair = split_composition(models) if isinstance(models, str) else models
    where = str(pick_device(device))
    generator = None if pair[0] is None else _load(pair[0], where, partial(before_loading.check_role, pair, 0))
    synthesizer = None if pair[1] is None else _load(pair[1], where, partial(before_loading.check_role, pair, 1))
    return Composition(generator, synthesizer, parser=parser, device=where)
