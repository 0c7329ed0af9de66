"""YOLO-seg, as ultralytics reads it: a line of class and outline for each piece of each class."""

from __future__ import annotations

import json

import numpy as np

from zoo.data.formats.base import Form, Pair
from zoo.data.formats.outlines import polygons
from zoo.errors import LabelError
from zoo.labels import IGNORE

NEEDED = ("train", "val")
"""Splits that `data.yaml` must name."""


class YoloSeg(Form):
    """images/SPLIT/NAME.png|jpg, labels/SPLIT/NAME.txt, data.yaml.

    Outlines run along the edges of pixels, in shares of width and height. The background is no class: numbers are those of the other
    classes in their order, and what no outline covers is background. "Unlabeled" pixels are so, too, which `finish` counts.
    """

    def begin(self) -> None:
        background = self.space.background_index
        self._values = [value for value in range(len(self.space)) if value != background]
        if not self._values:
            raise LabelError(f"{self.space.name!r} has no class but its background.")
        self._splits: list[str] = []
        self._unlabeled = 0

    def add(self, pair: Pair) -> None:
        if pair.split not in self._splits:
            self._splits.append(pair.split)
        self._unlabeled += bool(self.space.ignore and (pair.labels == IGNORE).any())
        if pair.content:
            self.write(f"images/{pair.split}/{pair.stem}{pair.ending}", pair.content)
        size = np.array(pair.labels.shape[::-1])
        there = set(np.unique(pair.labels).tolist())
        lines = []
        for number, value in enumerate(self._values):
            for loop in polygons(pair.labels == value) if value in there else ():
                places = " ".join(f"{share:.6g}" for share in (loop / size).ravel().tolist())
                lines.append(f"{number} {places}\n")
        self.write(f"labels/{pair.split}/{pair.stem}.txt", "".join(lines))

    def finish(self) -> list[str]:
        notes = []
        places = {split: f"images/{split}" for split in self._splits}
        for split in NEEDED:
            if split not in places:
                places[split] = f"images/{self._splits[0]}"
                notes.append(f"there is no split {split}: data.yaml names {self._splits[0]} for it")
        if self._unlabeled:
            notes.append(f"{self._unlabeled} maps have unlabeled pixels, which YOLO takes for background")
        names = [f"  {n}: {json.dumps(self.space.names[v])}" for n, v in enumerate(self._values)]
        lines = [*(f"{split}: {place}" for split, place in places.items()), "names:", *names]
        self.write("data.yaml", "\n".join(lines) + "\n")
        return notes
