"""Asks a model, through its public calls, for everything that it can do: one question per ability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch

from zoo.edits import Add, Edit, Interpolate, Perturb, Redraw, Remove
from zoo.graphs import scene_graph
from zoo.interfaces.judges import MapJudge
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.interfaces.translators import ImageTranslator
from zoo.registry.capabilities import CAPABILITIES
from zoo.rng import RngLike
from zoo.style import Style
from zoo.testing.comparing import Answer, as_mapping
from zoo.testing.samples import Samples

OWED = {
    MaskGenerator: ("generate",),
    ImageSynthesizer: ("synthesize",),
    MaskParser: ("parse",),
    ImageGenerator: ("generate",),
    ImageTranslator: ("translate", "guide", "latents"),
    MapJudge: ("errors",),
}
"""What a model of each kind does whatever else it can."""
FURTHER = {
    MaskGenerator: tuple(
        n for n in CAPABILITIES if n in ("reconstruct", "layers", "graphs", "pictures") or n.startswith("edit:")
    ),
    ImageSynthesizer: tuple(n for n in CAPABILITIES if n.startswith("style:")),
    MapJudge: ("codes",),
}
"""What models of a kind may be able to do beyond that."""


def can(model: Model) -> frozenset[str]:
    """What a model says of itself: names among `FURTHER`, and "steps"."""
    return model.capabilities() - {"options"}


def interface_of(model: Model) -> type[Model]:
    """The interface that a model implements."""
    return next(kind for kind in OWED if isinstance(model, kind))


def further(model: Model) -> tuple[str, ...]:
    """All that a model of this kind may be able to do."""
    return FURTHER.get(interface_of(model), ())


class Asker:
    """Questions to one model, about the same samples each time. options: sampling options for every call that takes them."""

    def __init__(self, model: Model, samples: Samples, options: Any = None) -> None:
        self.model = model
        self.any: Any = model
        self.samples = samples
        self.options = {} if options is None or model.OPTIONS is None else {"options": options}

    @property
    def abilities(self) -> tuple[str, ...]:
        """What there is to ask: what the kind owes, and what the model says that it can."""
        able = can(self.model)
        return (*OWED[interface_of(self.model)], *(name for name in further(self.model) if name in able))

    @torch.no_grad()
    def ask(self, ability: str, chosen: Sequence[int], rng: RngLike) -> Answer:
        """The answer for the samples `chosen`, whose streams `rng` has."""
        name, _, kind = ability.partition(":")
        rows = list(chosen)
        if name in ("edit", "style"):
            return getattr(self, f"_{name}")(kind, rows, rng)
        return getattr(self, f"_{name}")(rows, rng)

    # --- maps and pictures of label sets --------------------------------------------------------------------------

    def _generate(self, rows: list[int], rng: RngLike) -> Answer:
        sets = [self.samples.sets[r] for r in rows]
        made = self.any.generate(sets, rng=rng, **self.options)
        answer: Answer = {"made": made.labels if isinstance(self.model, MaskGenerator) else made}
        if isinstance(self.model, MaskGenerator):
            latents = self.model.sample_latents(sets, rng)
            answer |= as_mapping(latents, "drawn")
            answer["from latents"] = self.any.generate(sets, latents=latents, **self.options).labels
        return answer

    def _reconstruct(self, rows: list[int], rng: RngLike) -> Answer:
        maps, sets = self.samples.maps[rows], [self.samples.sets[r] for r in rows]
        mean, drawn = self.any.encode(maps), self.any.encode(maps, rng=rng)
        return {
            **as_mapping(mean, "mean"),
            **as_mapping(drawn, "code"),
            "decoded": self.any.decode(mean, label_sets=sets).labels,
            "in context": self.any.decode(mean, label_sets=sets, context=maps).labels,
        }

    def _layers(self, rows: list[int], rng: RngLike) -> Answer:
        layered = self.any.generate_layers([self.samples.sets[r] for r in rows], rng=rng)
        return {"layers": layered.layers}

    def _graphs(self, rows: list[int], rng: RngLike) -> Answer:
        """Of every class of a sample two objects, the first and the last related by the model's first predicate."""
        graphs = []
        for labels in (self.samples.sets[r] for r in rows):
            objects = [*labels.names, *labels.names]
            graphs.append(scene_graph(labels.space, objects, [(0, self.any.predicates[0], len(objects) - 1)]))
        return {"of a graph": self.any.generate(graphs, rng=rng, **self.options).labels}

    def _pictures(self, rows: list[int], rng: RngLike) -> Answer:
        sets = [self.samples.sets[r] for r in rows]
        latents = self.any.sample_latents(sets, rng)
        made = self.any.generate_pictures(sets, latents=latents, rng=rng, **self.options)
        return {"picture": made, "drawn": self.any.generate_pictures(sets, rng=rng, **self.options)}

    def _edit(self, kind: str, rows: list[int], rng: RngLike) -> Answer:
        maps = self.samples.maps[rows]
        return {"edited": self.any.edit(maps, [self.edit_of(kind)], rng=rng, **self.options).labels}

    def edit_of(self, kind: str) -> Edit:
        """An edit of this kind that has something to do in every sample."""
        shown, spare = (self.samples.shown,), (self.samples.spare or self.samples.shown,)
        made: dict[str, Edit] = {
            "add": Add(spare),
            "remove": Remove(shown),
            "redraw": Redraw(shown),
            "perturb": Perturb(shown),
            "interpolate": Interpolate(shown, self.samples.maps[len(self.samples.maps) - 1], 0.5),
        }
        return made[kind]

    # --- pictures of maps -----------------------------------------------------------------------------------------

    def _synthesize(self, rows: list[int], rng: RngLike) -> Answer:
        maps = self.samples.maps[rows]
        layout = self.any.layout(maps)
        reused = self.any.layout(
            maps, reuse=self.any.layout(self.samples.maps[[rows[0], *(self._next(r) for r in rows[1:])]])
        )
        return {
            "image": self.any.synthesize(maps, rng=rng, **self.options),
            "of a layout": self.any.synthesize(layout, rng=rng, **self.options),
            "of a reused layout": self.any.synthesize(reused, rng=rng, **self.options),
        }

    def _next(self, row: int) -> int:
        return (row + 1) % len(self.samples.maps)

    def _style(self, kind: str, rows: list[int], rng: RngLike) -> Answer:
        maps, photos = self.samples.maps[rows], self.samples.photos[rows]
        if kind == "prior":
            style = self.any.sample_style(maps, rng)
            again = cast(ImageSynthesizer, self.model).resample(style, maps, rng=rng)
            return {
                **_parts(style, "drawn"),
                **_parts(again, "resampled"),
                "image": self.any.synthesize(maps, style, **self.options),
            }
        if kind == "mean":
            style = self.any.sample_style(maps, rng, prior="mean")
            return {**_parts(style, "mean"), "image": self.any.synthesize(maps, style, rng=rng, **self.options)}
        if kind == "partial":
            read = "style:photo" in can(self.model)
            style = self.any.encode_style(photos, maps) if read else self.any.sample_style(maps, rng)
            style = _without(style, self.samples.shown)
            return {"image": self.any.synthesize(maps, style, rng=rng, **self.options)}
        style = self.any.encode_style(photos, maps)
        return {
            **_parts(style, "code"),
            **_parts(self.any.encode_style(photos, maps, rng=rng), "one draw"),
            "image": self.any.synthesize(maps, style, rng=rng, **self.options),
        }

    # --- maps of photos -------------------------------------------------------------------------------------------

    def _parse(self, rows: list[int], rng: RngLike) -> Answer:
        photos = self.samples.photos[rows]
        features = {f"features {i}": f for i, f in enumerate(self.any.features(photos))}
        return {"parsed": self.any.parse(photos).labels, **features}

    # --- numbers of maps ------------------------------------------------------------------------------------------

    def _errors(self, rows: list[int], rng: RngLike) -> Answer:
        return {"error": self.any.errors(self.samples.maps[rows])}

    def _codes(self, rows: list[int], rng: RngLike) -> Answer:
        return {f"code {i}": code for i, code in enumerate(self.any.codes(self.samples.maps[rows]))}

    # --- photos of photos -----------------------------------------------------------------------------------------

    def _translate(self, rows: list[int], rng: RngLike) -> Answer:
        """Into each target in drawn styles; from photos or from their content."""
        photos = self.samples.photos[rows]
        first, *others = cast(ImageTranslator, self.model).targets
        content = self.any.encode_content(photos, self.any.source_for(first))
        style = self.any.sample_style(len(rows), rng, domain=first)
        return {
            "image": self.any.translate(photos, to=first, rng=rng),
            "of content": self.any.translate(content, to=first, rng=rng),
            "of a style": self.any.render(content, style, first),
            **_parts(style, "drawn"),
            **{f"image {other}": self.any.translate(photos, to=other, rng=rng) for other in others},
        }

    def _guide(self, rows: list[int], rng: RngLike) -> Answer:
        """In the style of photos; what is read of them is not random."""
        del rng
        photos = self.samples.photos[rows]
        answer: Answer = {}
        for domain in cast(ImageTranslator, self.model).targets:
            style = self.any.encode_style(self.samples.photos[[self._of(r) for r in rows]], domain)
            answer |= _parts(style, f"style {domain}")
            answer[f"guided {domain}"] = self.any.translate(photos, to=domain, style=style)
        return answer

    def _of(self, row: int) -> int:
        """Another photo's row."""
        return (row + 1) % len(self.samples.photos)

    def _latents(self, rows: list[int], rng: RngLike) -> Answer:
        """The content of photos of every domain, and one draw of their style, where it is a distribution."""
        photos = self.samples.photos[rows]
        answer: Answer = {}
        for domain in self.model.channels:
            answer |= as_mapping(self.any.encode_content(photos, domain), f"content {domain}")
        for domain in cast(ImageTranslator, self.model).targets:
            answer |= _parts(self.any.encode_style(photos, domain, rng=rng), f"one draw {domain}")
        return answer


def _parts(style: Style, prefix: str) -> Answer:
    tensors = as_mapping(style.tensors, prefix)
    return tensors if style.present is None else {**tensors, f"{prefix}.present": style.present}


def _without(style: Style, name: str) -> Style:
    """The style without this class, as a photo that does not show it gives one."""
    index = style.classes.index(name)
    present = (
        style.present.clone()
        if style.present is not None
        else torch.ones(len(style), len(style.classes), dtype=torch.bool)
    )
    present[:, index] = False
    tensors = dict(style.tensors)
    for key, axes in style.axes.items():
        if "class" in axes:
            tensors[key] = tensors[key].clone()
            tensors[key].select(axes.index("class"), index).zero_()
    visible = None if style.visible is None else style.visible & present[..., None]
    return replace(style, tensors=tensors, present=present, visible=visible)
