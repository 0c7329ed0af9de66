"""What metrics measure, made when one asks for it and once for all of them: photos, maps, pictures, features, the judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from zoo.composition.chain import Composition
from zoo.data.pairs import Batch, PairData
from zoo.errors import DataError
from zoo.evaluation.extractors import DEFAULT, Extractor, open_extractor
from zoo.evaluation.made import BATCH, Made, composed, pictures_of, translated
from zoo.evaluation.parsers import judging_parser, model_facts, open_parser
from zoo.evaluation.perceptual import Perceptual, open_perceptual
from zoo.evaluation.subjects import Subject, paired_indices, read_pictures
from zoo.interfaces.models import ImageSynthesizer, MaskParser
from zoo.interfaces.translators import ImageTranslator
from zoo.maps import SemanticMap
from zoo.metrics.images import check_pictures

T = TypeVar("T")


class Watch(Protocol):
    """Called with what is being made, how much of it is there, and of how much."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


def unwatched(what: str, done: int, total: int) -> None:
    """No progress."""


class SubjectEvidence:
    """The evidence of one subject (`zoo.interfaces.metrics.Evidence`, where the parts are told)."""

    def __init__(
        self,
        subject: Subject,
        data: PairData,
        spec: str,
        *,
        parser: str | None = None,
        judges: Sequence[str] = (),
        extractor: str = DEFAULT,
        lpips: str = "alex",
        prior: str | None = None,
        limit: int | None = None,
        samples: int = 500,
        styles: int = 4,
        styled: int = 50,
        seed: int = 0,
        watch: Watch = unwatched,
    ) -> None:
        """spec: the data as it was named. limit: the first pairs only. parser, judges: models (None and (): the published ones for the
        label space). lpips: `alex` or `vgg`. prior: of a generator (None: fitted where there is one). styles: pictures of a map in the metrics of diversity, of the first
        `styled` maps."""
        self.source, self.subject, self.model = subject, subject.kind, subject.model
        self.data, self.spec = data, spec
        self.seed, self.samples, self.limit, self.styles, self.styled = seed, samples, limit, styles, styled
        self.watch, self.judges, self.lpips, self.prior = watch, tuple(judges), lpips, prior
        self.paired, indices = paired_indices(subject, data, limit)
        self.indices: Sequence[int] = indices
        self._parser, self._extractor = parser, extractor
        self._features: dict[int, tuple[Tensor, Tensor]] = {}
        self._kept: dict[str, Any] = {}

    def keep(self, key: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once for all metrics that ask under this key."""
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    # --- the pairs --------------------------------------------------------------------------------------------

    def batches(self, size: int = BATCH) -> Iterator[Batch]:
        """The pairs that are measured, in order."""
        for start in range(0, len(self.indices), size):
            yield self.data.batch(self.indices[start : start + size])

    @cached_property
    def photos(self) -> Tensor:
        """float32 [N, 3, H, W] in [0, 1]. Raises DataError for data of maps alone."""
        if not self.data.has_images:
            raise DataError("Pictures are judged beside photos, and this data set holds maps alone.")
        return torch.cat([b.images for b in self.batches(64) if b.images is not None])

    @cached_property
    def maps(self) -> SemanticMap:
        """The maps of the pairs, [N, H, W], without instances."""
        labels = torch.cat([b.maps.labels for b in self.batches(64)])
        return SemanticMap(labels, self.data.label_space)

    # --- the pictures -----------------------------------------------------------------------------------------

    @cached_property
    def made(self) -> Made:
        """The pictures, what they are compared with, and the maps that they should show; pictures are finite and in [0, 1]."""
        if isinstance(self.source.composition, Composition):
            made = composed(self.source.composition, self.data, self.indices, self.seed, self.watch)
        elif isinstance(self.model, ImageTranslator):
            made = translated(self.model, self.photos, self.maps, self.seed, self.watch)
        elif self.model is None:
            made = Made({"image": read_pictures(self.source, self.data, self.paired, self.indices, self.limit)}, {})
        else:
            assert isinstance(self.model, ImageSynthesizer)
            parts: dict[str, list[Tensor]] = {}
            for start, batch in zip(range(0, len(self.indices), BATCH), self.batches(), strict=True):
                for name, images in pictures_of(self.model, batch, start, self.seed).items():
                    parts.setdefault(name, []).append(images)
                self.watch("pictures", min(start + BATCH, len(self.indices)), len(self.indices))
            made = Made({name: torch.cat(images) for name, images in parts.items()}, {})
        for name, images in made.pictures.items():
            check_pictures(images, f"Pictures ({name}) of {self.source.name}")
        return made

    @property
    def pictures(self) -> Mapping[str, Tensor]:
        """By kind of picture: float32 [N, 3, H, W], checked to be finite and in [0, 1]."""
        return self.made.pictures

    def truth(self, name: str) -> Tensor:
        """The photos that pictures of this kind are compared with, as a distribution."""
        return self.made.beside.get(name, self.photos) if self.made.beside else self.photos

    @property
    def shown(self) -> SemanticMap:
        """The maps that the pictures should show: those of the pairs, of a composition those that it drew."""
        return self.made.maps or self.maps

    # --- the judges -------------------------------------------------------------------------------------------

    @cached_property
    def extractor(self) -> Extractor:
        """The one that was asked for. Raises UsageError where it or its weights are not here."""
        return open_extractor(self._extractor)

    @cached_property
    def perceptual(self) -> Mapping[str, Callable[[], Perceptual]]:
        """`lpips` (in the variant that was asked for) and `features`: opened when one asks."""
        opened: dict[str, Perceptual] = {}

        def once(name: str) -> Perceptual:
            if name not in opened:
                opened[name] = open_perceptual(name)
            return opened[name]

        return {"lpips": lambda: once(self.lpips), "features": lambda: once("mobilenet-v2")}

    def features(self, images: Tensor) -> Tensor:
        """The extractor's features, float64 [N, D], of the same tensor once."""
        if id(images) not in self._features:
            parts = []
            for start in range(0, len(images), 16):
                parts.append(self.extractor.features(images[start : start + 16]))
                self.watch("features", min(start + 16, len(images)), len(images))
            self._features[id(images)] = (images, torch.cat(parts))  # held, so that its id stays its own
        return self._features[id(images)][1]

    @cached_property
    def parser_reference(self) -> str:
        """The parser as it is named. Raises UsageError if none is published for these classes."""
        return self._parser or judging_parser(self.data.label_space)

    @cached_property
    def parser(self) -> MaskParser:
        """The judge that reads pictures."""
        return open_parser(self.parser_reference, self.data.label_space)

    def facts(self, *names: str) -> dict[str, Any]:
        """Parts of a protocol by name."""
        known: dict[str, Callable[[], Any]] = {
            "counts": lambda: {"pairs": len(self.indices), **self._pictured()},
            "resize": self._resize,
            "extractor": lambda: {"name": self.extractor.name, **self.extractor.facts},
            "parser": lambda: model_facts(self.parser_reference),
            "seed": lambda: self.seed,
            "classes": lambda: list(self.data.label_space.names),
        }
        return {name: known[name]() for name in names}

    def _pictured(self) -> dict[str, int]:
        made = self.__dict__.get("made")
        return {"pictures": len(next(iter(made.pictures.values())))} if made else {}

    def _resize(self) -> dict[str, Any]:
        height, width = cast("tuple[int, int]", self.data.resolution)
        return {"to": [height, width], "photos": "bicubic, antialiased", "maps": "nearest"}
