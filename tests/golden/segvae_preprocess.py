"""Replay of the pre-processing case of segvae: the authors' folder layouts through our data sets, in their class numbers.

Loaded by file path, so it imports nothing from its own folder.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from zoo.data import layers_of
from zoo.data.parts import SEGVAE_PARTS
from zoo.data.specs import open_data
from zoo.labels import LabelSpace

SIZE = 128
THRESHOLD = 0.4
FACE_COLORS = (
    (111, 111, 111),
    (128, 0, 0),
    (0, 128, 0),
    (128, 128, 0),
    (0, 0, 128),
    (128, 0, 128),
    (0, 128, 128),
    (128, 128, 128),
    (64, 0, 0),
    (192, 0, 0),
    (200, 161, 9),
    (192, 128, 0),
    (64, 0, 128),
    (192, 0, 128),
    (64, 128, 128),
    (192, 128, 128),
    (0, 64, 0),
    (128, 64, 0),
    (0, 192, 0),
)
"""The authors' rendering colours by their class number (docs/papers/segvae.md, "From soft shapes to a map")."""
PEOPLE_COLORS = (
    (111, 111, 111),
    (134, 69, 0),
    (180, 0, 0),
    (0, 0, 0),
    (145, 134, 176),
    (253, 215, 228),
    (60, 156, 246),
    (253, 107, 190),
    (245, 134, 20),
    (150, 75, 0),
    (0, 150, 75),
    (255, 219, 172),
    (0, 211, 211),
    (211, 211, 0),
    (80, 200, 120),
    (188, 156, 0),
    (0, 0, 230),
    (192, 209, 213),
)


def replay_preprocess(case_dir: Path) -> dict[str, Tensor]:
    """All tensors of the case under their stored names."""
    found: dict[str, Tensor] = {}
    if (case_dir / "celebamaskhq").is_dir():
        found |= _faces(case_dir / "celebamaskhq")
    if (case_dir / "humanparsing").is_dir():
        found |= _people(case_dir / "humanparsing")
    return found


def _faces(folder: Path) -> dict[str, Tensor]:
    data = open_data(f"celebamask-hq:{folder}", resolution=SIZE)
    layers = layers_of(data.batch(range(len(data)))).layers
    multihot = layers[:, _numbers(data.label_space)]
    multihot[:, 0] = 0
    shown = _with_background(multihot)
    # the authors' picture of an input map: skin would hide the parts on it, equal layers go to the lower number
    shown[:, 1] *= 0.9
    labels = shown.argmax(1)
    return {
        "celeba.label": multihot.byte(),
        "celeba.label_set": multihot.amax((2, 3)),
        "celeba.label_map_after_skin_trick": labels.byte(),
        "celeba.picture": torch.tensor(FACE_COLORS, dtype=torch.uint8)[labels],
    }


def _people(folder: Path) -> dict[str, Tensor]:
    data = open_data(f"humanparsing:{folder}", resolution=SIZE)
    labels = data.batch(range(len(data))).maps.labels
    onehot = torch.nn.functional.one_hot(labels, len(data.label_space)).permute(0, 3, 1, 2).float()
    onehot[:, 0] = 0
    return {
        "humanparsing.label": labels[:, None].byte(),
        "humanparsing.label_float": labels[:, None].float(),
        "humanparsing.input_semantics": onehot.byte(),
        "humanparsing.label_set": onehot.amax((2, 3)),
        "humanparsing.picture": torch.tensor(PEOPLE_COLORS, dtype=torch.uint8)[_with_background(onehot).argmax(1)],
    }


def _numbers(space: LabelSpace) -> list[int]:
    """Our class value of each of the authors' class numbers."""
    return [space.index(name) for name in SEGVAE_PARTS]


def _with_background(layers: Tensor) -> Tensor:
    """Channel 0 is 1 where the parts do not add up to more than 0.4."""
    filled = layers.clone()
    filled[:, 0] = (layers[:, 1:].sum(1) <= THRESHOLD).float()
    return filled
