"""COCO panoptic: PNGs of segment numbers, R + 256 G + 65536 B, and a JSON per split that says each segment's class."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from zoo.data.formats.base import Form, Pair, png
from zoo.labels import IGNORE, Color

VOID = 0
"""The segment of pixels that nobody labelled."""


class CocoPanoptic(Form):
    """images/SPLIT/NAME.png|jpg, annotations/panoptic_SPLIT/NAME.png, annotations/panoptic_SPLIT.json.

    A class is one segment of a picture, or as many as it has objects where the data set numbers them. Categories are the classes in their
    order from 1, the background among them; "unlabeled" pixels are void (0).
    """

    def begin(self) -> None:
        self._images: dict[str, list[dict[str, Any]]] = {}
        self._annotations: dict[str, list[dict[str, Any]]] = {}
        self._things: set[int] = set()

    def add(self, pair: Pair) -> None:
        segments, numbers = self._segments(pair)
        images = self._images.setdefault(pair.split, [])
        height, width = pair.labels.shape
        number = 1 + sum(len(rows) for rows in self._images.values())
        images.append({"id": number, "file_name": f"{pair.stem}{pair.ending}", "width": width, "height": height})
        found = {"image_id": number, "file_name": f"{pair.stem}.png", "segments_info": segments}
        self._annotations.setdefault(pair.split, []).append(found)
        if pair.content:
            self.write(f"images/{pair.split}/{pair.stem}{pair.ending}", pair.content)
        colors = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)
        self.write(f"annotations/panoptic_{pair.split}/{pair.stem}.png", png(colors))

    def _segments(self, pair: Pair) -> tuple[list[dict[str, Any]], np.ndarray]:
        """What the JSON says of each segment, and int32 [H, W] of their numbers."""
        objects = np.zeros_like(pair.labels) if pair.instances is None else pair.instances
        both, places = np.unique(pair.labels.astype(np.int64) << 32 | objects, return_inverse=True)
        places = places.reshape(pair.labels.shape)
        table, segments = np.zeros(len(both), np.int32), []
        used = {VOID}
        for row, code in enumerate(both.tolist()):
            value, thing = code >> 32, code & 0xFFFFFFFF
            if value == IGNORE:
                continue
            table[row] = _number(self.space.palette[value], used)
            if thing:
                self._things.add(value)
            segments.append(_described(int(table[row]), value + 1, places == row))
        return segments, table[places]

    def finish(self) -> list[str]:
        categories = [
            {
                "id": value + 1,
                "name": name,
                "supercategory": name,
                "isthing": int(value in self._things),
                "color": color,
            }
            for value, (name, color) in enumerate(zip(self.space.names, self.space.palette, strict=True))
        ]
        for split, images in self._images.items():
            told = {"images": images, "annotations": self._annotations[split], "categories": categories}
            self.write(f"annotations/panoptic_{split}.json", json.dumps(told))
        return []


def _number(color: Color, used: set[int]) -> int:
    """A segment's number: its class's colour, or the next that is free, as COCO's own are."""
    number = color[0] + (color[1] << 8) + (color[2] << 16)
    while number in used:
        number = (number + 1) % (1 << 24)
    used.add(number)
    return number


def _described(number: int, category: int, mask: np.ndarray) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    box = [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
    return {"id": number, "category_id": category, "area": int(mask.sum()), "bbox": box, "iscrowd": 0}
