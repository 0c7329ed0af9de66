"""The files that a run starts from, decoded once before anything is written."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.files.images import open_image
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap


def read_map(source: Any, space: LabelSpace, instances: str | None = None) -> SemanticMap:
    """One map [1, H, W] from a PNG (values of `space`), or the SemanticMap itself."""
    return source if isinstance(source, SemanticMap) else SemanticMap.from_png(source, space, instances=instances)


def verify(models: Models, request: Request) -> set[str] | None:
    """Decode every file once, so that a damaged one is found before anything is written.

    Returns the classes (names of the work space) that the given maps show; None where photos are parsed.
    Raises DataError, LabelError, WeightsError.
    """
    space = models.map_space(request)
    maps = [read_map(m, space, request.instances) for m in request.masks]
    for edit in request.edits:
        if edit.other is not None:
            read_map(edit.other, space)
    for photo in request.photos:
        if not isinstance(photo, Tensor):
            open_image(photo)
    if not maps:
        return None
    return {n for m in maps for n in m.mapped(m.space.mapping_to(models.work_space(request))).label_set().names}
