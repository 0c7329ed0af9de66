"""Pictures of painted maps: the styles of a job, put together by what a composition puts them together with."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import torch
from torch import Tensor

from zoo.composition.chain import Composition
from zoo.composition.request.requests import Request, StyleSource, StyleSpec
from zoo.composition.request.written import DEPTHS, layer_names
from zoo.composition.run import styling
from zoo.composition.run.inputs import Given, Loader, crop_to, fit_map, fit_photo, keep_pixels
from zoo.errors import UsageError, few, plain
from zoo.interfaces.capabilities import EncodesStyle
from zoo.interfaces.models import ImageSynthesizer, Layout
from zoo.interfaces.pictures import finished
from zoo.maps import SemanticMap
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng
from zoo.style import Style
from zoo.web.bounded import Recent, nbytes
from zoo.web.limits import LOCAL, Limits
from zoo.web.models import Pool
from zoo.web.offers import Offer
from zoo.web.options import Pairs, built_options
from zoo.web.photos import Photo, Photos, cut
from zoo.web.wire import Keep, PaintedMap, Source, StylePart, StyleWish
from zoo.web.work import Work

PHASES = 4


@dataclass(frozen=True, eq=False)
class RenderJob:
    """A picture that is asked for. photos: all that its sources name, by id. fresh: nothing of the stroke before is used, so that the bytes
    are those that a replay makes (parts that are kept agree to rounding). options: sampling options of the synthesizer, name and text."""

    synthesizer: Offer
    painted: PaintedMap
    style: StyleWish
    seed: int
    keep: Keep | None = None
    parser: Offer | None = None
    photos: Mapping[str, Photo] = field(default_factory=dict)
    fresh: bool = False
    options: Pairs = ()


@dataclass(frozen=True, eq=False)
class Rendered:
    """pixels: uint8 RGB [H, W, 3]. notes: sentences for people."""

    pixels: np.ndarray
    seconds: float
    notes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """sha256 of the pixels' bytes."""
        return hashlib.sha256(self.pixels.tobytes()).hexdigest()


