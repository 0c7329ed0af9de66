"""Photos through a translator, batch by batch: the content of a photo once, its styles one after the other."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor

from zoo.api import pick_device
from zoo.composition.models import Named, load_named
from zoo.composition.roles import check_kind
from zoo.composition.run.inputs import CUT_AWAY, cut_note, fit_photo
from zoo.composition.run.part import Part
from zoo.errors import LabelError, UsageError
from zoo.files.images import photo_tensor
from zoo.files.opened import OpenedFiles
from zoo.inference.forms import check_form
from zoo.interfaces.capabilities import Latents, Progress
from zoo.interfaces.models import Model
from zoo.interfaces.pictures import finished
from zoo.interfaces.translators import ImageTranslator
from zoo.registry.kinds import of_role
from zoo.rng import Rng
from zoo.style import Style
from zoo.translation.request import TranslationRequest

ROLE = "translator"
LONGEST = 8192
"""Pixels of the longest side at which a photo is translated."""


class Translation:
    """A translator and the photos and styles of one request. named: the model and where it came from."""

    def __init__(self, named: Named, device: str, *, dtype: str = "float32", compile: bool = False) -> None:
        self.named, self.device, self.dtype, self.compile = named, device, dtype, compile
        self.model = cast(ImageTranslator, named.model)

    @classmethod
    def load(
        cls, reference: str | Model, *, device: str = "auto", dtype: str = "float32", compile: bool = False
    ) -> Translation:
        """The inference form of a model by reference (or a loaded one). Raises UsageError for a model that is no translator."""
        check_form(dtype, compile)
        where = str(pick_device(device))
        check = partial(check_kind, of_role(ROLE))
        named = load_named(reference, where, check, dtype=dtype, compile=compile)
        return cls(named, where, dtype=dtype, compile=compile)

    @property
    def name(self) -> str:
        """The model's id."""
        return self.named.resolved.name

    def resolved(self, request: TranslationRequest) -> TranslationRequest:
        """The request with the domains that the model takes where it says none. Raises UsageError for those that it has not."""
        try:
            to = self.model.target(request.to)
            source = self.model.source_for(to) if request.source is None else self.model.domain(request.source)
        except LabelError as error:
            raise UsageError(*error.args) from error
        return request.with_domains(to, source)

    def sizes(self, request: TranslationRequest, files: OpenedFiles) -> list[tuple[int, int]]:
        """(height, width) at which each photo is translated. Raises UsageError for a photo that would become too long."""
        return [self._size(path, files) for path in request.photos]

    def _size(self, path: str, files: OpenedFiles) -> tuple[int, int]:
        height, width = files.photo(path).size
        try:
            size = self.model.size_for(height, width)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
        if max(size) > LONGEST:
            raise UsageError(
                f"{path} has {width} x {height} pixels and would be translated at {size[1]} x {size[0]}, more than {LONGEST} a side:"
                " crop it first."
            )
        return size

    # --- before anything is written -------------------------------------------------------------------------------

    def check(self, request: TranslationRequest, files: OpenedFiles) -> None:
        """Raise UsageError, DataError or WeightsError for photos and styles that do not do; all files have been read then."""
        self.sizes(request, files)
        form = None
        for source in dict.fromkeys(request.styles):
            if source.kind == "photo":
                self._size(str(source.path), files)
            elif source.kind == "file":
                form = form or self.model.sample_style(1, Rng(0), domain=str(request.to))
                _check_fits(str(source.path), self._saved(str(source.path), files), form, self.name)

    def _saved(self, path: str, files: OpenedFiles) -> Style:
        return files.parsed(path, Style.from_bytes)

    # --- the run --------------------------------------------------------------------------------------------------

    def run(
        self,
        request: TranslationRequest,
        files: OpenedFiles,
        *,
        missing: Collection[int] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[Part]:
        """The batches of a `resolved` request: each of one photo, at the same boundaries whatever was made before.

        missing: only the batches with some of these samples. progress(done, total) after each, in samples.
        """
        fixed: dict[Any, Style] = {}
        for item, path in enumerate(request.photos):
            content: Latents | None = None
            for first in range(0, request.n, request.batch_size):
                start = item * request.n + first
                samples = range(start, start + min(request.batch_size, request.n - first))
                if missing is not None and not any(sample in missing for sample in samples):
                    continue
                photo, notes = self._photo(path, files)
                if content is None:
                    with torch.inference_mode():
                        content = self.model.encode_content(photo, request.source)
                yield self._batch(request, samples, content, notes, files, fixed)
                if progress is not None:
                    progress(samples.stop, request.samples)

    def _photo(self, path: str, files: OpenedFiles) -> tuple[Tensor, tuple[str, ...]]:
        """A photo [1, 3, H, W] as the model takes it, and what was cut away for that."""
        opened, size = files.photo(path), self._size(path, files)
        height, width = opened.size
        scale = min(height / size[0], width / size[1])
        gone = 1 - (size[0] * scale) * (size[1] * scale) / (height * width)
        notes = (cut_note((height, width), size, "photo", gone),) if gone > CUT_AWAY else ()
        return fit_photo(photo_tensor(opened.pixels)[None], size).to(self.device), notes

    @torch.inference_mode()
    def _batch(
        self,
        request: TranslationRequest,
        samples: range,
        content: Latents,
        notes: tuple[str, ...],
        files: OpenedFiles,
        fixed: dict[Any, Style],
    ) -> Part:
        style = Style.cat([self._style(request, sample, files, fixed) for sample in samples])
        images = self.model.translate(content, to=request.to, style=style)
        made = finished(images, self.model, self.name)
        records = [
            {"index": sample, "seed": request.seed, "labels": [request.to], "notes": list(notes)} for sample in samples
        ]
        return Part(samples.start, None, made, style, records)

    def _style(self, request: TranslationRequest, sample: int, files: OpenedFiles, fixed: dict[Any, Style]) -> Style:
        """The style of a sample; what is no draw of its own is read once."""
        source, domain = request.style_of(sample), str(request.to)
        if source.kind == "prior":
            return self.model.sample_style(1, Rng(request.seed, [sample]).within("style"), domain=domain).to(
                self.device
            )
        if source not in fixed:
            if source.kind == "seed":
                assert source.seed is not None
                style = self.model.sample_style(1, Rng(source.seed), domain=domain)
            elif source.kind == "file":
                style = self._saved(str(source.path), files)
            else:
                style = self.model.encode_style(self._photo(str(source.path), files)[0], domain)
            fixed[source] = style.to(self.device)
        return fixed[source]


def _check_fits(path: str, style: Style, form: Style, name: str) -> None:
    """Raise UsageError for a saved style of another model, or of several samples."""
    shapes = [{k: tuple(v.shape[1:]) for k, v in s.tensors.items()} for s in (style, form)]
    if shapes[0] != shapes[1] or len(style) != 1:
        raise UsageError(
            f"{path} is no style of {name}: it has {len(style)} x {shapes[0]}, expected 1 x {shapes[1]}. Write one with Style.save."
        )
