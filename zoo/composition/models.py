"""Which models a composition has, and how they are joined: by the names of their classes.

A composition may lack its generator (`zoo synth`) or its synthesizer (`zoo generate`), and an image generator stands alone:
pictures from label sets, no maps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch

from zoo.api import load_as
from zoo.composition.parsers import default_parser
from zoo.composition.request.options import split_options
from zoo.composition.request.requests import Request
from zoo.composition.roles import check_kind, serving, stands_alone
from zoo.composition.rules import RULES
from zoo.errors import UsageError
from zoo.hub import Resolved, resolve
from zoo.inference.optimize import optimize
from zoo.interfaces.border import guarded
from zoo.interfaces.models import ImageGenerator, ImageSynthesizer, MaskGenerator, MaskParser, Model
from zoo.labels import LabelSpace
from zoo.labels import Mapping as LabelMapping
from zoo.registry import registry
from zoo.registry.kinds import kind_of, of_role
from zoo.store.models import read_config

NOWHERE = Path("/nonexistent")
"""The folder of a model that was given as an object."""


@dataclass
class Named:
    """A model and where it came from. left_out: files of its folder that it does without, because a replayed run lacked them."""

    model: Model
    resolved: Resolved
    left_out: frozenset[str] = frozenset()


class Models:
    """The models of a composition, joined."""

    def __init__(
        self,
        generator: Named | None,
        synthesizer: Named | None,
        *,
        parser: str | Model | None = None,
        device: str = "cpu",
        dtype: str = "float32",
        compile: bool = False,
    ) -> None:
        """Raises UsageError without any model, LabelError if the two have no class in common."""
        self.rules = RULES
        self.named = {role: named for role, named in (("generator", generator), ("synthesizer", synthesizer)) if named}
        self.device = device
        self.dtype, self.compile = dtype, compile
        self._parser = parser
        first = generator and generator.model
        alone = first is not None and stands_alone(kind_name(first))
        self.direct = cast("ImageGenerator | None", first if alone else None)
        self.generator = cast("MaskGenerator | None", None if self.direct is not None else first)
        self.synthesizer = cast("ImageSynthesizer | None", synthesizer and synthesizer.model)
        if first is None and self.synthesizer is None:
            raise UsageError("A composition needs a generator or a synthesizer.")
        _ = self.mapping  # the join by names happens here, before anything is drawn

    def join(self, source: LabelSpace, target: LabelSpace) -> LabelMapping:
        """How maps of one space become maps of another in this composition. Raises LabelError without a class in common."""
        return source.mapping_to(target, lay=self.rules >= 2)

    @property
    def mapping(self) -> LabelMapping | None:
        """The join of generator and output; None without a generator of maps."""
        return None if self.generator is None else self.join(self.generator.label_space, self.space)

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
        """(height, width) at which the models make maps and images."""
        return self._last.resolution

    @property
    def _last(self) -> Model:
        return next(m for m in (self.synthesizer, self.generator, self.direct) if m is not None)

    @cached_property
    def parser(self) -> MaskParser:
        """The parser of photos: the one asked for, else the published one for this label space. Raises UsageError."""
        check = partial(check_kind, of_role("parser"))
        named = load_named(self._parser or default_parser(self.space), self.device, check)
        self.named["parser"] = named
        return cast(MaskParser, named.model)

    def paints(self, request: Request) -> bool:
        """Whether a run has pictures: a synthesizer's, an image generator's, or the generator's own of the maps that it draws (not of edited
        ones, nor of those drawn again)."""
        if self.synthesizer is not None or self.direct is not None:
            return True
        given = request.masks or request.photos or request.require or request.reject_empty
        return self.generator is not None and "pictures" in self.generator.capabilities() and not given

    def size(self, request: Request) -> tuple[int, int]:
        """(height, width) of the maps and images of a request: as it asks, else the models'."""
        return self.resolution if request.size is None else (request.size[1], request.size[0])

    def map_space(self, request: Request) -> LabelSpace:
        """The space of the maps on disk that a request names."""
        return request.mask_space or self.space

    def work_space(self, request: Request) -> LabelSpace:
        """The space in which samples start: the generator's if maps are edited, else the output's."""
        return self.generator.label_space if request.edits and self.generator is not None else self.space

    def mappings(self, request: Request) -> list[LabelMapping]:
        """The changes of label space on the way from what is given to what comes out, without those that change nothing."""
        work_space = self.work_space(request)
        mappings = [self.join(self.map_space(request), work_space)] if request.masks else []
        mappings += [self.join(self.parser.label_space, work_space)] if request.photos and not request.masks else []
        if self.mapping is not None and (request.edits or not (request.masks or request.photos)):
            mappings.append(self.mapping)
        return [m for m in mappings if not m.identity]

    def options(self, request: Request) -> dict[str, dict[str, Any]]:
        """By role, what a model's calls take beside their arguments: `options=` for those that have sampling options.

        Raises UsageError for an option that no model has.
        """
        models = {"generator": self.generator or self.direct, "synthesizer": self.synthesizer}
        built = split_options(request.options, {r: m.OPTIONS for r, m in models.items() if m is not None})
        return {role: {"options": built[role]} if role in built else {} for role in models}


def kind_name(model: Model) -> str:
    """The kind of a model that is given as an object; "model" for one of no kind."""
    kind = kind_of(type(model))
    return "model" if kind is None else kind.name


def load_named(
    reference: str | Model,
    device: str,
    check: Callable[[str, str], None],
    *,
    kinds: Sequence[str] = (),
    dtype: str = "float32",
    compile: bool = False,
) -> Named:
    """A model by reference, in its inference form. check(kind, reference) refuses the wrong kind. kinds: what its place asks for, as which
    a folder of another kind may serve. dtype, compile: as of `compose`."""
    form = partial(optimize, dtype=torch.bfloat16 if dtype == "bf16" else None, compile=compile)
    if isinstance(reference, Model):
        name = type(reference).__name__
        check(kind_name(reference), name)
        return Named(guarded(form(reference.to(device))), Resolved(name.lower(), NOWHERE, name))
    if reference in registry().architectures:  # whether or not it has a published model
        check(serving(registry().architectures[reference], kinds).kind, reference)
    resolved = resolve(reference)
    arch = serving(registry().architecture(read_config(resolved.folder)["architecture"]), kinds)
    check(arch.kind, resolved.source)
    model = load_as(resolved.folder, arch.name, device=device)
    return Named(guarded(form(model, in_place=True)), resolved)
