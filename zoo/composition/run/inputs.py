"""What a composition starts from besides label sets: maps and photos, read once per run; pixels to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from zoo.composition.checks.faces import name_of, no_face, pixels_of
from zoo.composition.checks.given import read_map
from zoo.composition.models import Models
from zoo.composition.request.framing import frame_of
from zoo.composition.request.requests import Request, StyleSource
from zoo.composition.run.conditions import Wanted
from zoo.composition.run.style_change import BaseImages
from zoo.errors import plain
from zoo.files.frames import cut, cut_cells, paste
from zoo.files.images import photo_tensor, to_pil
from zoo.files.opened import OpenedFiles, OpenedMap
from zoo.files.squares import Frame
from zoo.labels import LabelSpace, Mapping
from zoo.maps import SemanticMap, nearest
from zoo.style import Style

if TYPE_CHECKING:
    from zoo.interfaces.models import Layout


CUT_AWAY = 0.02
"""Share of what a map shows (of a photo without one: of its pixels) that may be cut away without a word."""


@dataclass(eq=False)
class Given:
    """Maps [B, H, W] and photos [B, 3, H, W] that samples start from, at the composition's resolution.

    dropped: for each map the classes it showed that its space does not share with the models. notes: for each what was cut
    away to give it the models' shape.
    """

    maps: SemanticMap
    photos: Tensor | None
    dropped: tuple[tuple[str, ...], ...]
    notes: tuple[tuple[str, ...], ...]

    def take(self, rows: Sequence[int]) -> Given:
        """Some of them, by position."""
        return Given(
            self.maps[rows],
            None if self.photos is None else self.photos[list(rows)],
            tuple(self.dropped[row] for row in rows),
            tuple(self.notes[row] for row in rows),
        )


Picture = TypeVar("Picture", Tensor, np.ndarray)


def crop_to(picture: Picture, size: tuple[int, int]) -> Picture:
    """The largest centred crop of [..., H, W] with the aspect ratio of `size` (height, width)."""
    height, width = picture.shape[-2:]
    scale = min(height / size[0], width / size[1])
    h, w = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - h) // 2, (width - w) // 2
    return picture[..., top : top + h, left : left + w]


def fit_map(maps: SemanticMap, mapping: Mapping, size: tuple[int, int]) -> Given:
    """A map brought to another space by `mapping`, cropped to the aspect of `size` and resized."""
    cropped = None if maps.instances is None else crop_to(maps.instances.cpu(), size)
    labels = crop_to(maps.labels.cpu(), size)
    small = SemanticMap(labels, maps.space, cropped).resize(size)
    return _fitted(small, mapping, maps.labels[0], labels[0])


def fit_file(
    opened: OpenedMap, space: LabelSpace, mapping: Mapping, size: tuple[int, int], numbers: Any = None
) -> Given:
    """`fit_map` of a file in `space`, reduced before it becomes a tensor of eight times the bytes. numbers: int32 [H, W], its objects."""
    labels = opened.labels(space)
    cropped = crop_to(labels, size)
    rows, columns = nearest((cropped.shape[0], cropped.shape[1]), size)
    place = np.ix_(rows.numpy(), columns.numpy())
    objects = None if numbers is None else crop_to(numbers, size)[place]
    return _fitted(SemanticMap.from_arrays(cropped[place], space, objects), mapping, labels, cropped)


def _fitted(small: SemanticMap, mapping: Mapping, whole: Any, cropped: Any) -> Given:
    """A map at its final size, brought to another space by `mapping`. whole, cropped: the labels [H, W] that it was made of."""
    dropped = tuple(n for n in small.label_set().names if n in mapping.dropped)
    background = -1 if small.space.background_index is None else small.space.background_index
    shown, left = (int((x != background).sum()) for x in (whole, cropped))
    notes = (
        (cut_note(tuple(whole.shape), small.size, "map", 1 - left / shown),) if left < (1 - CUT_AWAY) * shown else ()
    )
    return Given(small.mapped(mapping), None, (dropped,), (notes,))


def cut_note(whole: tuple[int, int], size: tuple[int, int], what: str, share: float) -> str:
    """What the models' shape costs, and how to keep it. whole, size: (height, width)."""
    return (
        f"A {what} of {whole[1]} x {whole[0]} pixels was cut to the shape of the models ({size[1]} x {size[0]}), the middle of it:"
        f" {share:.0%} of what it shows is gone. Pad it to that shape first to keep all."
    )


def fit_photo(photo: Tensor, size: tuple[int, int]) -> Tensor:
    """One photo [1, 3, H, W] in [0, 1], cropped to the aspect of `size` and resized (bicubic, antialiased)."""
    return F.interpolate(crop_to(photo, size), size=size, mode="bicubic", antialias=True, align_corners=False).clamp(
        0, 1
    )


