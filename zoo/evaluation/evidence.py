"""What metrics measure, made when one asks for it and once for all of them: photos, maps, pictures, features, the judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from zoo.api import load
from zoo.composition.models import default_parser
from zoo.data.pairs import Batch, PairData
from zoo.errors import DataError, UsageError
from zoo.evaluation.subjects import Subject, paired_indices, read_pictures
from zoo.files.digests import sha256
from zoo.hub import resolve
from zoo.interfaces.capabilities import EncodesStyle, SamplesStyle
from zoo.interfaces.models import ImageSynthesizer, MaskParser
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap
from zoo.metrics.images import check_pictures
from zoo.metrics.realism import JUDGE_SIDE, judge_features
from zoo.nn.pretrained import MOBILENET_V2, mobilenet_v2
from zoo.registry.capabilities import style_sources
from zoo.rng import Rng

BATCH = 8


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
        limit: int | None = None,
        samples: int = 500,
        seed: int = 0,
        watch: Watch = unwatched,
    ) -> None:
        """spec: the data as it was named. limit: the first pairs only. parser: the judge (None: the published one for the label space)."""
        self.source, self.subject, self.model = subject, subject.kind, subject.model
        self.data, self.spec = data, spec
        self.seed, self.samples, self.limit = seed, samples, limit
        self.watch = watch
        self.paired, indices = paired_indices(subject, data, limit)
        self.indices: Sequence[int] = indices
        self._parser = parser
        self._features: dict[int, tuple[Tensor, Tensor]] = {}

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
    def pictures(self) -> Mapping[str, Tensor]:
        """By kind of picture: float32 [N, 3, H, W], checked to be finite and in [0, 1]."""
        if self.model is None:
            made = {"image": read_pictures(self.source, self.data, self.paired, self.indices, self.limit)}
        else:
            assert isinstance(self.model, ImageSynthesizer)
            parts: dict[str, list[Tensor]] = {}
            for start, batch in zip(range(0, len(self.indices), BATCH), self.batches(), strict=True):
                for name, images in pictures_of(self.model, batch, start, self.seed).items():
                    parts.setdefault(name, []).append(images)
                self.watch("pictures", min(start + BATCH, len(self.indices)), len(self.indices))
            made = {name: torch.cat(images) for name, images in parts.items()}
        for name, images in made.items():
            check_pictures(images, f"Pictures ({name}) of {self.source.name}")
        return made

    # --- the judges -------------------------------------------------------------------------------------------

    @cached_property
    def extractor(self) -> nn.Module:
        """MobileNetV2 from the installed wheel. Raises UsageError where it is not installed."""
        return mobilenet_v2()

    def features(self, images: Tensor) -> Tensor:
        """The extractor's features, float64 [N, 1280], of the same tensor once."""
        if id(images) not in self._features:
            parts = []
            for start in range(0, len(images), 16):
                parts.append(judge_features(self.extractor, images[start : start + 16]))
                self.watch("features", min(start + 16, len(images)), len(images))
            self._features[id(images)] = (images, torch.cat(parts))  # held, so that its id stays its own
        return self._features[id(images)][1]

    @cached_property
    def parser_reference(self) -> str:
        """The parser as it is named. Raises UsageError if none is published for these classes."""
        return self._parser or default_parser(self.data.label_space)

    @cached_property
    def parser(self) -> MaskParser:
        """The judge that reads pictures."""
        return open_parser(self.parser_reference, self.data.label_space)

    def facts(self, *names: str) -> dict[str, Any]:
        """Parts of a protocol by name."""
        known: dict[str, Callable[[], Any]] = {
            "counts": lambda: {"pairs": len(self.indices), **self._pictured()},
            "resize": self._resize,
            "extractor": self._extractor,
            "parser": self._parser_facts,
            "seed": lambda: self.seed,
            "classes": lambda: list(self.data.label_space.names),
        }
        return {name: known[name]() for name in names}

    def _pictured(self) -> dict[str, int]:
        made = self.__dict__.get("pictures", {})
        return {"pictures": len(next(iter(made.values())))} if made else {}

    def _resize(self) -> dict[str, Any]:
        height, width = cast("tuple[int, int]", self.data.resolution)
        return {"to": [height, width], "photos": "bicubic, antialiased", "maps": "nearest"}

    def _extractor(self) -> dict[str, Any]:
        resize = f"{JUDGE_SIDE} x {JUDGE_SIDE}, bicubic, antialiased"
        wheel = f"{MOBILENET_V2.distribution} {MOBILENET_V2.version}"
        return {"name": "mobilenet-v2", "from": wheel, "sha256": MOBILENET_V2.sha256, "resize": resize}

    def _parser_facts(self) -> dict[str, Any]:
        resolved = resolve(self.parser_reference)
        return {"name": resolved.name, "sha256": sha256(resolved.folder / "model.safetensors")}


def pictures_of(model: ImageSynthesizer, batch: Batch, first: int, seed: int = 0) -> dict[str, Tensor]:
    """The maps of a batch with the photos' own style and with drawn ones (of a model without style: as they come), on the CPU.

    Row i of what is drawn is sample `first` + i of the seed.
    """
    batch = batch.to(model.device)
    layout = model.layout(batch.maps)
    places = style_sources(model.capabilities())
    rng = Rng(seed, range(first, first + len(batch)))
    if not places:
        return {"image": model.synthesize(layout, rng=rng if model.draws_noise else None).cpu()}
    made = {}
    if "photo" in places:
        if batch.images is None:
            raise DataError("A synthesizer is judged on photos and their maps, and this data set holds maps alone.")
        assert isinstance(model, EncodesStyle)
        style = model.encode_style(batch.images, batch.maps)
        made["encoded_style"] = model.synthesize(layout, style, rng=rng if model.draws_noise else None).cpu()
    if "prior" in places:
        assert isinstance(model, SamplesStyle)
        style = model.sample_style(batch.maps, rng)
        made["random_style"] = model.synthesize(layout, style, rng=rng if model.draws_noise else None).cpu()
    return made or {"image": model.synthesize(layout, rng=rng).cpu()}  # a mean style alone


def open_parser(reference: str, space: LabelSpace) -> MaskParser:
    """The parser that reads pictures. Raises UsageError for another kind of model, LabelError if it knows none of the classes."""
    parser = load(reference)
    if not isinstance(parser, MaskParser):
        raise UsageError(f'<<parser="{reference}">> is a {type(parser).__name__}, no parser.')
    parser.label_space.mapping_to(space)
    return parser
