"""Cityscapes' folders: leftImg8bit and gtFine, by split and city."""

from __future__ import annotations

import numpy as np

from zoo.data.formats.base import Form, Pair, colored, png
from zoo.errors import LabelError
from zoo.labels import IGNORE, LabelSpace
from zoo.registry import label_space

CITY = "zoo"
FRAMES = 1_000_000
"""Of a sequence; both have six digits in the names."""


class Cityscapes(Form):
    """leftImg8bit/SPLIT/zoo/zoo_SSSSSS_FFFFFF_leftImg8bit.png, gtFine/SPLIT/zoo/…_gtFine_labelIds.png, _instanceIds.png and _color.png;
    label_colors.txt.

    Samples are numbered in their order, `names.txt` says which is which. Classes that are all Cityscapes' own get its ids (and there are
    _labelTrainIds.png), "unlabeled" pixels 0; other label spaces keep their numbers, which `cityscapesscripts` then does not know.
    No polygons are written: scripts that draw the PNGs from them have nothing to do here.
    """

    def begin(self) -> None:
        own, train = label_space("cityscapes"), label_space("cityscapes-train")
        self._ids = _table(self.space, own)
        self._train = None if self._ids is None else _table(own, train, IGNORE)
        self._shown = self.space if self._ids is None else own
        self._names: list[str] = []

    def add(self, pair: Pair) -> None:
        number = len(self._names)
        stem = f"{CITY}_{number // FRAMES:06d}_{number % FRAMES:06d}"
        self._names.append(f"{stem} {pair.split} {pair.stem}\n")
        labels = pair.labels if self._ids is None else self._ids[pair.labels]
        if pair.photo is not None:
            content = pair.content if pair.ending == ".png" else png(pair.photo)
            self.write(f"leftImg8bit/{pair.split}/{CITY}/{stem}_leftImg8bit.png", content)
        maps = {"labelIds": labels, "color": colored(labels, self._shown), "instanceIds": _objects(labels, pair)}
        if self._train is not None:
            maps["labelTrainIds"] = self._train[labels]
        for kind, array in maps.items():
            self.write(f"gtFine/{pair.split}/{CITY}/{stem}_gtFine_{kind}.png", png(array))

    def finish(self) -> list[str]:
        rows = zip(self._shown.names, self._shown.palette, strict=True)
        self.write("label_colors.txt", "".join(f"{r} {g} {b} {name}\n" for name, (r, g, b) in rows))
        self.write("names.txt", "".join(self._names))
        if self._ids is not None:
            return []
        return [f"{self.space.name} is no label space of Cityscapes: labelIds are its own numbers (label_colors.txt)"]


def _objects(labels: np.ndarray, pair: Pair) -> np.ndarray:
    """uint16 [H, W]: the class, or 1000 times the class and the object's number within its class."""
    found = labels.astype(np.uint16)
    if pair.instances is None:
        return found
    for value in np.unique(labels[pair.instances > 0]).tolist():
        here = (labels == value) & (pair.instances > 0)
        _, places = np.unique(pair.instances[here], return_inverse=True)
        if value and value * 1000 + int(places.max()) < 1 << 16:
            found[here] = (value * 1000 + places).astype(np.uint16)
    return found


def _table(space: LabelSpace, other: LabelSpace, empty: int = 0) -> np.ndarray | None:
    """The numbers of a space in another one, `empty` for what it lacks and where nobody labelled; None where they are different worlds."""
    try:
        mapping = space.mapping_to(other, lay=False)
    except LabelError:
        return None
    if space.names != label_space("cityscapes").names and mapping.dropped:
        return None
    table = np.full(256, empty, np.uint8)
    table[: len(space)] = [
        empty if name in mapping.dropped else v for name, v in zip(space.names, mapping.table, strict=True)
    ]
    return table
