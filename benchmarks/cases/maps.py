"""Maps that are measured with: those of a folder like the shared one, made-up scenes where there are none, and a stroke on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import torch

from zoo.maps import SemanticMap

SAMPLES = {
    "ade20k": "samples/ade20k/annotations",
    "coco": "samples/coco_stuff/val_label",
    "gta5": "samples/gta5/LabelgrayFull20",
    "celeba": "celebamask-hq/labels",
}


def scene(size: tuple[int, int], classes: int, seed: int) -> np.ndarray:
    """A made-up map [H, W] of some twenty regions with curved borders."""
    rng = np.random.default_rng(seed)
    centres = rng.random((24, 2)) * size
    y, x = np.mgrid[: size[0], : size[1]]
    wave = 6 * np.sin(x / 17.0 + seed) + 4 * np.cos(y / 11.0)
    distance = np.stack([np.hypot(y - a + wave, x - b + wave) for a, b in centres])
    return rng.integers(0, classes, 24)[distance.argmin(0)]


def read_maps(reference: str, model: Any, data: Path | None, count: int) -> SemanticMap:
    """Maps at the model's size, those of the data set first; numbers that the model does not know become its last class."""
    height, width = model.resolution
    classes = len(model.label_space)
    folder = next((f for key, f in SAMPLES.items() if key in reference), None)
    files = sorted((data / folder).rglob("*.png"))[:count] if data and folder else []
    labels = [scene((height, width), classes, i) for i in range(len(files), count)]
    for path in reversed(files):
        with PIL.Image.open(path) as picture:
            labels.insert(0, np.array(picture.resize((width, height), PIL.Image.Resampling.NEAREST)).astype(np.int64))
    return SemanticMap(torch.from_numpy(np.stack(labels)).clamp(0, classes - 1), model.label_space)


def stroke(maps: SemanticMap) -> SemanticMap:
    """The maps with a square of 1 % of the pixels in another class that they show."""
    labels = maps.labels.clone()
    height, width = labels.shape[-2:]
    side = round((height * width) ** 0.5 / 10)
    labels[:, height // 3 : height // 3 + side, width // 2 : width // 2 + side] = labels[:, -1:, :1]
    return SemanticMap(labels, maps.space)


def repeated(maps: SemanticMap, count: int) -> SemanticMap:
    """One map so many times."""
    return SemanticMap(maps.labels.expand(count, -1, -1), maps.space)
