"""The maps that a run starts from, as the files that were opened hold them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zoo.composition.models import Models
from zoo.composition.request.requests import Request
from zoo.files.opened import OpenedFiles
from zoo.labels import LabelSpace
from zoo.maps import SemanticMap


def read_map(source: Any, space: LabelSpace, files: OpenedFiles) -> SemanticMap:
    """One map [1, H, W] from a map file (values of `space`), or the SemanticMap itself."""
    if isinstance(source, SemanticMap):
        return source
    return SemanticMap.from_arrays(files.map(source).labels(space), space)


def shown_classes(models: Models, request: Request, files: OpenedFiles) -> set[str] | None:
    """The classes (names of the work space) that the given maps show; None where photos are parsed.

    Raises LabelError for a class that the work space lacks where it has no background, DataError.
    """
    if not request.masks:
        return None
    space, work_space = models.map_space(request), models.work_space(request)
    names: set[str] = set()
    for mask in request.masks:
        # a map of one row with each of its classes: what is said of it holds for the whole
        row = mask if isinstance(mask, SemanticMap) else _row(files.map(mask).shown(space), space)
        names.update(row.mapped(models.join(row.space, work_space)).label_set().names)
    return names


def _row(values: frozenset[int], space: LabelSpace) -> SemanticMap:
    return SemanticMap.from_arrays(np.asarray([sorted(values)]), space)