class Painter:
    """Renders for all tabs. Kept for the next stroke: the layout of each tab and synthesizer, and encoded photos."""

    def __init__(self, pool: Pool, photos: Photos, limits: Limits = LOCAL) -> None:
        self.pool, self.photos = pool, photos
        self._layouts = Recent(limits.layouts, 2 * limits.sessions)
        self._encoded = Recent(limits.styles)

    def forget(self, session: str) -> None:
        """Drop the layouts of a tab that is gone."""
        self._layouts.drop(lambda key: isinstance(key, tuple) and key[0] == session)

    @torch.inference_mode()
    def render(self, job: RenderJob, work: Work, session: str = "") -> Rendered:
        """The picture at the synthesizer's resolution: that of `zoo compose` with this map, these styles and this seed, its sample 0.

        Random: all that is drawn, by the job's seeds. Raises Cancelled between its phases (and between a model's steps), UsageError,
        LabelError, DataError, WeightsError.
        """
        start = time.perf_counter()
        composition = self.pool.composition(None, job.synthesizer)
        synthesizer = cast(ImageSynthesizer, composition.synthesizer)
        work.step(0, PHASES, "map")
        painted = SemanticMap.from_arrays(job.painted.labels, job.painted.space)
        given = fit_map(painted, composition.join(painted.space, composition.space), composition.resolution)
        notes = [*given.notes[0]]
        if lost := given.dropped[0]:
            notes.append(f"{job.synthesizer.id} has no {few(lost)}: there stands the {composition.space.background}.")
        layout = self._layout(synthesizer, given.maps, (session, job.synthesizer.id), job.fresh)
        notes += layout.notes
        work.step(1, PHASES, "style")
        styles = _Styles(self, composition, job, given.maps, work)
        style = styles.build()
        work.step(2, PHASES, "picture")
        images = self._paint(composition, layout, style, job, work)
        if job.keep is not None:
            images = styles.keep(images, job.keep)
        work.step(3, PHASES, "file")
        pixels = (images[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        seconds = time.perf_counter() - start
        return Rendered(np.ascontiguousarray(pixels), seconds, tuple(dict.fromkeys([*notes, *styles.notes])))

    def _layout(self, synthesizer: ImageSynthesizer, maps: SemanticMap, key: Hashable, fresh: bool) -> Layout:
        """The layout of a map: of the one before only what changed is computed again."""
        made = synthesizer.layout(maps.to(self.pool.device), reuse=None if fresh else self._layouts.get(key))
        self._layouts.put(key, made, nbytes(made))
        return made

    def _paint(
        self, composition: Composition, layout: Layout, style: Style | None, job: RenderJob, work: Work
    ) -> Tensor:
        synthesizer = cast(ImageSynthesizer, composition.synthesizer)
        options = built_options(job.options, job.synthesizer)
        if "steps" in synthesizer.capabilities():
            options["progress"] = lambda done, total: work.step(done, total, "steps")
        drawn = synthesizer.synthesize(layout, style, rng=Rng(job.seed, [0]).within("image"), **options)
        return finished(drawn, synthesizer, composition.named["synthesizer"].resolved.name)

    def framed(self, source: Source, job: RenderJob, composition: Composition, work: Work) -> Given:
        """A photo as it is framed, with its map (given, or read by a parser) in the synthesizer's space; both at its resolution."""
        size, space = composition.resolution, composition.space
        picture = cut(self.photos.pixels(job.photos[source.photo]), source.frame)
        if source.labels is not None:
            own = SemanticMap.from_arrays(source.labels.labels, source.labels.space)
        else:
            parser = job.parser or self.pool.parser_for(space)
            with self.pool.using(parser, wait=work.check):
                own = self.pool.parser(parser).parse(crop_to(picture, size).to(self.pool.device)).to("cpu")
        given = fit_map(own, composition.join(own.space, space), size)
        return Given(given.maps, fit_photo(picture, size), given.dropped, given.notes)

    def encoded(self, source: Source, job: RenderJob, composition: Composition, work: Work) -> tuple[Style, Given]:
        """The style of a photo, and the photo with its map; kept for the next stroke."""
        own = b"" if source.labels is None else source.labels.labels.tobytes() + source.labels.space.name.encode()
        reader = None if source.labels is not None or job.parser is None else job.parser.id
        key = (job.synthesizer.id, source.photo, source.frame, hashlib.sha256(own).digest(), reader)
        found = self._encoded.get(key)
        if found is None:
            work.check()
            given = self.framed(source, job, composition, work)
            work.check()
            synthesizer = composition.synthesizer
            assert isinstance(synthesizer, EncodesStyle) and given.photos is not None
            found = synthesizer.encode_style(given.photos, given.maps), given
            self._encoded.put(key, found, nbytes(found))
        return found


class _Styles:
    """The style of one job, and what is to be said of it."""

    def __init__(
        self, painter: Painter, composition: Composition, job: RenderJob, maps: SemanticMap, work: Work
    ) -> None:
        self.painter, self.composition, self.job, self.maps, self.work = painter, composition, job, maps, work
        self.synthesizer = cast(ImageSynthesizer, composition.synthesizer)
        self.places = style_sources(self.synthesizer.capabilities())
        self.form = painter.pool.styles(job.synthesizer)
        self.notes: list[str] = []

    def build(self) -> Style | None:
        """Parts one after the other, the mix, the locked parts; None for a synthesizer that has no style. Raises UsageError."""
        wish = self.job.style
        if not self.places:
            base, *more = wish.parts
            if more or wish.mix is not None or base.source.kind == "photo":
                self.notes.append(f"{self.job.synthesizer.id} has no style: its picture depends on the map alone.")
            return None
        free = [part for part in wish.parts if not part.locked]
        locked = [part for part in wish.parts if part.locked]
        style = self._combined([self._spec(part) for part in self._usable(free)])
        if wish.mix is not None and wish.amount > 0:
            end = self._combined([StyleSpec(self._source(wish.mix))])
            style = style.lerp(end.fill(style), wish.amount)
        if locked := self._usable(locked):
            style = self._combined([StyleSpec(StyleSource("style", style=style)), *(self._spec(p) for p in locked)])
        return style

    def _combined(self, specs: list[StyleSpec]) -> Style:
        request = Request(seed=self.job.seed, styles=tuple(specs), device=self.painter.pool.device)
        built = styling.build(Loader(self.composition, request), self.maps, None, [0])
        assert built is not None
        if built.absent[0]:
            self.notes.append(f"The style has no {few(built.absent[0])}: the model fills in its own.")
        return built.style

    def _usable(self, parts: list[StylePart]) -> list[StylePart]:
        """The parts whose classes the map shows; the others wait until it does. Raises UsageError for classes and layers that the
        synthesizer's styles have not."""
        shown = set(self.maps.label_set().names)
        space = self.composition.space
        usable = []
        for part in parts:
            if part.classes is None and part.layers is None:
                usable.append(part)
                continue
            self._check_axes(part)
            if not self.form.classes:
                usable.append(part)
                continue
            names = space.names if part.classes is None else [space.names[space.index(c)] for c in part.classes]
            if there := tuple(n for n in names if n in shown and self._has(n)):
                usable.append(StylePart(part.source, there, part.layers, part.locked))
        return [part for part in (self._present(part) for part in usable) if part is not None]

    def _present(self, part: StylePart) -> StylePart | None:
        """A part without the classes that its photo does not show, which stay as they are."""
        if part.classes is None or part.source.kind != "photo" or "photo" not in self.places:
            return part
        style, _ = self.painter.encoded(part.source, self.job, self.composition, self.work)
        if style.present is None:
            return part
        there = {n for n, p in zip(style.classes, style.present[0].tolist(), strict=True) if p}
        if missing := [n for n in part.classes if n not in there]:
            self.notes.append(f"The photo shows no {few(missing)}: the style stays as it was there.")
        kept = tuple(n for n in part.classes if n in there)
        return StylePart(part.source, kept, part.layers, part.locked) if kept else None

    def _has(self, name: str) -> bool:
        return name in self.form.classes

    def _check_axes(self, part: StylePart) -> None:
        name, form = self.job.synthesizer.id, self.form
        if not form.classes and part.classes is not None:
            raise UsageError(f"{name} has one style for the whole picture: it cannot be changed for single classes.")
        if part.layers is None:
            return
        if not form.layers:
            raise UsageError(f"The styles of {name} have no layers.")
        others = [layer for layer in part.layers if layer not in form.layers]
        if wrong := [layer for layer in others if not (layer.isdecimal() and int(layer)) and layer not in DEPTHS]:
            raise UsageError(f"{name} has no layer {few(wrong)} (it has: {', '.join(form.layers)}).")
        layer_names(others, form.layers)

    def _spec(self, part: StylePart) -> StyleSpec:
        layers = None if part.layers is None else self._numbers(part.layers)
        return StyleSpec(self._source(part.source), part.classes, layers)

    def _numbers(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """Layers by the model's names as the numbers that a written style has."""
        known = self.form.layers
        return tuple(str(known.index(layer) + 1) if layer in known else layer for layer in layers)

    def _source(self, source: Source) -> StyleSource:
        need = {"seed": "prior"}.get(source.kind, source.kind)
        if need not in self.places:
            told = {"seed": "a seed", "prior": "its prior", "mean": "a mean", "photo": "a photo"}[source.kind]
            raise UsageError(
                f"{self.job.synthesizer.id} takes no style from {told} (it takes: {', '.join(sorted(self.places))})."
            )
        if source.kind == "seed":
            return StyleSource("seed", seed=source.seed)
        if source.kind != "photo":
            return StyleSource(source.kind)
        style, given = self.painter.encoded(source, self.job, self.composition, self.work)
        self.notes += [plain(note) for note in given.notes[0]]
        return StyleSource("style", style=style)

    def keep(self, images: Tensor, keep: Keep) -> Tensor:
        """The picture with the photo's own pixels where both maps show one of the classes."""
        given = self.painter.framed(keep.source, self.job, self.composition, self.work)
        assert given.photos is not None
        return keep_pixels(images, given.photos, given.maps, self.maps, keep.classes)
