"""A data set seen in another label space, joined by the names of classes."""

from __future__ import annotations

import numpy as np

from zoo.data.files import InstanceArray, LabelArray, LayerArray, PhotoArray, moved_layers
from zoo.data.pairs import Source
from zoo.labels import IGNORE, Mapping
from zoo.maps import MAX_PACKED


class Relabelled(Source):
    """A data set in another label space; classes that this lacks become its background (else: unlabeled)."""

    def __init__(self, source: Source, mapping: Mapping) -> None:
        self.source, self.label_space = source, mapping.target
        self.names, self.splits, self.has_images, self.location = (
            source.names,
            source.splits,
            source.has_images,
            source.location,
        )
        self.has_instances, self.whole_maps = source.has_instances, source.whole_maps
        self.has_layers = source.has_layers and len(mapping.target) <= MAX_PACKED
        # a part without counterpart uncovers what lies under it
        self._moved = [
            -1 if n in mapping.dropped else v for n, v in zip(mapping.source.names, mapping.table, strict=True)
        ]
        self._table = np.full(IGNORE + 1, IGNORE, dtype=np.uint8)
        self._table[: len(mapping.table)] = [IGNORE if v < 0 else v for v in mapping.table]
        if not mapping.target.ignore and mapping.target.background_index is not None:
            self._table[IGNORE] = mapping.target.background_index

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        photo, labels = self.source.read(index, size)
        return photo, self._table[labels]

    def read_instances(self, index: int, size: tuple[int, int] | None = None) -> InstanceArray:
        return self.source.read_instances(index, size)

    def read_layers(self, index: int, size: tuple[int, int] | None = None) -> LayerArray:
        layers = moved_layers(self.source.read_layers(index, size), self._moved)
        layers[layers == 0] = 1 << (self.label_space.background_index or 0)
        return layers

    def files(self, index: int) -> dict[str, str]:
        return self.source.files(index)

    def origin(self, index: int) -> str:
        return self.source.origin(index)

    def places(self) -> list[str]:
        return self.source.places()

    def leftovers(self) -> list[str]:
        return self.source.leftovers()

    def notes(self) -> list[str]:
        return self.source.notes()