@dataclass(eq=False)
class Loader:
    """Takes what one request names from its files: the items of the present batch and each source of style are kept.

    files: those that the checks have looked at; styles: those sources; layout: the latest item whose map served a whole batch, with its layout; base_images: what a
    style of single classes is measured against. faceless_styles: what to say of photos of styles whose maps show nothing of a face.
    """

    models: Models
    request: Request
    files: OpenedFiles = field(default_factory=OpenedFiles)
    styles: dict[StyleSource, Style] = field(default_factory=dict)
    layout: tuple[int, Layout] | None = None
    base_images: BaseImages = field(default_factory=BaseImages)
    faceless_styles: dict[str, str] = field(default_factory=dict)
    _items: dict[int, Given] = field(default_factory=dict)

    @cached_property
    def wanted(self) -> Wanted:
        """What the generator is asked for."""
        model = self.models.generator or self.models.direct
        assert model is not None
        return Wanted(model, self.request)

    def given(self, items: Sequence[int]) -> Given | None:
        """The maps and photos of a batch (item numbers, repeated per sample), or None if it starts from label sets."""
        if not self.request.masks and not self.request.photos:
            return None
        self._items = {i: self._items.get(i) or self._item(i) for i in dict.fromkeys(items)}
        rows = [self._items[i] for i in items]
        photos = [r.photos for r in rows if r.photos is not None]
        return Given(
            SemanticMap.cat([r.maps for r in rows]),
            torch.cat(photos) if photos else None,
            tuple(r.dropped[0] for r in rows),
            tuple(r.notes[0] for r in rows),
        )

    def _item(self, item: int) -> Given:
        request = self.request
        if request.photos:
            mask = request.masks[item] if request.masks else None
            return self.pair(request.photos[item], mask, self.models.work_space(self.request), request.instances)
        return self._fitted_map(request.masks[item], self.models.work_space(self.request), request.instances)

    def _fitted(self, maps: SemanticMap, target: LabelSpace) -> Given:
        return fit_map(maps, self.models.join(maps.space, target), self.models.resolution)

    def _told(self, parsed: SemanticMap, photo: Any) -> tuple[str, ...]:
        """What to say of a photo whose map shows nothing of a face."""
        told = plain(no_face(parsed.label_set().names, parsed.space, name_of(photo)))
        if told and not any(photo is known for known in self.request.photos):
            self.faceless_styles[str(photo)] = told
        return (told,) if told else ()

    def pasted(self, items: Sequence[int], images: Tensor) -> list[np.ndarray]:
        """The pictures of these items, float [B, 3, H, W] in [0, 1] at the models' resolution, each blended into its photo."""
        made = []
        for item, image in zip(items, images, strict=True):
            photo = self.request.photos[item]
            frame = frame_of(self.request, photo)
            assert frame is not None  # `check_fields` asks for it
            made.append(paste(pixels_of(photo, self.files), np.asarray(to_pil(image)), frame))
        return made

    def _fitted_map(self, source: Any, target: LabelSpace, instances: str | None, frame: Frame | None = None) -> Given:
        if frame is not None:
            return self._fitted(self._framed_map(source, instances, frame), target)
        if isinstance(source, SemanticMap):
            return self._fitted(source, target)
        opened, space = self.files.map(source), self.models.map_space(self.request)
        numbers = None if instances is None else self.files.map(instances).instances(opened.size)
        return fit_file(opened, space, self.models.join(space, target), self.models.resolution, numbers)

    def _framed_map(self, source: Any, instances: str | None, frame: Frame) -> SemanticMap:
        """The part of a map that lies in the frame of its photo."""
        whole = self.read_map(source)
        objects = None if whole.instances is None else whole.instances[0].cpu().numpy()
        if instances is not None:
            objects = self.files.map(instances).instances(whole.size)
        cells = None if objects is None else cut_cells(objects, frame)
        return SemanticMap.from_arrays(cut_cells(whole.labels[0].cpu().numpy(), frame), whole.space, cells)

    def read_map(self, source: Any) -> SemanticMap:
        """A map that the request names, or brings along, at its own size."""
        return read_map(source, self.models.map_space(self.request), self.files)

    def pair(self, photo: Any, mask: Any | None, target: LabelSpace, instances: str | None = None) -> Given:
        """A photo and its map in `target`: the map given (checked to have its size), else what the parser reads in it.

        instances: path of the given map's instance numbers.
        """
        size = self.models.resolution
        frame = frame_of(self.request, photo)
        if frame is not None:
            picture = photo_tensor(cut(pixels_of(photo, self.files), frame))
        else:
            picture = photo if isinstance(photo, Tensor) else photo_tensor(self.files.photo(photo).pixels)
        picture = picture.float().cpu()
        picture = picture.reshape(1, *picture.shape[-3:])
        if mask is None:
            parsed = self.models.parser.parse(crop_to(picture, size).to(self.models.device))
            given = self._fitted(parsed.to("cpu"), target)
            given.notes = (self._told(parsed, photo),)
            whole_size, read = (picture.shape[-2], picture.shape[-1]), parsed.size
            gone = 1 - read[0] * read[1] / (whole_size[0] * whole_size[1])
            if gone > CUT_AWAY:
                given.notes = ((*given.notes[0], cut_note(whole_size, size, "photo", gone)),)
        else:
            given = self._fitted_map(mask, target, instances, frame)
        return Given(given.maps, fit_photo(picture, size), given.dropped, given.notes)


def keep_pixels(
    images: Tensor, photos: Tensor, before: SemanticMap, after: SemanticMap, classes: Sequence[str]
) -> Tensor:
    """Paste the photos' pixels where the photo's map and the new map both show one of these classes."""
    kept = torch.zeros(256, dtype=torch.bool)
    kept[[after.space.index(c) for c in classes]] = True
    mask = kept[before.labels] & kept[after.labels]
    return torch.where(mask[:, None], photos, images)
