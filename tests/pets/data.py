"""A label space and a data set: boxes of a body, a head and fur, with photos in the classes' colours."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from zoo.data.facts import DataFacts
from zoo.data.files import LabelArray, PhotoArray, resize_labels
from zoo.labels import parse_space
from zoo.plugin import DataError, LabelSpace, Source

SPACE = {
    "name": "pets",
    "title": "pets of the tests",
    "background": "nothing",
    "classes": [
        {"name": "nothing", "color": [0, 0, 0], "aliases": ["background"]},
        {"name": "body", "color": [200, 40, 40]},
        {"name": "face", "color": [40, 200, 40], "aliases": ["skin"]},
        {"name": "fur", "color": [40, 40, 200], "aliases": ["hair"]},
    ],
}


class DrawnPets(Source):
    """path: how many (8). Splits train and val."""

    facts: ClassVar[DataFacts] = DataFacts("drawn pets", "pets", "CC0-1.0", "CC0-1.0")

    def __init__(self, path: str | None = None, split: str | None = None, space: LabelSpace | None = None) -> None:
        del space
        self.splits = ("train", "val")
        if split is not None and split not in self.splits:
            raise DataError(f"drawn-pets has the splits train and val, got {split!r}.")
        self.label_space = parse_space(SPACE, "pets")
        self.names = tuple(f"{split or 'all'}-{i}" for i in range(int(path or 8)))
        self.location = "drawn"

    def read(self, index: int, size: tuple[int, int] | None = None) -> tuple[PhotoArray | None, LabelArray]:
        """Boxes, shifted by the number of the pair."""
        labels = np.zeros((32, 32), dtype=np.uint8)
        for value, (top, bottom) in {1: (16, 30), 2: (8, 16), 3: (3, 8)}.items():
            labels[top:bottom, 6 + index % 3 : 24 + index % 3] = value
        labels = resize_labels(labels, size or (32, 32))
        return np.array(self.label_space.palette, dtype=np.uint8)[labels], labels
