"""Any mask generator chained into any image synthesizer, joined by label names (DESIGN sections 4 and 5).

A composition may lack its generator (`zoo synth`) or its synthesizer (`zoo generate`). It works batch by batch; sample i
draws its map and its style from streams of its own, so neither depends on the batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor

from zoo import conditions as cond
from zoo import styling
from zoo.api import load, pick_device
from zoo.errors import LabelError, UsageError
from zoo.fast import optimize
from zoo.hub import Resolved, resolve
from zoo.interfaces import Edit, EditsParts, ImageSynthesizer, MaskGenerator, MaskParser, Model, Progress
from zoo.labels import LabelSet, LabelSpace
from zoo.maps import SemanticMap
from zoo.requests import DEFAULT_BATCH, EditSpec, Request, Source, StyleSpec, parse_edit, parse_style
from zoo.rng import Rng, fresh_seed
from zoo.style import Style


@dataclass(eq=False)
class Part:
    """One finished batch: samples `start`, `start + 1`, …; maps in the output space; images and styles where there are any."""

    start: int
    maps: SemanticMap
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

    def __init__(self, generator: Named | None, synthesizer: Named | None, *, parser: str | None = None, device: str = "cpu") -> None:
        self.named = {role: named for role, named in (("generator", generator), ("synthesizer", synthesizer)) if named}
        self.device = device
        self._parser = parser
        self.generator = cast("MaskGenerator | None", generator and generator.model)
        self.synthesizer = cast("ImageSynthesizer | None", synthesizer and synthesizer.model)
        if self.generator is None and self.synthesizer is None:
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
        model = self.synthesizer if self.synthesizer is not None else self.generator
        assert model is not None
        return model.label_space

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) of maps and images that come out."""
        model = self.synthesizer if self.synthesizer is not None else self.generator
        assert model is not None
        return model.resolution

    @cached_property
    def parser(self) -> MaskParser:
        """The parser of photos: the one asked for, else the published one for this label space. Raises UsageError."""
        named = _load(self._parser or cond.default_parser(self.space), self.device, "mask-parser")
        self.named["parser"] = named
        return cast(MaskParser, named.model)

    # --- calls ------------------------------------------------------------------------------------------------

    def __call__(
        self,
        *,
        labels: Sequence[str] | None = None,
        maps: SemanticMap | Sequence[Any] | None = None,
        photos: Sequence[Any] | None = None,
        n: int = 1,
        seed: int | None = None,
        edits: Sequence[Edit | EditSpec | str] = (),
        style: Style | Source | str | Sequence[str] | None = None,
        batch_size: int = DEFAULT_BATCH,
        progress: Progress | None = None,
        **options: Any,
    ) -> Any:
        """Everything at once, as a Result. `n` counts per label set, map or photo; without any, n label sets are drawn.

        maps: a SemanticMap, or PNG paths (in `mask_space`, default the output space). style: as on the command line, or a
        Style. options: further fields of `Request` (keep_rest, same_style, prior, style_to, keep, mask_space).
        progress(done, total) is called after each batch; raise `zoo.Cancelled` in it to stop.
        """
        from zoo.results import Result

        request = self.request(labels=labels, maps=maps, photos=photos, n=n, seed=seed, edits=edits, style=style, batch_size=batch_size, **options)
        return Result.collect(self, request, list(self.run(request, progress=progress)))

    def stream(self, **arguments: Any) -> Iterator[Part]:
        """The same batch by batch, in bounded memory. Takes what a call takes."""
        progress = arguments.pop("progress", None)
        return self.run(self.request(**arguments), progress=progress)

    def request(
        self, *, labels=None, maps=None, photos=None, n=1, seed=None, edits=(), style=None, batch_size=DEFAULT_BATCH, **options: Any
    ) -> Request:
        """The arguments of a call as a Request; texts are read as on the command line."""
        masks = tuple(maps[i] for i in range(len(maps))) if isinstance(maps, SemanticMap) else tuple(maps or ())
        specs = tuple(parse_edit(e) if isinstance(e, str) else cond.edit_spec(e) for e in edits)
        return Request(
            n=n,
            seed=fresh_seed() if seed is None else seed,
            labels=None if labels is None else tuple(labels),
            masks=masks,
            photos=tuple(photos or ()),
            edits=specs,
            styles=_style_specs(style),
            batch_size=batch_size,
            device=self.device,
            **options,
        )

    # --- the run --------------------------------------------------------------------------------------------------

    def count(self, request: Request) -> int:
        """How many samples a request makes."""
        return request.n * max(1, len(request.masks) or len(request.photos))

    def check(self, request: Request) -> None:
        """Raise UsageError or LabelError for what these models cannot do, before anything is drawn or written."""
        given = bool(request.masks or request.photos)
        if self.generator is None and not given:
            raise UsageError(f"{self.name} makes images from maps: give --mask MAP.png (or --photo PHOTO).")
        if request.edits:
            cond.check_edits(self.generator, request.edits)
        if request.labels is not None:
            assert self.generator is not None
            self.generator.label_space.label_set(request.labels)
        elif self.generator is not None and not given:
            self.generator.sample_label_sets(1, Rng(request.seed))
        if self.synthesizer is None and (request.styles or request.style_to or request.keep):
            raise UsageError(f"{self.name} makes maps only: leave --style and --keep out.")
        for name in request.keep:
            self.space.index(name)
        if self.synthesizer is not None:
            styling.check_styles(self.synthesizer, request)

    def run(self, request: Request, *, start: int = 0, progress: Progress | None = None) -> Iterator[Part]:
        """The batches from sample `start` (a batch boundary) on."""
        self.check(request)
        total = self.count(request)
        for first in range(start, total, request.batch_size):
            yield self._batch(request, list(range(first, min(first + request.batch_size, total))))
            if progress is not None:
                progress(min(first + request.batch_size, total), total)

    @torch.inference_mode()
    def _batch(self, request: Request, samples: list[int]) -> Part:
        rng = Rng(request.seed, samples)
        given = cond.load_given(self, request, [i // request.n for i in samples])
        if given is None:
            maps, records = self._generated(request, rng)
        elif request.edits:
            maps, records = self._edited(request, given, rng)
        else:
            maps, records = given.maps.resize(self.resolution), [{} for _ in samples]
        images = style = None
        if self.synthesizer is not None:
            maps = maps.to(self.device)
            layout = self.synthesizer.layout(maps)
            style = styling.build(self, request, layout.semantic_map, given, samples)
            images = self.synthesizer.synthesize(layout, style, rng=rng.within("image")).float().cpu()
            maps = maps.to("cpu")
            if request.keep and given is not None:
                images = cond.keep_pixels(images, given, maps, request.keep)
        for sample, record, present in zip(samples, records, maps.label_sets(), strict=True):
            record.update(index=sample, seed=request.seed, labels=list(present.names))
        return Part(samples[0], maps, images, style, records)

    def _generated(self, request: Request, rng: Rng) -> tuple[SemanticMap, list[dict[str, Any]]]:
        """Maps from label sets; each record says what was asked for and what came out empty or was dropped."""
        assert self.generator is not None and self.mapping is not None
        space = self.generator.label_space
        count = len(rng.samples)
        if request.labels is not None:
            sets = [space.label_set(request.labels)] * count
        else:
            sets = self.generator.sample_label_sets(count, rng.within("map"))
        latents = self.generator.sample_latents(sets, rng.within("map"), prior=request.prior)
        drawn = self.generator.generate(sets, latents=latents).to("cpu")
        records = [self._account(asked, shown) for asked, shown in zip(sets, drawn.label_sets(), strict=True)]
        return drawn.mapped(self.mapping).resize(self.resolution), records

    def _account(self, asked: LabelSet, shown: LabelSet) -> dict[str, Any]:
        assert self.mapping is not None
        background = asked.space.background
        record: dict[str, Any] = {"requested": [n for n in asked.names if n != background]}
        record["empty"] = [n for n in record["requested"] if n not in shown.names]
        record["dropped"] = [n for n in shown.names if n in self.mapping.dropped]
        return record

    def _edited(self, request: Request, given: cond.Given, rng: Rng) -> tuple[SemanticMap, list[dict[str, Any]]]:
        """Edited maps; each record says how much changed outside the edited classes."""
        assert self.generator is not None and self.mapping is not None and isinstance(self.generator, EditsParts)
        old = given.maps.to_space(self.generator.label_space)
        edits = [cond.to_edit(spec, self.generator.label_space, request.mask_space or self.space, len(old)) for spec in request.edits]
        new = self.generator.edit(old.to(self.device), edits, rng=rng.within("map")).to("cpu")
        old = old.resize(new.size)
        touched = torch.zeros(len(new.space), dtype=torch.bool)
        touched[[new.space.index(c) for spec in request.edits for c in spec.classes]] = True
        outside = ~touched[old.labels] & ~touched[new.labels]
        changed = (old.labels != new.labels) & outside
        shares = changed.flatten(1).float().mean(1).tolist()
        if request.keep_rest:
            new = SemanticMap(torch.where(outside, old.labels, new.labels), new.space)
        wanted = {c for spec in request.edits if spec.kind in ("add", "redraw") for c in spec.classes}
        records = []
        for share, shown in zip(shares, new.label_sets(), strict=True):
            empty = [n for n in new.space.names if n in {new.space.names[new.space.index(c)] for c in wanted} and n not in shown.names]
            dropped = [n for n in shown.names if n in self.mapping.dropped]
            records.append({"edits": [str(e) for e in request.edits], "changed_outside_edits": round(share, 6), "empty": empty, "dropped": dropped})
        return new.mapped(self.mapping).resize(self.resolution), records


def _style_specs(style: Any) -> tuple[StyleSpec, ...]:
    if style is None:
        return ()
    if isinstance(style, Style):
        return (StyleSpec(Source("style", style=style)),)
    if isinstance(style, Source):
        return (StyleSpec(style),)
    if isinstance(style, StyleSpec):
        return (style,)
    texts: Iterable[Any] = [style] if isinstance(style, str) else style
    return tuple(parse_style(s) if isinstance(s, str) else _style_specs(s)[0] for s in texts)


def _load(reference: str | Model, device: str, kind: str) -> Named:
    """A model by reference, in its inference form, checked for its kind."""
    from zoo.registry import registry
    from zoo.weights import read_config

    classes = {"mask-generator": MaskGenerator, "image-synthesizer": ImageSynthesizer, "mask-parser": MaskParser}
    if isinstance(reference, Model):
        resolved = Resolved(type(reference).__name__.lower(), cond.NOWHERE, type(reference).__name__)
        model = reference.to(device)
        found = next((k for k, c in classes.items() if isinstance(model, c)), "model")
    else:
        resolved = resolve(reference)
        found = registry().architecture(read_config(resolved.folder)["architecture"]).kind
        model = None
    if found != kind:
        raise UsageError(f"{resolved.source} is a {found}, and a {kind} is needed here (a composition is GENERATOR+SYNTHESIZER).")
    return Named(optimize(model if model is not None else load(resolved.folder, device=device)), resolved)


def split_composition(text: str) -> tuple[str, str]:
    """`GEN+SYN` as its two parts. Raises UsageError."""
    parts = text.split("+")
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"A composition is GENERATOR+SYNTHESIZER, for example mask-vae+scgan; got {text!r}.")
    return parts[0], parts[1]


def compose(
    models: str | tuple[str | Model | None, str | Model | None], *, device: str = "auto", parser: str | None = None
) -> Composition:
    """A composition from `"GEN+SYN"` or from a pair of references or loaded models (None: that half is left out).

    Models are joined by label names. Raises LabelError if they have no class in common, UsageError for unknown names or a
    model of the wrong kind.
    """
    pair = split_composition(models) if isinstance(models, str) else models
    where = str(pick_device(device))
    generator = None if pair[0] is None else _load(pair[0], where, "mask-generator")
    synthesizer = None if pair[1] is None else _load(pair[1], where, "image-synthesizer")
    return Composition(generator, synthesizer, parser=parser, device=where)


__all__ = ["Composition", "LabelError", "Part", "compose", "replace", "split_composition"]
